/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - actors on two nodes in two processes over loopback.
 *
 *   link rpc SIZE SECONDS ENC WAIT CALLERS   p50 p99 in us, calls/s
 *   link cast SIZE SECONDS ENC               messages/s, every one counted,
 *                                            its number and its end checked
 *   link connect COUNT ENC                   dial until ready: p50 in us
 *   link memory PEERS ENC                    resident bytes a connected peer
 *
 * ENC: none, cookie.  WAIT: spin (poll before sleeping, long enough to stay
 * awake), block (never poll), one (never poll, both on one processor).
 */
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>

#include <hardtack.h>

#include "bench/measure.h"

#define SAMPLES_MAX (1u << 20)
#define COOKIE      "5f1d0c7f3b0f4e0ca1f0b6d2f4f6b0c8a9e3d7c1"

static ht_encryption encryption = HT_ENCRYPT_NONE;
static uint32_t spin_us = HT_INFINITE;
static int server_cpu = -1; /* where to pin the server; the client on 0 */

static void must(ht_err err, const char *what)
{
    if (err != HT_OK) {
        fprintf(stderr, "link: %s: %s %s\n", what, ht_strerror(err),
                ht_start_error());
        exit(1);
    }
}

static ht_node *start(const char *name, int port, unsigned threads)
{
    ht_node *node = NULL;
    ht_config config = {.size = sizeof(config),
                        .name = name,
                        .hostname = "localhost",
                        .port = port,
                        .cookie = COOKIE,
                        .fast_kdf = true,
                        .encryption = encryption,
                        .threads = threads,
                        .spin_us = spin_us,
                        .pending_max = 4096,
                        .pending_per_address_max = 4096};

    must(ht_node_start(&config, &node), name);
    return node;
}

/* ---- the server's process ---- */

static uint64_t sink_count;

/* A cast's first bytes are its number, the last says so again. */
static void stamp(uint8_t *payload, size_t size, uint64_t number)
{
    memcpy(payload, &number, sizeof(number));
    payload[size - 1] = (uint8_t)(number % 251);
}

static void check_stamp(ht_bytes args)
{
    uint64_t number = 0;

    if (args.len > sizeof(number)) {
        memcpy(&number, args.data, sizeof(number));
    }
    if (args.len <= sizeof(number) || number != sink_count ||
        ((const uint8_t *)args.data)[args.len - 1] != number % 251) {
        fprintf(stderr, "link: not message %llu\n",
                (unsigned long long)sink_count);
        exit(1);
    }
}

static ht_err server_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    ht_bytes args = ht_msg_args(msg);

    if (call.id == 0) {
        check_stamp(args);
        sink_count++;
        return HT_OK;
    }
    if (strcmp(ht_msg_variant(msg), "count") == 0) {
        return ht_reply_ok(self, call, &sink_count, sizeof(sink_count));
    }
    return ht_reply_ok(self, call, args.data, args.len);
}

/* Fork a server node; returns its port and the pipe that ends it. */
static int serve(int *ret_port, int *ret_stop, pid_t *ret_pid)
{
    static const ht_behavior behavior = {.handle = server_handle};
    ht_spawn_opts opts = {.name = "server",
                          .mailbox_messages_max = UINT32_MAX,
                          .mailbox_bytes_max = UINT32_MAX};
    int up[2];
    int down[2];
    pid_t pid;

    if (pipe(up) < 0 || pipe(down) < 0) {
        return -1;
    }
    pid = fork();
    if (pid == 0) {
        ht_node *node;
        ht_ref ref;
        int port;
        char byte;
        close(down[1]);
        if (server_cpu >= 0) {
            pin(server_cpu);
        }
        node = start("server", HT_PORT_ANY, 1);
        must(ht_spawn(node, &behavior, NULL, &opts, &ref), "spawn");
        must(ht_group_join(node, "servers", ref), "join");
        port = ht_node_port(node);
        if (write(up[1], &port, sizeof(port)) != sizeof(port)) {
            exit(1);
        }
        (void)!read(down[0], &byte, 1);
        ht_node_free(node);
        exit(0);
    }
    close(down[0]);
    *ret_stop = down[1];
    *ret_pid = pid;
    return read(up[0], ret_port, sizeof(*ret_port)) == sizeof(*ret_port) ? 0
                                                                         : -1;
}

static void address_of(int port, char *buf, size_t len)
{
    snprintf(buf, len, "127.0.0.1:%d", port);
}

static ht_ref server_of(ht_node *node, int port)
{
    char address[32];
    ht_ref ref;

    address_of(port, address, sizeof(address));
    must(ht_client_connect(node, address, NULL), "connect");
    must(ht_group_pick(node, NULL, "servers", false, &ref), "pick");
    return ref;
}

/* ---- one at a time, by some callers ---- */

static struct {
    ht_ref to;
    uint8_t *payload;
    size_t size;
    uint64_t start, end;
    uint32_t *samples;
    _Atomic size_t count;
    _Atomic int running;
    _Atomic size_t failed;
} rpc;

static void rpc_next(ht_actor *self);

