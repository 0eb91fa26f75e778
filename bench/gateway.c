/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.c - many WebSocket clients of one node, in two processes over
 * loopback.
 *
 *   gateway load CLIENTS   idle: resident bytes a client, and the kernel's (all
 *                          that its slabs grew by, halved: both ends are
 *                          here); broadcasts one after the other, and many at
 * once: frames/s, and the gateway's processor time a frame; all dropped and all
 * resumed: seconds, lost, doubled gateway raw CLIENTS    the ceiling: a loop
 * that sends the same frame over as many sockets
 *
 * The node has one scheduler.  Two processes hold CLIENTS descriptors each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hardtack.h>
#include <hardtack/gateway.h>

#define COOKIE  "5f1d0c7f3b0f4e0ca1f0b6d2f4f6b0c8a9e3d7c1"
#define ROUNDS  40 /* broadcasts one after the other */
#define BURST   64 /* broadcasts at once */
#define MISSED  20 /* broadcasts while everybody is away */
#define NUMBERS 12 /* digits of a message: its number */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_ns(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return 1e9 * (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           1e3 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void die(const char *what)
{
    fprintf(stderr, "gateway: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void must(ht_err err, const char *what)
{
    if (err != HT_OK) {
        fprintf(stderr, "gateway: %s: %s %s %s\n", what, ht_strerror(err),
                ht_start_error(), ht_gateway_start_error());
        exit(1);
    }
}

static void allow_descriptors(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- the clients' process ------------------------------------------------ */

enum command {
    CONNECT, /* and say hello and subscribe */
    OPEN,    /* only connect */
    RECEIVE, /* until everybody has `count` more messages */
    DROP,    /* all connections, without a word */
    RESUME,  /* and receive as RECEIVE */
    SWALLOW, /* `count` bytes on every connection, whatever they are */
};

struct order {
    enum command command;
    int port;
    uint64_t count;
};

struct report {
    uint64_t lost, doubled, afresh;
};

struct client {
    int fd;
    size_t len, cap;
    char *buf;
    char token[80];
    uint64_t received; /* numbered messages of the session */
    uint64_t last;     /* number of the last broadcast */
    uint64_t want;     /* received: then it is done */
    unsigned welcomes;
    uint64_t bytes;
};

static struct client *clients;
static size_t clients_count;
static int epoll_fd;
static struct report report;
static size_t done; /* clients that have what they wait for */

static int dial(int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0) {
        die("connect");
    }
    return fd;
}

static void watch(struct client *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0) {
        die("epoll");
    }
}

static void say(struct client *c, const char *text)
{
    char frame[400];
    size_t len = strlen(text), n = 0;

    frame[n++] = (char)0x81;
    if (len < 126) {
        frame[n++] = (char)(0x80 | len);
    } else {
        frame[n++] = (char)(0x80 | 126);
        frame[n++] = (char)(len >> 8);
        frame[n++] = (char)len;
    }
    memset(frame + n, 0, 4); /* a mask that changes nothing */
    n += 4;
    memcpy(frame + n, text, len);
    if (write(c->fd, frame, n + len) != (ssize_t)(n + len)) {
        die("write");
    }
}

static void ask_upgrade(struct client *c)
{
    static const char request[] =
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    if (write(c->fd, request, sizeof(request) - 1) !=
        (ssize_t)sizeof(request) - 1) {
        die("write");
    }
}

/* The number of a broadcast, 0: it is none. */
static uint64_t number_of(const char *text, size_t len)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
                              "wxyz0123456789+/";
    const char *at = memmem(text, len, "\"bytes\":\"", 9);
    uint64_t number = 0;

    if (at == NULL || (size_t)(text + len - at) < 9 + 4 * NUMBERS / 3) {
        return 0;
    }
    at += 9;
    for (int i = 0; i < NUMBERS / 3; i++) {
        unsigned bits = 0;

        for (int j = 0; j < 4; j++) {
            bits = bits << 6 | (unsigned)(strchr(set, *at++) - set);
        }
        for (int j = 16; j >= 0; j -= 8) {
            number = number * 10 + (bits >> j & 255) - '0';
        }
    }
    return number;
}

