/* What the mock upstream and the load generator share: time, sockets, growing buffers. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

struct buffer {
    char *bytes;
    size_t length, capacity;
};

static inline void buffer_reserve(struct buffer *buffer, size_t more) {
    if (buffer->length + more <= buffer->capacity)
        return;
    size_t capacity = buffer->capacity ? buffer->capacity : 4096;
    while (capacity < buffer->length + more)
        capacity *= 2;
    buffer->bytes = realloc(buffer->bytes, capacity);
    if (!buffer->bytes)
        die("out of memory");
    buffer->capacity = capacity;
}

static inline void buffer_add(struct buffer *buffer, const char *bytes, size_t length) {
    buffer_reserve(buffer, length);
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
}

static inline struct buffer read_whole_file(const char *path) {
    struct buffer buffer = {0};
    FILE *file = fopen(path, "rb");
    if (!file)
        die("cannot open %s: %s", path, strerror(errno));
    for (;;) {
        buffer_reserve(&buffer, 65536);
        size_t got = fread(buffer.bytes + buffer.length, 1, 65536, file);
        if (!got)
            break;
        buffer.length += got;
    }
    fclose(file);
    buffer_add(&buffer, "", 1);
    buffer.length--; /* the NUL stays behind the end, for string functions */
    return buffer;
}

/* The value of a header (without leading blanks, up to the line's end), or NULL. `head` ends in a
 * line end and a NUL; `name` is lower case and ends in a colon. */
static inline const char *header(const char *head, const char *name) {
    size_t length = strlen(name);
    for (const char *line = strchr(head, '\n'); line; line = strchr(line, '\n')) {
        line++;
        if ((*line | 0x20) == *name && !strncasecmp(line, name, length)) {
            line += length;
            return line + strspn(line, " ");
        }
    }
    return NULL;
}

static inline void set_nodelay(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline void raise_fd_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Wake `timer_fd` at a time of the monotonic clock; 0 disarms it. */
static inline void arm_timer(int timer_fd, uint64_t at_ns) {
    struct itimerspec when = {0};
    when.it_value.tv_sec = (time_t)(at_ns / NS_PER_S);
    when.it_value.tv_nsec = (long)(at_ns % NS_PER_S);
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

#endif
