/* The load generator of the benchmark: one thread, HTTP/1.1, every answer checked.
 *
 *     load --port P --request FILE --connections N --duration S [options]
 *
 * Closed loop: each connection sends its next request when the answer is complete. With --rate it
 * is an open loop: requests are due at random times (Poisson) drawn beforehand, and latency counts
 * from the time a request was due, not from when a connection was free to send it, so that a
 * server that stalls is charged for all the requests that had to wait (no coordinated omission).
 *
 * The measured window begins after --warmup and lasts --duration, or until --requests answers came.
 * CPU clocks of the processes given by --watch are read at both ends, here, so that work and cost
 * are counted over the same moments. What is under way at the end is waited for and checked too.
 *
 * Any answer with a status, length, number of events or content that is not the expected one ends
 * the run with an error. The result is one JSON object on stdout.
 */
#include "common.h"
#include <getopt.h>
#include <math.h>

#define MAX_EVENTS 512
#define MAX_WATCHED 256
#define READ_BYTES (256 * 1024)
#define HEAD_BYTES (32 * 1024)

static struct {
    int port;
    const char *request_path, *contains, *samples_path;
    unsigned connections, status, once;
    double rate, warmup_s, duration_s, ramp_s, drain_s;
    uint64_t requests, sample_every, abort_every, expected_bytes, expected_events, seed;
    size_t read_bytes;
    double read_interval_ms;
    pid_t watched[MAX_WATCHED];
    unsigned watched_count;
} option = {.connections = 1, .status = 200, .warmup_s = 0.2, .duration_s = 1, .drain_s = 20,
            .seed = 1};

/* --- measured values ------------------------------------------------------------------------- */

struct series {
    uint64_t *values;
    size_t count, capacity;
};

static void record(struct series *series, uint64_t value) {
    if (series->count == series->capacity) {
        series->capacity = series->capacity ? series->capacity * 2 : 1 << 16;
        series->values = realloc(series->values, series->capacity * sizeof *series->values);
        if (!series->values)
            die("out of memory");
    }
    series->values[series->count++] = value;
}