static void on_welcome(struct client *c, char *text)
{
    char *at = strstr(text, "\"resume\":\"");

    c->welcomes++;
    if (at != NULL) {
        sscanf(at, "\"resume\":\"%79[^\"]", c->token);
    }
    if (strstr(text, "\"resumed\":false") != NULL) {
        report.afresh += c->welcomes > 1;
        c->received = 0;
    }
}

static void on_text(struct client *c, char *text, size_t len)
{
    char after = text[len];
    uint64_t number;

    text[len] = '\0';
    if (memmem(text, len < 40 ? len : 40, "\"welcome\"", 9) != NULL) {
        on_welcome(c, text);
        text[len] = after;
        return;
    }
    c->received++;
    number = number_of(text, len);
    if (number != 0) {
        report.doubled += number <= c->last;
        report.lost += number > c->last + 1 ? number - c->last - 1 : 0;
        c->last = number;
    }
    done += c->received == c->want;
    text[len] = after;
}

/* Whole frames at the beginning of what came; returns how much they are. */
static size_t parse(struct client *c)
{
    size_t at = 0;

    while (c->len - at >= 2) {
        const unsigned char *b = (const unsigned char *)c->buf + at;
        size_t head = 2, len = b[1];

        if (len == 126) {
            if (c->len - at < 4) {
                break;
            }
            head = 4;
            len = (size_t)b[2] << 8 | b[3];
        }
        if (c->len - at < head + len) {
            break;
        }
        if (b[0] == 0x81) {
            on_text(c, c->buf + at + head, len);
        }
        at += head + len;
    }
    return at;
}

static char shared[1 << 20];

static void on_readable(struct client *c)
{
    ssize_t n;
    size_t used;

    memcpy(shared, c->buf, c->len);
    n = read(c->fd, shared + c->len, sizeof(shared) - 1 - c->len);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        die("a client was closed");
    }
    c->bytes += (uint64_t)n;
    if (c->want == UINT64_MAX) {
        return;
    }
    {
        struct client view = *c;

        view.buf = shared;
        view.len = c->len + (size_t)n;
        used = parse(&view);
        view.len -= used;
        if (view.len > c->cap) {
            c->cap = view.len;
            c->buf = realloc(c->buf, c->cap);
            if (c->buf == NULL) {
                die("realloc");
            }
        }
        memcpy(c->buf, shared + used, view.len);
        view.buf = c->buf;
        view.cap = c->cap;
        *c = view;
    }
}

static void turn(void)
{
    static struct epoll_event events[1024];
    int n = epoll_wait(epoll_fd, events, 1024, 60000);

    if (n == 0) {
        fprintf(stderr, "gateway: nothing comes any more\n");
        exit(1);
    }
    for (int i = 0; i < n; i++) {
        on_readable(events[i].data.ptr);
    }
}

static void await_upgrade(struct client *c)
{
    char answer[1024];
    size_t len = 0;

    while (len < 4 || memmem(answer, len, "\r\n\r\n", 4) == NULL) {
        ssize_t n = read(c->fd, answer + len, sizeof(answer) - len);

        if (n <= 0) {
            die("upgrade");
        }
        len += (size_t)n;
    }
    if (strncmp(answer, "HTTP/1.1 101", 12) != 0) {
        die("refused");
    }
}

static void connect_all(const struct order *order)
{
    for (size_t i = 0; i < clients_count; i++) {
        struct client *c = &clients[i];

        c->fd = dial(order->port);
        if (order->command != OPEN) {
            ask_upgrade(c);
            await_upgrade(c);
            say(c, "{\"type\":\"hello\"}");
            say(c, "{\"type\":\"subscribe\",\"to\":\"group:bench\","
                   "\"msg_id\":\"s\"}");
            c->want = 1;
        }
        watch(c);
    }
    while (order->command != OPEN && done < clients_count) {
        turn();
    }
}

/* All at once: the handshakes overlap. */
static void resume_all(const struct order *order)
{
    char text[200];

    for (size_t i = 0; i < clients_count; i++) {
        clients[i].fd = dial(order->port);
        ask_upgrade(&clients[i]);
    }
    for (size_t i = 0; i < clients_count; i++) {
        struct client *c = &clients[i];

        await_upgrade(c);
        c->len = 0;
        c->want = c->received + order->count;
        snprintf(text, sizeof(text),
                 "{\"type\":\"resume\",\"resume\":\"%s\",\"received\":%llu}",
                 c->token, (unsigned long long)c->received);
        say(c, text);
        watch(c);
    }
    while (done < clients_count) {
        turn();
    }
}

