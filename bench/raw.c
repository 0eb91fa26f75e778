/* SPDX-License-Identifier: Apache-2.0 */
/* raw.c - the ceiling: plain C over one TCP connection on loopback, two
 * processes, no actors.  bench/run puts these figures beside ours.
 *
 *   raw rpc  SIZE SECONDS block|spin|one  one at a time: p50 p99 in us, calls/s
 *                                         (apart; spinning; on one CPU)
 *   raw many SIZE SECONDS COUNT           that many in flight: calls/s
 *   raw cast SIZE SECONDS                 one way: messages/s, counted
 *   raw connect COUNT                     connect and one byte back: p50 in us
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "bench/measure.h"

#define HEAD        8
#define BATCH_BYTES (64 * 1024)
#define SAMPLES_MAX (1u << 20)

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_any(struct sockaddr_in *address)
{
    socklen_t len = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(address, 0, sizeof(*address));
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, len) < 0 ||
        listen(fd, 128) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) < 0) {
        die("listen");
    }
    return fd;
}

static int dial(const struct sockaddr_in *address)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 ||
        connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
        die("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

/* Wait for input the way that was asked for: in epoll, as a server does, or by
 * trying again. Returns bytes, 0 at the end of the stream. */
static size_t read_some(int fd, int ep, bool spin, void *buf, size_t len)
{
    struct epoll_event event;
    ssize_t n;

    for (;;) {
        if (!spin) {
            (void)epoll_wait(ep, &event, 1, -1);
        }
        n = recv(fd, buf, len, MSG_DONTWAIT);
        if (n >= 0) {
            return (size_t)n;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return 0;
        }
    }
}

static int watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    int ep = epoll_create1(EPOLL_CLOEXEC);

    if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) < 0) {
        die("epoll");
    }
    return ep;
}

static bool read_all(int fd, int ep, bool spin, uint8_t *buf, size_t len)
{
    size_t have = 0;

    while (have < len) {
        size_t n = read_some(fd, ep, spin, buf + have, len - have);
        if (n == 0) {
            return false;
        }
        have += n;
    }
    return true;
}

static void write_all(int fd, const uint8_t *buf, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            die("send");
        }
        buf += n;
        len -= (size_t)n;
    }
}

static void echo_server(int listener, size_t frame, bool spin)
{
    int one = 1;
    int fd = accept(listener, NULL, NULL);
    int ep = watch(fd);
    uint8_t *buf = malloc(frame);

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    while (read_all(fd, ep, spin, buf, frame)) {
        write_all(fd, buf, frame);
    }
    free(buf);
}

static void rpc(size_t size, double seconds, const char *wait_by)
{
    bool spin = strcmp(wait_by, "spin") == 0;
    bool one = strcmp(wait_by, "one") == 0;
    struct sockaddr_in address;
    size_t frame = size + HEAD;
    int listener = listen_any(&address);
    uint32_t *samples = malloc(SAMPLES_MAX * sizeof(*samples));
    uint8_t *buf = calloc(1, frame);
    size_t count = 0;
    uint64_t start;
    uint64_t end;
    uint64_t t;
    int fd;
    int ep;

    pin(0);
    if (fork() == 0) {
        pin(one ? 0 : 1);
        echo_server(listener, frame, spin);
        _exit(0);
    }
    fd = dial(&address);
    ep = watch(fd);
    start = now_ns() + 100000000u; /* warm up first */
    end = start + (uint64_t)(seconds * 1e9);
    t = now_ns();
    while (t < end && count < SAMPLES_MAX) {
        uint64_t after;
        write_all(fd, buf, frame);
        if (!read_all(fd, ep, spin, buf, frame)) {
            die("read");
        }
        after = now_ns();
        if (t >= start) {
            samples[count++] = (uint32_t)(after - t);
        }
        t = after;
    }
    close(fd);
    while (wait(NULL) > 0) {
    }
    printf("p50_us=%.2f p99_us=%.2f calls_s=%.0f\n",
           percentile(samples, count, 0.5), percentile(samples, count, 0.99),
           (double)count / ((double)(t - start) / 1e9));
    free(samples);
    free(buf);
}

static void echo_what_comes(int listener)
{
    int one = 1;
    int fd = accept(listener, NULL, NULL);
    uint8_t *buf = malloc(4u * BATCH_BYTES);
    ssize_t n;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    while ((n = recv(fd, buf, 4u * BATCH_BYTES, 0)) > 0) {
        write_all(fd, buf, (size_t)n);
    }
    free(buf);
}

/* Each answer that comes is a call that goes; one write for all that came
 * together, as a node has it. */