static int compare_values(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void print_series(const char *name, struct series *series) {
    if (series->count)
        qsort(series->values, series->count, sizeof *series->values, compare_values);
    double sum = 0;
    for (size_t i = 0; i < series->count; i++)
        sum += (double)series->values[i];
    printf(",\"%s\":{\"count\":%zu,\"mean\":%.0f", name, series->count,
           series->count ? sum / (double)series->count : 0.0);
    static const struct { const char *name; double at; } points[] = {
        {"min", 0}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        size_t rank = (size_t)ceil(points[i].at * (double)series->count);
        if (rank)
            rank--;
        printf(",\"%s\":%llu", points[i].name,
               (unsigned long long)(series->count ? series->values[rank] : 0));
    }
    putchar('}');
}

static struct {
    uint64_t completed, events, reads, body_bytes, reconnects, aborted;
    struct series latency, first_byte, gap;
    uint64_t cpu_begin[MAX_WATCHED], cpu_end[MAX_WATCHED];
} result;

/* A process's CPU time with all its threads, those that ended included. The clock's id is made
 * as clock_getcpuclockid(3) does. */
static uint64_t cpu_ns(pid_t pid) {
    struct timespec time;
    clockid_t clock = (clockid_t)((~(unsigned)pid << 3) | 2);
    if (clock_gettime(clock, &time))
        die("process %d, whose CPU time is measured, has ended", (int)pid);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static void read_cpu(uint64_t *into) {
    for (unsigned i = 0; i < option.watched_count; i++)
        into[i] = cpu_ns(option.watched[i]);
}

/* --- connections ----------------------------------------------------------------------------- */

enum phase { IN_HEAD, IN_LENGTH, CHUNK_SIZE, CHUNK_BYTES, CHUNK_END, TRAILER };

struct connection {
    int fd;
    bool busy, waits_to_write, dirty, close_after, last_was_newline, aborts;
    enum phase phase;
    size_t sent;
    uint64_t due_ns, sent_ns, first_ns, last_ns;
    char head[HEAD_BYTES];
    size_t head_length;
    char line[32]; /* a chunk's size line */
    size_t line_length;
    uint64_t remaining, body_length, events;
    struct buffer body;
};

static struct connection *connections;
static struct connection **idle; /* a stack: the warmest connection is used first */
static size_t idle_count, opened, under_way, finished_connections;
static int epoll_fd, timer_fd;
static struct buffer request;
static FILE *samples;
static bool in_window, stopping;
static uint64_t begin_ns, end_ns, answered, started;

static struct { /* open loop: requests that are due and have no connection yet */
    uint64_t *due;
    size_t head, count, capacity;
} queue;

static void watch(struct connection *connection, bool writable) {
    struct epoll_event event = {.data.ptr = connection};
    event.events = (option.read_interval_ms > 0 ? 0 : EPOLLIN) | (writable ? EPOLLOUT : 0);
    connection->waits_to_write = writable;
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
}

static void connect_to_server(struct connection *connection) {
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (option.read_interval_ms > 0) {
        int bytes = 4096;
        setsockopt(connection->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)option.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address))
        die("cannot connect to 127.0.0.1:%d: %s", option.port, strerror(errno));
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    set_nodelay(connection->fd);
    connection->dirty = false;
    struct epoll_event event = {.data.ptr = connection};
    event.events = option.read_interval_ms > 0 ? 0 : EPOLLIN;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
}

static void hang_up(struct connection *connection) {
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
    connection->dirty = true;
}

static void fail(struct connection *connection, const char *what) {
    fprintf(stderr, "wrong answer: %s\n%.*s\n", what, (int)connection->head_length,
            connection->head);
    size_t shown = connection->body.length < 1500 ? connection->body.length : 1500;
    die("%.*s", (int)shown, connection->body.bytes ? connection->body.bytes : "");
}

static void send_rest(struct connection *connection) {
    while (connection->sent < request.length) {
        ssize_t sent = send(connection->fd, request.bytes + connection->sent,
                            request.length - connection->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            watch(connection, true);
            return;
        }
        if (sent < 0)
            die("sending failed: %s", strerror(errno));
        connection->sent += (size_t)sent;
    }
    if (connection->waits_to_write)
        watch(connection, false);
}

static void start(struct connection *connection, uint64_t due_ns) {
    if (connection->dirty) {
        hang_up(connection);
        connect_to_server(connection);
        result.reconnects++;
    }
    connection->busy = true;
    connection->phase = IN_HEAD;
    connection->sent = connection->head_length = connection->line_length = 0;
    connection->body_length = connection->events = connection->body.length = 0;
    connection->first_ns = connection->last_ns = 0;
    connection->last_was_newline = connection->close_after = false;
    connection->due_ns = due_ns;
    connection->sent_ns = now_ns();
    under_way++;
    connection->aborts = option.abort_every && ++started % option.abort_every == 0;
    send_rest(connection);
}

/* --- answers --------------------------------------------------------------------------------- */

static void check(struct connection *connection) {
    if (option.expected_bytes && connection->body_length != option.expected_bytes) {
        char why[96];
        snprintf(why, sizeof why, "a body of %llu bytes, not %llu",
                 (unsigned long long)connection->body_length,
                 (unsigned long long)option.expected_bytes);
        fail(connection, why);
    }
    if (option.expected_events && connection->events != option.expected_events)
        fail(connection, "another number of events");
    if (option.contains && !memmem(connection->body.bytes, connection->body.length,
                                   option.contains, strlen(option.contains)))
        fail(connection, "the expected text is missing");
    if (samples && answered % option.sample_every == 0) {
        fprintf(samples, "%zu\n", connection->body.length);
        fwrite(connection->body.bytes, 1, connection->body.length, samples);
        fputc('\n', samples);
    }
}

static void become_idle(struct connection *connection) {
    if (option.once) {
        finished_connections++;
        return;
    }
    if (queue.count) { /* what was due is sent, even after the window */
        uint64_t due = queue.due[queue.head];
        queue.head = (queue.head + 1) % queue.capacity;
        queue.count--;
        start(connection, due);
    } else if (stopping) {
        return;
    } else if (option.rate > 0) {
        idle[idle_count++] = connection;
    } else {
        start(connection, now_ns());
    }
}

static bool measured(struct connection *connection) {
    if (option.rate > 0)
        return connection->due_ns >= begin_ns && (!end_ns || connection->due_ns < end_ns);
    return in_window;
}

static void complete(struct connection *connection) {
    uint64_t now = now_ns();
    check(connection);
    answered++;
    if (measured(connection)) {
        uint64_t from = option.rate > 0 ? connection->due_ns : connection->sent_ns;
        record(&result.latency, now - from);
        record(&result.first_byte, connection->first_ns - from);
    }
    if (in_window)
        result.completed++;
    connection->busy = false;
    under_way--;
    connection->dirty = connection->close_after;
    become_idle(connection);
}

static void read_head(struct connection *connection) {
    char *head = connection->head;
    unsigned status = 0;
    if (sscanf(head, "HTTP/1.1 %u", &status) != 1 || status != option.status)
        fail(connection, "another status");
    const char *value = header(head, "connection:");
    connection->close_after = value && !strncasecmp(value, "close", 5);
    value = header(head, "transfer-encoding:");
    if (value && !strncasecmp(value, "chunked", 7)) {
        connection->phase = CHUNK_SIZE;
        return;
    }
    value = header(head, "content-length:");
    if (!value)
        fail(connection, "neither a length nor chunks");
    connection->remaining = strtoull(value, NULL, 10);
    connection->phase = IN_LENGTH;
}

static void take_body(struct connection *connection, const char *bytes, size_t length) {
    if (!connection->first_ns)
        connection->first_ns = now_ns();
    connection->body_length += length;
    buffer_add(&connection->body, bytes, length);
    uint64_t events = 0;
    const char *end = bytes + length;
    if (connection->last_was_newline && *bytes == '\n')
        events++;
    for (const char *at = bytes; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        events += at + 1 < end && at[1] == '\n';
    connection->last_was_newline = end[-1] == '\n';
    connection->events += events;
    if (in_window) {
        result.body_bytes += length;
        result.events += events;
    }
}

static const char *take_head(struct connection *connection, const char *at, const char *end) {
    size_t room = HEAD_BYTES - 1 - connection->head_length, length = (size_t)(end - at);
    size_t taken = length < room ? length : room;
    memcpy(connection->head + connection->head_length, at, taken);
    size_t before = connection->head_length;
    connection->head[before + taken] = 0;
    char *split = strstr(connection->head, "\r\n\r\n");
    if (!split) {
        connection->head_length += taken;
        if (taken == room)
            fail(connection, "a head without end");
        return end;
    }
    size_t head_length = (size_t)(split + 4 - connection->head);
    split[2] = 0;
    connection->head_length = head_length - 2;
    read_head(connection);
    return at + (head_length - before);
}

static void end_of_size_line(struct connection *connection) {
    connection->line[connection->line_length] = 0;
    char *end;
    connection->remaining = strtoull(connection->line, &end, 16);
    if (end == connection->line)
        fail(connection, "a chunk without size");
    connection->line_length = 0;
    connection->phase = connection->remaining ? CHUNK_BYTES : TRAILER;
}

/* Takes the answer's bytes as far as they go. True when it is complete. */
static bool feed(struct connection *connection, const char *at, const char *end) {
    while (at < end || (connection->phase == IN_LENGTH && !connection->remaining)) {
        size_t left = (size_t)(end - at);
        size_t wanted = connection->remaining < left ? (size_t)connection->remaining : left;
        switch (connection->phase) {
        case IN_HEAD:
            at = take_head(connection, at, end);
            break;
        case IN_LENGTH:
        case CHUNK_BYTES:
            if (wanted)
                take_body(connection, at, wanted);
            at += wanted;
            connection->remaining -= wanted;
            if (!connection->remaining && connection->phase == IN_LENGTH) {
                if (at != end)
                    fail(connection, "more bytes than the answer has");
                return true;
            }
            if (!connection->remaining)
                connection->phase = CHUNK_END;
            break;
        case CHUNK_END:
            if (*at++ == '\n')
                connection->phase = CHUNK_SIZE;
            break;
        case CHUNK_SIZE:
            if (*at == '\n')
                end_of_size_line(connection);
            else if (*at != '\r' && connection->line_length < sizeof connection->line - 1)
                connection->line[connection->line_length++] = *at;
            at++;
            break;
        case TRAILER: /* its only line must be empty */
            if (*at++ == '\n') {
                if (at != end)
                    fail(connection, "more bytes than the answer has");
                return true;
            }
            break;
        }
    }
    return false;
}

static void abandon(struct connection *connection) {
    result.aborted++;
    connection->busy = false;
    hang_up(connection);
    under_way--;
    become_idle(connection);
}

static void on_readable(struct connection *connection, size_t most) {
    static char bytes[READ_BYTES];
    if (connection->fd < 0)
        return;
    ssize_t got = recv(connection->fd, bytes, most, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got <= 0) {
        if (connection->busy)
            fail(connection, got ? strerror(errno) : "connection closed before its end");
        hang_up(connection); /* between two requests: the next one opens it anew */
        return;
    }
    if (!connection->busy)
        die("bytes that nobody asked for");
    uint64_t before = connection->body_length;
    bool is_complete = feed(connection, bytes, bytes + got);
    if (connection->body_length > before) {
        uint64_t now = now_ns();
        if (in_window) {
            result.reads++;
            if (connection->last_ns && connection->last_ns >= begin_ns)
                record(&result.gap, now - connection->last_ns);
        }
        connection->last_ns = now;
        if (connection->aborts && !is_complete) {
            abandon(connection);
            return;
        }
    }
    if (is_complete)
        complete(connection);
}

/* --- time ------------------------------------------------------------------------------------ */

static uint64_t random_state;

static uint64_t next_gap_ns(void) { /* xorshift64*, then the inverse of the exponential */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    uint64_t bits = (random_state * 2685821657736338717ull) >> 11;
    double uniform = ((double)bits + 0.5) / 9007199254740992.0;
    return (uint64_t)(-log(uniform) / option.rate * 1e9);
}

static void enqueue(uint64_t due_ns) {
    if (queue.count == queue.capacity) {
        size_t capacity = queue.capacity ? queue.capacity * 2 : 1024;
        uint64_t *due = malloc(capacity * sizeof *due);
        if (!due)
            die("out of memory");
        for (size_t i = 0; i < queue.count; i++)
            due[i] = queue.due[(queue.head + i) % queue.capacity];
        free(queue.due);
        queue.due = due;
        queue.head = 0;
        queue.capacity = capacity;
    }
    queue.due[(queue.head + queue.count++) % queue.capacity] = due_ns;
}

static void arrive(uint64_t due_ns) {
    if (idle_count)
        start(idle[--idle_count], due_ns);
    else
        enqueue(due_ns);
}

static uint64_t earlier(uint64_t left, uint64_t right) {
    return right && (!left || right < left) ? right : left;
}

static void open_window(uint64_t now) {
    in_window = true;
    begin_ns = now;
    read_cpu(result.cpu_begin);
}

static void close_window(uint64_t now) {
    read_cpu(result.cpu_end);
    in_window = false;
    stopping = true;
    end_ns = now;
}

static void handle(struct epoll_event *event) {
    if (event->data.ptr == &timer_fd) {
        uint64_t expirations;
        if (read(timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
            die("timer: %s", strerror(errno));
        return;
    }
    struct connection *connection = event->data.ptr;
    if (event->events & EPOLLOUT && connection->fd >= 0)
        send_rest(connection);
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable(connection, READ_BYTES);
}

/* Whether there is nothing left to do after the window. Readers that are slow on purpose would
 * take for ever: they leave. */
static bool is_over(uint64_t now) {
    if (!stopping)
        return option.once && finished_connections == option.connections && in_window;
    if (!under_way && !queue.count)
        return true;
    if (option.read_interval_ms > 0)
        return true;
    if (now - end_ns > (uint64_t)(option.drain_s * 1e9))
        die("%zu answers did not come within %.0f s", under_way + queue.count, option.drain_s);
    return false;
}

static void run(void) {
    uint64_t zero = now_ns(), warm_at = zero + (uint64_t)(option.warmup_s * 1e9);
    uint64_t arrival = option.rate > 0 ? zero + next_gap_ns() : 0, next_read = 0;
    uint64_t ramp_step = (uint64_t)(option.ramp_s * 1e9 / option.connections);
    uint64_t read_step = (uint64_t)(option.read_interval_ms * 1e6);
    uint64_t armed_ns = 0;
    struct epoll_event events[MAX_EVENTS];
    for (;;) {
        uint64_t now = now_ns();
        while (opened < option.connections && now >= zero + opened * ramp_step) {
            struct connection *connection = &connections[opened++];
            connect_to_server(connection);
            if (option.rate > 0)
                idle[idle_count++] = connection;
            else
                start(connection, now);
        }
        if (!in_window && !stopping && now >= warm_at)
            open_window(now);
        bool enough = option.requests && result.completed >= option.requests;
        uint64_t last = begin_ns + (uint64_t)(option.duration_s * 1e9);
        if (in_window && (enough || (!option.requests && now >= last)))
            close_window(now);
        for (; arrival && arrival <= now && !stopping; arrival += next_gap_ns())
            arrive(arrival);
        if (read_step && now >= next_read) {
            for (size_t i = 0; i < opened; i++)
                if (connections[i].busy)
                    on_readable(&connections[i], option.read_bytes);
            next_read = now + read_step;
        }
        if (is_over(now))
            return;
        uint64_t wake = opened < option.connections ? zero + opened * ramp_step : 0;
        wake = earlier(wake, stopping ? now + NS_PER_S / 10 : !in_window ? warm_at
                             : option.requests ? 0 : last);
        wake = earlier(wake, stopping ? 0 : arrival);
        wake = earlier(wake, read_step ? next_read : 0);
        if (wake != armed_ns)
            arm_timer(timer_fd, wake);
        armed_ns = wake;
        int ready = epoll_wait(epoll_fd, events, MAX_EVENTS, -1);
        for (int i = 0; i < ready; i++)
            handle(&events[i]);
    }
}

/* --- options and result ---------------------------------------------------------------------- */

static void read_watched(char *list) {
    for (char *pid = strtok(list, ","); pid; pid = strtok(NULL, ",")) {
        if (option.watched_count == MAX_WATCHED)
            die("more than %d processes to watch", MAX_WATCHED);
        option.watched[option.watched_count++] = (pid_t)atoi(pid);
    }
}

static void read_options(int count, char **arguments) {
    static const struct option names[] = {
        {"port", 1, 0, 'p'}, {"request", 1, 0, 'q'}, {"connections", 1, 0, 'c'},
        {"rate", 1, 0, 'r'}, {"warmup", 1, 0, 'w'}, {"duration", 1, 0, 'd'},
        {"requests", 1, 0, 'n'}, {"ramp", 1, 0, 'u'}, {"once", 0, 0, 'o'},
        {"status", 1, 0, 's'}, {"bytes", 1, 0, 'b'}, {"events", 1, 0, 'e'},
        {"contains", 1, 0, 'x'}, {"samples", 1, 0, 'S'}, {"sample-every", 1, 0, 'E'},
        {"abort-every", 1, 0, 'a'}, {"read-bytes", 1, 0, 'R'}, {"read-interval-ms", 1, 0, 'I'},
        {"drain", 1, 0, 'D'}, {"seed", 1, 0, 'g'}, {"watch", 1, 0, 'W'}, {0, 0, 0, 0}};
    int name;
    while ((name = getopt_long(count, arguments, "", names, NULL)) != -1)
        switch (name) {
        case 'p': option.port = atoi(optarg); break;
        case 'q': option.request_path = optarg; break;
        case 'c': option.connections = (unsigned)atoi(optarg); break;
        case 'r': option.rate = atof(optarg); break;
        case 'w': option.warmup_s = atof(optarg); break;
        case 'd': option.duration_s = atof(optarg); break;
        case 'n': option.requests = strtoull(optarg, NULL, 10); break;
        case 'u': option.ramp_s = atof(optarg); break;
        case 'o': option.once = 1; break;
        case 's': option.status = (unsigned)atoi(optarg); break;
        case 'b': option.expected_bytes = strtoull(optarg, NULL, 10); break;
        case 'e': option.expected_events = strtoull(optarg, NULL, 10); break;
        case 'x': option.contains = optarg; break;
        case 'S': option.samples_path = optarg; break;
        case 'E': option.sample_every = strtoull(optarg, NULL, 10); break;
        case 'a': option.abort_every = strtoull(optarg, NULL, 10); break;
        case 'R': option.read_bytes = strtoull(optarg, NULL, 10); break;
        case 'I': option.read_interval_ms = atof(optarg); break;
        case 'D': option.drain_s = atof(optarg); break;
        case 'g': option.seed = strtoull(optarg, NULL, 10); break;
        case 'W': read_watched(optarg); break;
        default: die("usage: see the top of load.c");
        }
    if (!option.port || !option.request_path || !option.connections)
        die("--port, --request and --connections are needed");
}

static void print_result(void) {
    struct timespec own;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    printf("{\"window_ns\":%llu,\"completed\":%llu,\"answered\":%llu,\"events\":%llu,"
           "\"reads\":%llu,\"body_bytes\":%llu,\"reconnects\":%llu,\"aborted\":%llu",
           (unsigned long long)(end_ns - begin_ns), (unsigned long long)result.completed,
           (unsigned long long)answered, (unsigned long long)result.events,
           (unsigned long long)result.reads, (unsigned long long)result.body_bytes,
           (unsigned long long)result.reconnects, (unsigned long long)result.aborted);
    printf(",\"cpu_ns\":{");
    for (unsigned i = 0; i < option.watched_count; i++)
        printf("%s\"%d\":%llu", i ? "," : "", (int)option.watched[i],
               (unsigned long long)(result.cpu_end[i] - result.cpu_begin[i]));
    putchar('}');
    print_series("latency_ns", &result.latency);
    print_series("first_byte_ns", &result.first_byte);
    print_series("gap_ns", &result.gap);
    puts("}");
}

int main(int count, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    read_options(count, arguments);
    raise_fd_limit();
    if (option.watched_count < MAX_WATCHED)
        option.watched[option.watched_count++] = getpid();
    request = read_whole_file(option.request_path);
    random_state = option.seed ? option.seed : 1;
    if (option.samples_path && !(samples = fopen(option.samples_path, "wb")))
        die("cannot write %s", option.samples_path);
    if (!option.sample_every)
        option.sample_every = 1000;
    connections = calloc(option.connections, sizeof *connections);
    idle = calloc(option.connections, sizeof *idle);
    if (!connections || !idle)
        die("out of memory");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &timer_fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event);
    run();
    if (in_window)
        close_window(now_ns());
    if (samples)
        fclose(samples);
    print_result();
    return 0;
}