static void drop_all(void)
{
    struct linger linger = {.l_onoff = 1};

    for (size_t i = 0; i < clients_count; i++) {
        setsockopt(clients[i].fd, SOL_SOCKET, SO_LINGER, &linger,
                   sizeof(linger));
        close(clients[i].fd);
    }
}

static void swallow(uint64_t bytes)
{
    uint64_t want = bytes * clients_count, got = 0;

    for (size_t i = 0; i < clients_count; i++) {
        clients[i].bytes = 0;
        clients[i].want = UINT64_MAX;
    }
    while (got < want) {
        turn();
        got = 0;
        for (size_t i = 0; i < clients_count; i++) {
            got += clients[i].bytes;
        }
    }
}

static void obey(const struct order *order)
{
    done = 0;
    switch (order->command) {
    case CONNECT:
    case OPEN:
        connect_all(order);
        break;
    case RECEIVE:
        for (size_t i = 0; i < clients_count; i++) {
            clients[i].want += order->count;
            done += clients[i].received >= clients[i].want;
        }
        while (done < clients_count) {
            turn();
        }
        break;
    case DROP:
        drop_all();
        break;
    case RESUME:
        resume_all(order);
        break;
    case SWALLOW:
        swallow(order->count);
        break;
    }
}

static int orders_fd, reports_fd;

/* Fork the clients; before there is any thread. */
static pid_t fork_clients(size_t count)
{
    int down[2], up[2];
    pid_t pid;

    if (pipe(down) < 0 || pipe(up) < 0) {
        die("pipe");
    }
    pid = fork();
    if (pid == 0) {
        struct order order;

        close(down[1]);
        close(up[0]);
        clients_count = count;
        clients = calloc(count, sizeof(*clients));
        epoll_fd = epoll_create1(0);
        while (read(down[0], &order, sizeof(order)) == sizeof(order)) {
            obey(&order);
            if (write(up[1], &report, sizeof(report)) != sizeof(report)) {
                break;
            }
        }
        exit(0);
    }
    close(down[0]);
    close(up[1]);
    orders_fd = down[1];
    reports_fd = up[0];
    return pid;
}

static void give(enum command command, int port, uint64_t count)
{
    struct order order = {.command = command, .port = port, .count = count};

    if (write(orders_fd, &order, sizeof(order)) != sizeof(order)) {
        die("order");
    }
}

static struct report await(void)
{
    struct report r;

    if (read(reports_fd, &r, sizeof(r)) != sizeof(r)) {
        fprintf(stderr, "gateway: the clients gave up\n");
        exit(1);
    }
    return r;
}

/* ---- the gateway's process ----------------------------------------------- */

