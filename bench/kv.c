/* SPDX-License-Identifier: Apache-2.0 */
/* kv.c - the replicated store under load, and what the disk itself can do.
 *
 *   kv put|get|stale MEMBER CLIENTS SECONDS SIZE   one at a time by each client
 *   kv fill MEMBER KEYS SIZE                       KEYS keys, 100 at a time
 *   kv disk DIRECTORY SECONDS                      fdatasync of 512 bytes, in
 * turn
 *
 * MEMBER is NAME@HOST=ADDRESS; the cookie comes from HT_BENCH_COOKIE, and
 * HT_BENCH_ENCRYPTION=none leaves out encryption, as etcd's default does.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hardtack.h>

#include "hardtack/kv.pb-c.h"

#define SAMPLES_MAX  (1u << 21)
#define KEYS         10000u
#define STORE        "hardtack.kv"
#define FILL_CLIENTS 64
#define FILL_KEYS    100u

enum what { PUT, GET, STALE, FILL };

static struct {
    enum what what;
    char *member;
    const char *address;
    char *value;
    uint64_t start, end;
    uint32_t *samples;
    _Atomic size_t count;
    _Atomic uint64_t next; /* key to fill */
    uint64_t keys;
    _Atomic int running;
    _Atomic size_t failed;
} load;

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void must(bool ok, const char *what, const char *why)
{
    if (!ok) {
        fprintf(stderr, "kv: %s: %s\n", what, why);
        exit(1);
    }
}

/* ---- what is asked ------------------------------------------------------- */

static void name_key(char key[32], uint64_t n)
{
    snprintf(key, 32, "key-%012" PRIu64, n);
}

static void set_put(Hardtack__Kv__PutRequest *put, char *key)
{
    hardtack__kv__put_request__init(put);
    put->key = key;
    put->data_case = HARDTACK__KV__PUT_REQUEST__DATA_TEXT;
    put->text = load.value;
}

static const char *write_put(ht_args *args, uint64_t n)
{
    Hardtack__Kv__PutRequest put;
    char key[32];

    name_key(key, n);
    set_put(&put, key);
    ht_args_message(args, &put.base);
    return "Put";
}

static const char *write_get(ht_args *args, uint64_t n)
{
    Hardtack__Kv__GetRequest get = HARDTACK__KV__GET_REQUEST__INIT;
    char key[32];

    name_key(key, n);
    get.key = key;
    get.stale = load.what == STALE;
    ht_args_message(args, &get.base);
    return "Get";
}

static const char *write_txn(ht_args *args, uint64_t first)
{
    static _Thread_local struct {
        Hardtack__Kv__PutRequest puts[FILL_KEYS];
        Hardtack__Kv__Op steps[FILL_KEYS];
        Hardtack__Kv__Op *list[FILL_KEYS];
        char keys[FILL_KEYS][32];
    } t;
    Hardtack__Kv__TxnRequest txn = HARDTACK__KV__TXN_REQUEST__INIT;

    for (size_t i = 0; i < FILL_KEYS && first + i < load.keys; i++) {
        name_key(t.keys[i], first + i);
        set_put(&t.puts[i], t.keys[i]);
        hardtack__kv__op__init(&t.steps[i]);
        t.steps[i].op_case = HARDTACK__KV__OP__OP_PUT;
        t.steps[i].put = &t.puts[i];
        t.list[i] = &t.steps[i];
        txn.n_then++;
    }
    txn.then = t.list;
    ht_args_message(args, &txn.base);
    return "Txn";
}

/* ---- clients: an actor each ---------------------------------------------- */

static void next(ht_actor *self);

static void on_reply(ht_actor *self, const ht_reply *reply, void *arg)
{
    uint64_t t = now_ns();
    uint64_t sent = (uint64_t)(uintptr_t)arg;

    if (reply->err != HT_OK) {
        if (atomic_fetch_add(&load.failed, 1) == 0) {
            fprintf(stderr, "kv: %s %s\n", ht_strerror(reply->err),
                    reply->reason);
        }
        atomic_fetch_sub(&load.running, 1);
        return;
    }
    if (sent >= load.start) {
        size_t i = atomic_fetch_add(&load.count, 1);

        if (i < SAMPLES_MAX) {
            load.samples[i] = (uint32_t)((t - sent) / 1000);
        }
    }
    if (load.what == FILL ? atomic_load(&load.next) < load.keys
                          : t < load.end) {
        next(self);
    } else {
        atomic_fetch_sub(&load.running, 1);
    }
}

static void next(ht_actor *self)
{
    static _Thread_local unsigned random = 1;
    ht_args args = HT_ARGS_INIT;
    const char *method;
    uint64_t n = (uint64_t)rand_r(&random) % KEYS;
    ht_err err;

    if (load.what == FILL) {
        n = atomic_fetch_add(&load.next, FILL_KEYS);
        if (n >= load.keys) {
            atomic_fetch_sub(&load.running, 1);
            return;
        }
        method = write_txn(&args, n);
    } else {
        method = load.what == PUT ? write_put(&args, n) : write_get(&args, n);
    }
    err = args.err;
    if (err == HT_OK) {
        err = ht_call_name_async(self, load.member, STORE, method, args.data,
                                 args.len, 10000, on_reply,
                                 (void *)(uintptr_t)now_ns(), NULL);
    }
    ht_args_fini(&args);
    must(err == HT_OK, method, ht_strerror(err));
}

static ht_err on_message(ht_actor *self, const ht_msg *msg, ht_call call)
{
    (void)msg;
    (void)call;
    next(self);
    return HT_OK;
}