static void many(size_t size, double seconds, size_t count)
{
    struct sockaddr_in address;
    size_t frame = size + HEAD;
    int listener = listen_any(&address);
    uint8_t *buf = calloc(count, frame);
    uint64_t start, end;
    size_t bytes = 0;
    size_t n;
    int fd, ep;

    pin(0);
    if (fork() == 0) {
        pin(1);
        echo_what_comes(listener);
        _exit(0);
    }
    fd = dial(&address);
    ep = watch(fd);
    start = now_ns();
    end = start + (uint64_t)(seconds * 1e9);
    write_all(fd, buf, count * frame);
    while (now_ns() < end) {
        n = read_some(fd, ep, false, buf, count * frame);
        if (n == 0) {
            die("read");
        }
        bytes += n;
        write_all(fd, buf, n);
    }
    end = now_ns();
    close(fd);
    while (wait(NULL) > 0) {
    }
    printf("calls_s=%.0f\n",
           (double)(bytes / frame) / ((double)(end - start) / 1e9));
    free(buf);
}

/* Count frames in place, as a node's reader must: read a length, skip. */
static uint64_t count_frames(int fd)
{
    uint8_t *buf = malloc(4u * BATCH_BYTES);
    uint64_t messages = 0;
    uint64_t skip = 0;
    uint8_t head[HEAD];
    size_t head_len = 0;
    volatile uint8_t sink = 0;

    for (;;) {
        ssize_t n = recv(fd, buf, 4u * BATCH_BYTES, 0);
        size_t at = 0;
        if (n <= 0) {
            break;
        }
        while (at < (size_t)n) {
            size_t left = (size_t)n - at;
            if (head_len == HEAD) {
                size_t take = skip < left ? (size_t)skip : left;
                sink ^= buf[at];
                at += take;
                skip -= take;
            } else {
                size_t take = HEAD - head_len < left ? HEAD - head_len : left;
                memcpy(head + head_len, buf + at, take);
                head_len += take;
                at += take;
                if (head_len == HEAD) {
                    memcpy(&skip, head, HEAD);
                }
            }
            if (head_len == HEAD && skip == 0) {
                messages++;
                head_len = 0;
            }
        }
    }
    (void)sink;
    free(buf);
    return messages;
}

static void cast(size_t size, double seconds)
{
    struct sockaddr_in address;
    size_t frame = size + HEAD;
    int listener = listen_any(&address);
    int result[2];
    uint64_t length = size;
    uint64_t sent = 0;
    uint64_t got = 0;
    uint64_t start;
    uint64_t end;
    size_t batch = frame > BATCH_BYTES ? 1 : BATCH_BYTES / frame;
    uint8_t *buf = calloc(batch, frame);
    int fd;

    if (pipe(result) < 0) {
        die("pipe");
    }
    if (fork() == 0) {
        int peer = accept(listener, NULL, NULL);
        uint64_t n = count_frames(peer);
        _exit(write(result[1], &n, sizeof(n)) != sizeof(n));
    }
    fd = dial(&address);
    start = now_ns();
    end = start + (uint64_t)(seconds * 1e9);
    while (now_ns() < end) {
        for (size_t i = 0; i < batch; i++) {
            memcpy(buf + i * frame, &length, HEAD);
            memset(buf + i * frame + HEAD, (int)i, size);
        }
        write_all(fd, buf, batch * frame);
        sent += batch;
    }
    shutdown(fd, SHUT_WR);
    if (read(result[0], &got, sizeof(got)) != sizeof(got) || got != sent) {
        fprintf(stderr, "raw: sent and received differ\n");
        exit(1);
    }
    end = now_ns();
    while (wait(NULL) > 0) {
    }
    printf("msgs_s=%.0f mb_s=%.0f cpu_ns=%.0f\n",
           (double)sent / ((double)(end - start) / 1e9),
           (double)sent * (double)size / ((double)(end - start) / 1e3),
           cpu_ns() / (double)sent);
    free(buf);
}

static void connects(size_t count)
{
    struct sockaddr_in address;
    int listener = listen_any(&address);
    uint32_t *samples = malloc(count * sizeof(*samples));

    if (fork() == 0) {
        for (size_t i = 0; i < count; i++) {
            uint8_t byte = 1;
            int fd = accept(listener, NULL, NULL);
            write_all(fd, &byte, 1);
            close(fd);
        }
        _exit(0);
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t byte;
        uint64_t t = now_ns();
        int fd = dial(&address);
        if (recv(fd, &byte, 1, 0) != 1) {
            die("recv");
        }
        samples[i] = (uint32_t)(now_ns() - t);
        close(fd);
    }
    while (wait(NULL) > 0) {
    }
    printf("p50_us=%.2f\n", percentile(samples, count, 0.5));
    free(samples);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "rpc") == 0) {
        rpc((size_t)atol(argv[2]), atof(argv[3]), argv[4]);
    } else if (argc == 5 && strcmp(argv[1], "many") == 0) {
        many((size_t)atol(argv[2]), atof(argv[3]), (size_t)atol(argv[4]));
    } else if (argc == 4 && strcmp(argv[1], "cast") == 0) {
        cast((size_t)atol(argv[2]), atof(argv[3]));
    } else if (argc == 3 && strcmp(argv[1], "connect") == 0) {
        connects((size_t)atol(argv[2]));
    } else {
        fprintf(
            stderr,
            "usage: raw rpc SIZE SECONDS block|spin|one | many SIZE SECONDS "
            "COUNT | cast SIZE SECONDS | connect COUNT\n");
        return 2;
    }
    return 0;
}
