/* The mock provider of the benchmark: answers OpenAI's and Anthropic's chat calls.
 *
 *     upstream PORT FIXTURES
 *
 * FIXTURES is a folder written by bench.fixture. A call is answered with the wire's whole answer,
 * or, when its body says "stream": true, with frames, sent one write each. The caller
 * steers a stream by a directive somewhere in its prompt, which every gateway passes on:
 *
 *     [[mock chunks=100 interval_us=5000 tick_us=0 gathered=0 fault=none]]
 *
 * interval_us=0 writes as fast as the reader takes it; with tick_us, streams have their chunks at
 * the same moments, multiples of it; gathered=1 writes all the frames there are
 * at once (then `chunks` is a multiple of them). Faults are for the benchmark's own test:
 * short (content length too large), cut (connection closed in the middle), status (a 500), and
 * swap (an answer of another length).
 *
 * A call with the wrong path, without the provider's credential or with the caller's is refused:
 * a gateway that gets this wrong must not look fast. GET /stats tells what was served.
 */
#include "common.h"

#define MAX_FRAMES 1024
#define MAX_EVENTS 512
#define MAX_REQUEST (8u << 20)

struct frame {
    char *bytes;
    size_t length;
};

struct wire {
    const char *name, *path;
    const char *credential_header, *credential;
    struct frame whole, swapped;
    struct frame opening; /* head and first events of a stream, one write */
    struct frame content[MAX_FRAMES];
    size_t content_count;
    struct frame gathered; /* all of the content */
    struct frame closing; /* last events and the end of the body, one write */
};

enum state { READING, STREAMING, CLOSED };

struct connection {
    int fd;
    enum state state;
    struct buffer in;
    const char *out;
    size_t out_length;
    bool close_after, waits_to_write;
    /* the stream that is being sent */
    struct wire *wire;
    uint32_t chunks, sent_chunks;
    uint64_t interval_ns, tick_ns, due_ns;
    size_t heap_index; /* 0: not in the heap */
    bool cut, gathered;
    struct connection *next_burst, *next_dead;
    bool in_burst;
};

static struct wire wires[2] = {
    {.name = "openai", .path = "POST /v1/chat/completions ",
     .credential_header = "authorization:", .credential = "Bearer sk-bench-openai-upstream\r"},
    {.name = "anthropic", .path = "POST /v1/messages ",
     .credential_header = "x-api-key:", .credential = "sk-bench-anthropic-upstream\r"},
};

static struct {
    uint64_t requests, streams, finished, chunks, bytes, late_1ms, open, peak_open;
} stats;

static int epoll_fd, timer_fd;
static struct connection **heap; /* by due time; index 0 is not used */
static size_t heap_count, heap_capacity;
static struct connection *burst; /* streams without pace that can take more */
static struct connection *dead;  /* hung up in this round: an event may still point at them */

/* --- the heap of paced streams --------------------------------------------------------------- */

static void heap_place(size_t index, struct connection *connection) {
    heap[index] = connection;
    connection->heap_index = index;
}

static void heap_sift(size_t index) {
    struct connection *moving = heap[index];
    while (index > 1 && heap[index / 2]->due_ns > moving->due_ns) {
        heap_place(index, heap[index / 2]);
        index /= 2;
    }
    for (;;) {
        size_t child = index * 2;
        if (child > heap_count)
            break;
        if (child < heap_count && heap[child + 1]->due_ns < heap[child]->due_ns)
            child++;
        if (heap[child]->due_ns >= moving->due_ns)
            break;
        heap_place(index, heap[child]);
        index = child;
    }
    heap_place(index, moving);
}

static void heap_add(struct connection *connection) {
    if (heap_count + 1 >= heap_capacity) {
        heap_capacity = heap_capacity ? heap_capacity * 2 : 1024;
        heap = realloc(heap, heap_capacity * sizeof *heap);
        if (!heap)
            die("out of memory");
    }
    heap[++heap_count] = connection;
    connection->heap_index = heap_count;
    heap_sift(heap_count);
}

static void heap_remove(struct connection *connection) {
    size_t index = connection->heap_index;
    if (!index)
        return;
    connection->heap_index = 0;
    struct connection *last = heap[heap_count--];
    if (last != connection) {
        heap_place(index, last);
        heap_sift(index);
    }
}

/* --- fixtures -------------------------------------------------------------------------------- */

static struct buffer fixture(const char *folder, const char *wire, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.%s", folder, wire, name);
    return read_whole_file(path);
}