static void rpc_done(ht_actor *self, const ht_reply *reply, void *arg)
{
    uint64_t t = now_ns();
    uint64_t sent = (uint64_t)(uintptr_t)arg;

    if (reply->err != HT_OK || reply->len != rpc.size ||
        memcmp(reply->data, rpc.payload, rpc.size) != 0) {
        atomic_fetch_add(&rpc.failed, 1);
    } else if (sent >= rpc.start) {
        size_t i = atomic_fetch_add(&rpc.count, 1);
        if (i < SAMPLES_MAX) {
            rpc.samples[i] = (uint32_t)(t - sent);
        }
    }
    if (t < rpc.end) {
        rpc_next(self);
    } else {
        atomic_fetch_sub(&rpc.running, 1);
    }
}

static void rpc_next(ht_actor *self)
{
    ht_err err =
        ht_call_async(self, rpc.to, "echo", rpc.payload, rpc.size, HT_INFINITE,
                      rpc_done, (void *)(uintptr_t)now_ns(), NULL);

    if (err != HT_OK) {
        atomic_fetch_add(&rpc.failed, 1);
        atomic_fetch_sub(&rpc.running, 1);
    }
}

static ht_err rpc_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    (void)msg;
    (void)call;
    rpc_next(self);
    return HT_OK;
}

static void wait_while(_Atomic int *running)
{
    struct timespec nap = {.tv_nsec = 20000000};

    while (atomic_load(running) > 0) {
        nanosleep(&nap, NULL);
    }
}

static int run_rpc(size_t size, double seconds, int callers)
{
    static const ht_behavior behavior = {.handle = rpc_handle};
    ht_node *node;
    pid_t pid;
    int port;
    int stop;

    if (serve(&port, &stop, &pid) < 0) {
        return 1;
    }
    node = start("client", 0, 1);
    rpc.to = server_of(node, port);
    rpc.size = size;
    rpc.payload = malloc(size + 1);
    memset(rpc.payload, 'x', size + 1);
    rpc.samples = calloc(SAMPLES_MAX, sizeof(*rpc.samples));
    rpc.start = now_ns() + 200000000u;
    rpc.end = rpc.start + (uint64_t)(seconds * 1e9);
    atomic_store(&rpc.running, callers);
    for (int i = 0; i < callers; i++) {
        ht_ref ref;
        must(ht_spawn(node, &behavior, NULL, NULL, &ref), "spawn");
        must(ht_cast(node, ref, "go", NULL, 0), "go");
    }
    wait_while(&rpc.running);
    if (atomic_load(&rpc.failed) != 0) {
        fprintf(stderr, "link: %zu calls failed\n", atomic_load(&rpc.failed));
        return 1;
    }
    {
        size_t n = atomic_load(&rpc.count);
        size_t kept = n < SAMPLES_MAX ? n : SAMPLES_MAX;
        double p50 = percentile(rpc.samples, kept, 0.5);
        printf("p50_us=%.2f p99_us=%.2f calls_s=%.0f\n", p50,
               percentile(rpc.samples, kept, 0.99), (double)n / seconds);
    }
    ht_node_free(node);
    close(stop);
    waitpid(pid, NULL, 0);
    free(rpc.payload);
    free(rpc.samples);
    return 0;
}

/* ---- one way ---- */

static struct {
    ht_ref to;
    uint8_t *payload;
    size_t size;
    uint64_t end;
    uint64_t sent;
    _Atomic int running;
} stream;

/* Send until the outbox refuses, or for a while; then let others run. */
static ht_err stream_some(ht_actor *self)
{
    ht_node *node = ht_actor_node(self);

    if (now_ns() >= stream.end) {
        atomic_store(&stream.running, 0);
        return HT_OK;
    }
    for (int i = 0; i < 512; i++) {
        ht_err err;

        stamp(stream.payload, stream.size, stream.sent);
        err = ht_cast(node, stream.to, "data", stream.payload, stream.size);
        if (err == HT_EBUSY) {
            return ht_notify_writable(self, stream.to);
        }
        if (err != HT_OK) {
            return err;
        }
        stream.sent++;
    }
    return ht_cast(node, ht_self(self), "more", NULL, 0);
}

static ht_err stream_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    (void)msg;
    (void)call;
    return stream_some(self);
}

static ht_err stream_event(ht_actor *self, const ht_event *event)
{
    (void)event;
    return stream_some(self);
}

static void stream_end(ht_actor *self, const ht_exit *why)
{
    (void)self;
    if (why->kind == HT_EXIT_FAILED) {
        fprintf(stderr, "link: sender failed: %s\n", why->text);
    }
    atomic_store(&stream.running, 0);
}