static long resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1) {
        die("statm");
    }
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Of sockets, files, and what watches them. */
static long kernel_bytes(void)
{
    char line[128];
    long kib = 0;
    FILE *f = fopen("/proc/meminfo", "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "Slab: %ld", &kib) == 1) {
            break;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return kib * 1024;
}

static uint64_t number;

static void broadcast(ht_node *node)
{
    char text[NUMBERS + 1];

    snprintf(text, sizeof(text), "%0*llu", NUMBERS,
             (unsigned long long)++number);
    while (ht_group_cast(node, HT_GATEWAY_SCOPE, "bench", "", text, NUMBERS) ==
           0) {
        sched_yield();
    }
}

/* Frames a second, and processor time of this process for one. */
static void broadcasts(ht_node *node,
                       size_t count,
                       unsigned times,
                       unsigned each,
                       double *ret_s,
                       double *ret_cpu)
{
    double frames = (double)count * times * each;
    uint64_t start = now_ns();
    double cpu = cpu_ns();

    for (unsigned i = 0; i < times; i++) {
        give(RECEIVE, 0, each);
        for (unsigned j = 0; j < each; j++) {
            broadcast(node);
        }
        (void)await();
    }
    *ret_s = frames / ((double)(now_ns() - start) / 1e9);
    *ret_cpu = (cpu_ns() - cpu) / frames;
}

static int run_load(size_t count)
{
    static const char *const public[] = {"subscribe group:bench"};
    pid_t pid = fork_clients(count);
    ht_config config = {.name = "bench",
                        .hostname = "localhost",
                        .cookie = COOKIE,
                        .fast_kdf = true,
                        .threads = 1};
    ht_gateway_config web = {.address = "127.0.0.1",
                             .port = HT_PORT_ANY,
                             .connections_max = 1u << 20,
                             .connections_per_address_max = 1u << 20,
                             .public_targets = public,
                             .public_targets_count = 1};
    double one_s, one_cpu, burst_s, burst_cpu, resumed;
    ht_gateway *gateway = NULL;
    ht_node *node = NULL;
    struct report r;
    uint64_t start;
    long before, after, kernel;
    int port;

    must(ht_node_start(&config, &node), "node");
    must(ht_gateway_start(node, &web, &gateway), "gateway");
    port = ht_gateway_port(gateway);
    before = resident();
    kernel = kernel_bytes();
    give(CONNECT, port, 0);
    (void)await();
    after = resident();
    kernel = kernel_bytes() - kernel;
    broadcasts(node, count, ROUNDS, 1, &one_s, &one_cpu);
    broadcasts(node, count, 4, BURST, &burst_s, &burst_cpu);
    give(DROP, 0, 0);
    (void)await();
    for (int i = 0; i < MISSED; i++) {
        broadcast(node);
    }
    start = now_ns();
    give(RESUME, port, MISSED);
    r = await();
    resumed = (double)(now_ns() - start) / 1e9;
    printf("bytes_client=%.0f kernel_bytes=%.0f frames_s=%.0f cpu_ns=%.0f "
           "burst_frames_s=%.0f "
           "burst_cpu_ns=%.0f resume_s=%.2f lost=%llu doubled=%llu "
           "afresh=%llu\n",
           (double)(after - before) / (double)count,
           kernel > 0 ? (double)kernel / 2 / (double)count : 0, one_s, one_cpu,
           burst_s, burst_cpu, resumed, (unsigned long long)r.lost,
           (unsigned long long)r.doubled, (unsigned long long)r.afresh);
    ht_gateway_free(gateway);
    ht_node_free(node);
    close(orders_fd);
    waitpid(pid, NULL, 0);
    return r.lost + r.doubled + r.afresh == 0 ? 0 : 1;
}

static int run_raw(size_t count)
{
    char frame[84] = {(char)0x81, 82};
    pid_t pid = fork_clients(count);
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int *fds = calloc(count, sizeof(*fds));
    int one = 1;
    uint64_t start;
    double cpu;

    if (fd < 0 || fds == NULL ||
        bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
        listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&in, &len) < 0) {
        die("listen");
    }
    give(OPEN, ntohs(in.sin_port), 0);
    for (size_t i = 0; i < count; i++) {
        fds[i] = accept(fd, NULL, NULL);
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    (void)await();
    start = now_ns();
    cpu = cpu_ns();
    for (int round = 0; round < ROUNDS; round++) {
        give(SWALLOW, 0, sizeof(frame));
        for (size_t i = 0; i < count; i++) {
            if (send(fds[i], frame, sizeof(frame), MSG_NOSIGNAL) !=
                (ssize_t)sizeof(frame)) {
                die("send");
            }
        }
        (void)await();
    }
    printf("frames_s=%.0f cpu_ns=%.0f\n",
           (double)count * ROUNDS / ((double)(now_ns() - start) / 1e9),
           (cpu_ns() - cpu) / ((double)count * ROUNDS));
    close(orders_fd);
    waitpid(pid, NULL, 0);
    free(fds);
    return 0;
}

int main(int argc, char **argv)
{
    size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

    allow_descriptors();
    if (count > 0 && strcmp(argv[1], "load") == 0) {
        return run_load(count);
    }
    if (count > 0 && strcmp(argv[1], "raw") == 0) {
        return run_raw(count);
    }
    fprintf(stderr, "usage: gateway load|raw CLIENTS\n");
    return 2;
}