static struct frame frame_of(struct buffer buffer) {
    return (struct frame){buffer.bytes, buffer.length};
}

/* One HTTP chunk. */
static void add_chunk(struct buffer *out, const char *bytes, size_t length) {
    char size[32];
    int digits = snprintf(size, sizeof size, "%zx\r\n", length);
    buffer_add(out, size, (size_t)digits);
    buffer_add(out, bytes, length);
    buffer_add(out, "\r\n", 2);
}

static void load_wire(struct wire *wire, const char *folder) {
    wire->whole = frame_of(fixture(folder, wire->name, "whole"));
    wire->swapped = frame_of(fixture(folder, wire->name, "swapped"));
    struct buffer opening = fixture(folder, wire->name, "stream_head");
    struct buffer events = fixture(folder, wire->name, "stream_start");
    add_chunk(&opening, events.bytes, events.length);
    wire->opening = frame_of(opening);
    events = fixture(folder, wire->name, "stream_content");
    for (char *at = events.bytes; at < events.bytes + events.length;) {
        char *end = strstr(at, "\n\n");
        if (!end || wire->content_count == MAX_FRAMES)
            die("%s.stream_content: not cut into at most %d events", wire->name, MAX_FRAMES);
        struct buffer chunk = {0};
        add_chunk(&chunk, at, (size_t)(end + 2 - at));
        wire->content[wire->content_count++] = frame_of(chunk);
        at = end + 2;
    }
    struct buffer gathered = {0};
    for (size_t i = 0; i < wire->content_count; i++)
        buffer_add(&gathered, wire->content[i].bytes, wire->content[i].length);
    wire->gathered = frame_of(gathered);
    events = fixture(folder, wire->name, "stream_end");
    struct buffer closing = {0};
    add_chunk(&closing, events.bytes, events.length);
    buffer_add(&closing, "0\r\n\r\n", 5);
    wire->closing = frame_of(closing);
}

/* --- connections ----------------------------------------------------------------------------- */

static void watch_writable(struct connection *connection, bool wanted) {
    if (connection->waits_to_write == wanted)
        return;
    connection->waits_to_write = wanted;
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0),
                                .data.ptr = connection};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
}

static void leave_burst(struct connection *connection) {
    if (!connection->in_burst)
        return;
    connection->in_burst = false;
    for (struct connection **at = &burst; *at; at = &(*at)->next_burst)
        if (*at == connection) {
            *at = connection->next_burst;
            return;
        }
}

static void join_burst(struct connection *connection) {
    if (connection->in_burst)
        return;
    connection->in_burst = true;
    connection->next_burst = burst;
    burst = connection;
}

static void hang_up(struct connection *connection) {
    heap_remove(connection);
    leave_burst(connection);
    close(connection->fd);
    stats.open--;
    connection->fd = -1;
    connection->state = CLOSED;
    connection->next_dead = dead;
    dead = connection;
}

static void bury(void) {
    while (dead) {
        struct connection *connection = dead;
        dead = connection->next_dead;
        free(connection->in.bytes);
        free(connection);
    }
}

/* Sends what is pending. False when the peer cannot take more now, or is gone. */
static bool flush(struct connection *connection) {
    while (connection->out_length) {
        ssize_t sent = send(connection->fd, connection->out, connection->out_length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            watch_writable(connection, true);
            return false;
        }
        if (sent < 0) {
            hang_up(connection);
            return false;
        }
        stats.bytes += (uint64_t)sent;
        connection->out += sent;
        connection->out_length -= (size_t)sent;
    }
    watch_writable(connection, false);
    if (connection->close_after) {
        hang_up(connection);
        return false;
    }
    return true;
}

static bool put(struct connection *connection, struct frame frame) {
    connection->out = frame.bytes;
    connection->out_length = frame.length;
    return flush(connection);
}

/* Sends the next frame of a stream. False when the stream is over, held up or gone. */
static bool step_stream(struct connection *connection) {
    if (connection->cut && connection->sent_chunks > connection->chunks / 2) {
        hang_up(connection);
        return false;
    }
    if (connection->sent_chunks < connection->chunks) {
        struct wire *wire = connection->wire;
        if (connection->gathered) {
            stats.chunks += wire->content_count;
            connection->sent_chunks += (uint32_t)wire->content_count;
            return put(connection, wire->gathered);
        }
        stats.chunks++;
        return put(connection, wire->content[connection->sent_chunks++ % wire->content_count]);
    }
    stats.finished++;
    heap_remove(connection);
    leave_burst(connection);
    connection->state = READING;
    put(connection, connection->wire->closing);
    return false;
}