static int run_cast(size_t size, double seconds)
{
    static const ht_behavior behavior = {.handle = stream_handle,
                                         .on_event = stream_event,
                                         .terminate = stream_end};
    ht_node *node;
    ht_ref ref;
    ht_reply reply;
    uint64_t start_ns;
    uint64_t took;
    uint64_t got = 0;
    pid_t pid;
    int port;
    int stop;

    if (serve(&port, &stop, &pid) < 0) {
        return 1;
    }
    node = start("client", 0, 1);
    stream.to = server_of(node, port);
    stream.size = size;
    stream.payload = calloc(1, size + 1);
    atomic_store(&stream.running, 1);
    must(ht_spawn(node, &behavior, NULL, NULL, &ref), "spawn");
    start_ns = now_ns();
    stream.end = start_ns + (uint64_t)(seconds * 1e9);
    must(ht_cast(node, ref, "go", NULL, 0), "go");
    wait_while(&stream.running);
    /* A call of an ordinary thread has no order with the casts: ask until all
     * are there. */
    do {
        must(ht_call_wait(node, stream.to, "count", NULL, 0, 60000, &reply),
             "count");
        memcpy(&got, reply.data, sizeof(got));
        ht_reply_fini(&reply);
    } while (got < stream.sent && now_ns() < stream.end + 60000000000u);
    took = now_ns() - start_ns;
    if (got != stream.sent) {
        fprintf(stderr, "link: sent %llu, received %llu\n",
                (unsigned long long)stream.sent, (unsigned long long)got);
        return 1;
    }
    ht_node_free(node);
    close(stop);
    waitpid(pid, NULL, 0);
    printf("msgs_s=%.0f mb_s=%.0f cpu_ns=%.0f\n",
           (double)got / ((double)took / 1e9),
           (double)got * (double)size / ((double)took / 1e3),
           cpu_ns() / (double)got);
    free(stream.payload);
    return 0;
}

/* ---- connecting ---- */

static int run_connect(size_t count)
{
    uint32_t *samples = calloc(count, sizeof(*samples));
    char address[32];
    ht_node *node;
    pid_t pid;
    int port;
    int stop;

    if (serve(&port, &stop, &pid) < 0) {
        return 1;
    }
    address_of(port, address, sizeof(address));
    for (size_t i = 0; i < count; i++) {
        uint64_t t;
        node = start("client", 0, 1);
        t = now_ns();
        must(ht_client_connect(node, address, NULL), "connect");
        samples[i] = (uint32_t)(now_ns() - t);
        ht_node_free(node);
    }
    printf("p50_us=%.2f\n", percentile(samples, count, 0.5));
    close(stop);
    waitpid(pid, NULL, 0);
    free(samples);
    return 0;
}

/* ---- memory ---- */

/* One process with `count` nodes that all dial the server: the server's growth
 * is the cost of an accepted peer. */
static int run_memory(size_t count)
{
    char address[32];
    ht_node **nodes = calloc(count, sizeof(*nodes));
    long before;
    long after;
    pid_t pid;
    int port;
    int stop;

    if (serve(&port, &stop, &pid) < 0) {
        return 1;
    }
    address_of(port, address, sizeof(address));
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "client%zu", i);
        nodes[i] = start(name, 0, 1);
    }
    /* The first connection pays for what all share. */
    must(ht_client_connect(nodes[0], address, NULL), "connect");
    before = resident(pid);
    for (size_t i = 1; i < count; i++) {
        must(ht_client_connect(nodes[i], address, NULL), "connect");
    }
    after = resident(pid);
    printf("bytes_peer=%.0f\n", (double)(after - before) / (double)(count - 1));
    for (size_t i = 0; i < count; i++) {
        ht_node_free(nodes[i]);
    }
    close(stop);
    waitpid(pid, NULL, 0);
    free(nodes);
    return 0;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: link rpc SIZE SECONDS none|cookie block|spin|one CALLERS\n"
            "       link cast SIZE SECONDS none|cookie\n"
            "       link connect COUNT none|cookie\n"
            "       link memory PEERS none|cookie\n");
    return 2;
}

static bool set_encryption(const char *name)
{
    encryption =
        strcmp(name, "cookie") == 0 ? HT_ENCRYPT_COOKIE : HT_ENCRYPT_NONE;
    return encryption == HT_ENCRYPT_COOKIE || strcmp(name, "none") == 0;
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "rpc") == 0 && set_encryption(argv[4])) {
        spin_us = strcmp(argv[5], "spin") == 0 ? 1000 : HT_INFINITE;
        server_cpu = strcmp(argv[5], "one") == 0 ? 0 : 1;
        pin(0);
        return run_rpc((size_t)atol(argv[2]), atof(argv[3]), atoi(argv[6]));
    }
    if (argc == 5 && strcmp(argv[1], "cast") == 0 && set_encryption(argv[4]) &&
        atol(argv[2]) > (long)sizeof(uint64_t)) {
        spin_us = 0;
        return run_cast((size_t)atol(argv[2]), atof(argv[3]));
    }
    if (argc == 4 && strcmp(argv[1], "connect") == 0 &&
        set_encryption(argv[3])) {
        return run_connect((size_t)atol(argv[2]));
    }
    if (argc == 4 && strcmp(argv[1], "memory") == 0 &&
        set_encryption(argv[3])) {
        return run_memory((size_t)atol(argv[2]));
    }
    return usage();
}