static ht_node *connect_node(void)
{
    const char *none = getenv("HT_BENCH_ENCRYPTION");
    ht_node *node = NULL;
    char name[32];
    ht_config config = {
        .name = name,
        .hidden = true,
        .threads = 1,
        .cookie_env = "HT_BENCH_COOKIE",
        .encryption = none != NULL && strcmp(none, "none") == 0
                          ? HT_ENCRYPT_NONE
                          : HT_ENCRYPT_COOKIE,
    };
    ht_err err;

    snprintf(name, sizeof(name), "bench-%ld", (long)getpid());
    err = ht_node_start(&config, &node);
    must(err == HT_OK, "start", ht_start_error());
    err = ht_client_connect(node, load.address, NULL);
    must(err == HT_OK, load.address, ht_strerror(err));
    return node;
}

static void run_clients(ht_node *node, int clients)
{
    static const ht_behavior behavior = {.handle = on_message};
    const struct timespec nap = {.tv_nsec = 10000000};

    atomic_store(&load.running, clients);
    for (int i = 0; i < clients; i++) {
        ht_ref ref;
        ht_err err = ht_spawn(node, &behavior, NULL, NULL, &ref);

        if (err == HT_OK) {
            err = ht_cast(node, ref, "go", NULL, 0);
        }
        must(err == HT_OK, "a client", ht_strerror(err));
    }
    while (atomic_load(&load.running) > 0) {
        (void)nanosleep(&nap, NULL);
    }
    must(atomic_load(&load.failed) == 0, "the load", "calls failed");
}

/* ---- figures ------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static uint32_t percentile(size_t count, double p)
{
    return count > 0 ? load.samples[(size_t)(p * (double)(count - 1))] : 0;
}

static int measure(int clients, double seconds)
{
    ht_node *node = connect_node();
    size_t count;
    size_t kept;

    load.start = now_ns() + 300000000u;
    load.end = load.start + (uint64_t)(seconds * 1e9);
    run_clients(node, clients);
    count = atomic_load(&load.count);
    kept = count < SAMPLES_MAX ? count : SAMPLES_MAX;
    qsort(load.samples, kept, sizeof(*load.samples), compare);
    printf("ops=%zu ops_s=%.0f p50_us=%u p99_us=%u\n", count,
           (double)count * 1e9 / (double)(now_ns() - load.start),
           percentile(kept, 0.5), percentile(kept, 0.99));
    ht_node_free(node);
    return 0;
}

static int fill(void)
{
    ht_node *node = connect_node();
    uint64_t began = now_ns();

    run_clients(node, FILL_CLIENTS);
    printf("keys=%" PRIu64 " s=%.2f\n", load.keys,
           (double)(now_ns() - began) / 1e9);
    ht_node_free(node);
    return 0;
}

/* One write at a time into a file that has its size already, as a log has. */
static int measure_disk(const char *directory, double seconds)
{
    static uint8_t block[1 << 20];
    char path[4096];
    uint64_t end;
    size_t count = 0;
    uint64_t began;
    int fd;

    snprintf(path, sizeof(path), "%s/disk.%ld", directory, (long)getpid());
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(fd >= 0, path, "cannot be made");
    (void)unlink(path);
    for (int i = 0; i < 32; i++) {
        must(write(fd, block, sizeof(block)) == (ssize_t)sizeof(block), path,
             "write");
    }
    must(fsync(fd) == 0, path, "fsync");
    load.samples = calloc(SAMPLES_MAX, sizeof(*load.samples));
    must(load.samples != NULL, "memory", "none");
    began = now_ns();
    end = began + (uint64_t)(seconds * 1e9);
    for (uint64_t t = began; t < end && count < SAMPLES_MAX; count++) {
        off_t at = (off_t)(count % (32u * 2048u)) * 512;
        uint64_t after;

        must(pwrite(fd, block, 512, at) == 512 && fdatasync(fd) == 0, path,
             "fdatasync");
        after = now_ns();
        load.samples[count] = (uint32_t)((after - t) / 1000);
        t = after;
    }
    qsort(load.samples, count, sizeof(*load.samples), compare);
    printf("ops_s=%.0f p50_us=%u p99_us=%u\n",
           (double)count * 1e9 / (double)(now_ns() - began),
           percentile(count, 0.5), percentile(count, 0.99));
    (void)close(fd);
    return 0;
}

static void read_member(char *text)
{
    char *equals = strchr(text, '=');

    must(equals != NULL, text, "expected NAME@HOST=ADDRESS");
    *equals = '\0';
    load.member = text;
    load.address = equals + 1;
}

static void make_value(const char *size)
{
    size_t len = strtoul(size, NULL, 10);

    load.value = malloc(len + 1);
    load.samples = calloc(SAMPLES_MAX, sizeof(*load.samples));
    must(load.value != NULL && load.samples != NULL, "memory", "none");
    memset(load.value, 'v', len);
    load.value[len] = '\0';
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"put", "get", "stale"};

    if (argc == 4 && strcmp(argv[1], "disk") == 0) {
        return measure_disk(argv[2], strtod(argv[3], NULL));
    }
    if (argc == 5 && strcmp(argv[1], "fill") == 0) {
        load.what = FILL;
        read_member(argv[2]);
        load.keys = strtoull(argv[3], NULL, 10);
        make_value(argv[4]);
        return fill();
    }
    for (int i = 0; argc == 6 && i < 3; i++) {
        if (strcmp(argv[1], names[i]) == 0) {
            load.what = (enum what)i;
            read_member(argv[2]);
            make_value(argv[5]);
            return measure((int)strtol(argv[3], NULL, 10),
                           strtod(argv[4], NULL));
        }
    }
    fputs("usage: kv put|get|stale MEMBER CLIENTS SECONDS SIZE\n"
          "       kv fill MEMBER KEYS SIZE\n"
          "       kv disk DIRECTORY SECONDS\n",
          stderr);
    return 2;
}