static void schedule(struct connection *connection) {
    if (connection->state != STREAMING)
        return;
    if (!connection->interval_ns)
        join_burst(connection);
    else if (!connection->heap_index)
        heap_add(connection);
    else
        heap_sift(connection->heap_index);
}

static void start_stream(struct connection *connection, struct wire *wire) {
    stats.streams++;
    connection->state = STREAMING;
    connection->wire = wire;
    connection->sent_chunks = 0;
    connection->due_ns = now_ns() + connection->interval_ns;
    if (connection->tick_ns)
        connection->due_ns += connection->tick_ns - connection->due_ns % connection->tick_ns;
    if (put(connection, wire->opening))
        schedule(connection);
}

/* --- requests -------------------------------------------------------------------------------- */

static unsigned long directive(const char *body, const char *name, unsigned long otherwise) {
    const char *at = body ? strstr(body, name) : NULL;
    return at ? strtoul(at + strlen(name), NULL, 10) : otherwise;
}

static void refuse(struct connection *connection, int status, const char *why) {
    static char answer[1024];
    char body[512];
    int length = snprintf(body, sizeof body, "{\"error\":{\"message\":\"mock: %s\"}}", why);
    int total = snprintf(answer, sizeof answer,
                         "HTTP/1.1 %d Refused\r\ncontent-type: application/json\r\n"
                         "content-length: %d\r\n\r\n%s",
                         status, length, body);
    put(connection, (struct frame){answer, (size_t)total});
}

static void tell_stats(struct connection *connection) {
    static char answer[1024];
    char body[768];
    int length = snprintf(
        body, sizeof body,
        "{\"requests\":%llu,\"streams\":%llu,\"finished\":%llu,\"chunks\":%llu,\"bytes\":%llu,"
        "\"open\":%llu,\"peak_open\":%llu,\"late_1ms\":%llu}",
        (unsigned long long)stats.requests, (unsigned long long)stats.streams,
        (unsigned long long)stats.finished, (unsigned long long)stats.chunks,
        (unsigned long long)stats.bytes, (unsigned long long)stats.open,
        (unsigned long long)stats.peak_open, (unsigned long long)stats.late_1ms);
    int total = snprintf(answer, sizeof answer,
                         "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                         "content-length: %d\r\n\r\n%s",
                         length, body);
    put(connection, (struct frame){answer, (size_t)total});
}

static bool apply_fault(struct connection *connection, struct wire *wire, const char *mock) {
    const char *fault = mock ? strstr(mock, "fault=") : NULL;
    if (!fault)
        return false;
    fault += strlen("fault=");
    if (!strncmp(fault, "status", 6)) {
        refuse(connection, 500, "as asked");
        return true;
    }
    if (!strncmp(fault, "swap", 4)) {
        put(connection, wire->swapped);
        return true;
    }
    if (!strncmp(fault, "short", 5)) {
        connection->close_after = true;
        put(connection, (struct frame){wire->whole.bytes, wire->whole.length - 100});
        return true;
    }
    connection->cut = !strncmp(fault, "cut", 3);
    return false;
}

static void answer(struct connection *connection, const char *head, const char *body) {
    if (!strncmp(head, "GET /stats ", 11)) {
        tell_stats(connection);
        return;
    }
    struct wire *wire = NULL;
    for (size_t i = 0; i < 2; i++)
        if (!strncmp(head, wires[i].path, strlen(wires[i].path)))
            wire = &wires[i];
    if (!wire) {
        refuse(connection, 404, "no such path");
        return;
    }
    const char *credential = header(head, wire->credential_header);
    if (!credential || strncmp(credential, wire->credential, strlen(wire->credential)) ||
        strstr(head, "sk-bench-caller")) {
        refuse(connection, 401, "not the provider's credential alone");
        return;
    }
    stats.requests++;
    const char *mock = strstr(body, "[[mock ");
    connection->chunks = (uint32_t)directive(mock, "chunks=", 100);
    connection->interval_ns = directive(mock, "interval_us=", 0) * 1000;
    connection->tick_ns = directive(mock, "tick_us=", 0) * 1000;
    connection->gathered = directive(mock, "gathered=", 0) != 0;
    connection->cut = false;
    if (apply_fault(connection, wire, mock))
        return;
    const char *stream = strstr(body, "\"stream\":");
    if (stream && !strncmp(stream + 9 + strspn(stream + 9, " "), "true", 4))
        start_stream(connection, wire);
    else
        put(connection, wire->whole);
}

/* The length of a whole request at the start of the buffer, or 0 when more must come. */
static size_t request_length(struct buffer *in, size_t *head_length) {
    char *end = strstr(in->bytes, "\r\n\r\n");
    if (!end)
        return 0;
    *head_length = (size_t)(end + 4 - in->bytes);
    char saved = *(end + 2);
    *(end + 2) = 0; /* header() must not look into the body */
    const char *value = header(in->bytes, "content-length:");
    size_t body = value ? strtoul(value, NULL, 10) : 0;
    const char *coding = header(in->bytes, "transfer-encoding:");
    *(end + 2) = saved;
    if (coding) { /* nothing here needs the body decoded, only its end */
        char *last = strstr(end + 4, "0\r\n\r\n");
        return last ? (size_t)(last + 5 - in->bytes) : 0;
    }
    return in->length >= *head_length + body ? *head_length + body : 0;
}

static void serve(struct connection *connection) {
    struct buffer *in = &connection->in;
    size_t head_length = 0;
    while (connection->state == READING && !connection->out_length && in->length) {
        size_t length = request_length(in, &head_length);
        if (!length)
            return;
        char after = in->bytes[length], split = in->bytes[head_length - 2];
        in->bytes[length] = 0;
        char *body = in->bytes + head_length;
        in->bytes[head_length - 2] = 0;
        answer(connection, in->bytes, body);
        in->bytes[head_length - 2] = split;
        in->bytes[length] = after;
        memmove(in->bytes, in->bytes + length, in->length - length + 1);
        in->length -= length;
    }
}

static void on_readable(struct connection *connection) {
    struct buffer *in = &connection->in;
    for (;;) {
        buffer_reserve(in, 65537);
        ssize_t got = recv(connection->fd, in->bytes + in->length, 65536, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (got <= 0) {
            hang_up(connection);
            return;
        }
        in->length += (size_t)got;
        in->bytes[in->length] = 0;
        if (in->length > MAX_REQUEST) {
            hang_up(connection);
            return;
        }
        if (got < 65536)
            break;
    }
    serve(connection);
}

static void on_writable(struct connection *connection) {
    if (!flush(connection))
        return;
    if (connection->state == STREAMING)
        schedule(connection);
    else
        serve(connection);
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        set_nodelay(fd);
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection)
            die("out of memory");
        connection->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
        if (++stats.open > stats.peak_open)
            stats.peak_open = stats.open;
    }
}

/* --- the loop -------------------------------------------------------------------------------- */

static void send_due(void) {
    static uint64_t armed_ns;
    uint64_t now = now_ns();
    while (heap_count && heap[1]->due_ns <= now) {
        struct connection *connection = heap[1];
        uint64_t late = now - connection->due_ns;
        if (late > 1000000)
            stats.late_1ms++;
        connection->due_ns += connection->interval_ns;
        if (step_stream(connection))
            heap_sift(1);
        else if (connection->state == STREAMING)
            heap_remove(connection); /* back when it is writable again */
    }
    uint64_t next_ns = heap_count ? heap[1]->due_ns : 0;
    if (next_ns != armed_ns)
        arm_timer(timer_fd, next_ns);
    armed_ns = next_ns;
}

static void send_burst(void) {
    for (struct connection *at = burst, *next; at; at = next) {
        next = at->next_burst;
        if (!step_stream(at))
            leave_burst(at);
    }
}

static int listen_on(const char *port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    /* Small, so that a reader that does not read is felt here soon. */
    int send_bytes = 64 * 1024;
    setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
        die("cannot listen on 127.0.0.1:%s: %s", port, strerror(errno));
    return listener;
}

int main(int count, char **arguments) {
    if (count != 3)
        die("usage: upstream PORT FIXTURES");
    signal(SIGPIPE, SIG_IGN);
    raise_fd_limit();
    for (size_t i = 0; i < 2; i++)
        load_wire(&wires[i], arguments[2]);
    int listener = listen_on(arguments[1]);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = &timer_fd;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event);
    struct epoll_event events[MAX_EVENTS];
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, MAX_EVENTS, burst ? 0 : -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if ((void *)connection == &listener) {
                accept_all(listener);
            } else if ((void *)connection == &timer_fd) {
                uint64_t expirations;
                if (read(timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
                    die("timer: %s", strerror(errno));
            } else if (connection->fd >= 0) {
                if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                    on_readable(connection);
                if (connection->fd >= 0 && events[i].events & EPOLLOUT)
                    on_writable(connection);
            }
        }
        send_due();
        send_burst();
        bury();
    }
}
