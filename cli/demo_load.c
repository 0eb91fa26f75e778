/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_load.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "hardtack/kv.pb-c.h"

#define WRITERS    4
#define WRITES_MAX (1u << 20)
#define TIMEOUT_MS 1000
#define PREFIX     "demo/"
#define PAGE       1000
/* Between two writes of a writer, and before a refused one is tried again. */
#define PAUSE_US 300
#define AGAIN_US 5000

struct writer {
    struct demo_load *load;
    pthread_t thread;
    bool runs;
    char name[48]; /* of its request ids */
    uint64_t sequence;
    size_t at; /* the node that answered last */
};

struct demo_load {
    ht_node *node; /* connected to all of them */
    char names[DEMO_NODES][32];
    struct writer writers[WRITERS];
    pthread_mutex_t lock; /* the rest */
    bool stopping;
    size_t begun, acknowledged;
    double last_ms, gap_ms;
    uint8_t *is_acknowledged; /* WRITES_MAX */
};

static void nap_us(long us)
{
    const struct timespec t = {0, us * 1000};

    (void)nanosleep(&t, NULL);
}

static ht_err call(struct demo_load *load,
                   size_t i,
                   const char *method,
                   const ProtobufCMessage *request,
                   ProtobufCMessage **ret_reply)
{
    struct client client = {.node = load->node, .peer = load->names[i]};
    const struct client_method to = {"hardtack.kv",
                                     &hardtack__kv__store__descriptor, method};
    char reason[CLIENT_REASON_MAX];

    return client_call(&client, &to, request, TIMEOUT_MS, ret_reply, reason);
}

/* ---- writing ------------------------------------------------------------- */

/* The number of the next write; false: no more. */
static bool begin_write(struct demo_load *load, size_t *ret_n)
{
    bool more;

    (void)pthread_mutex_lock(&load->lock);
    more = !load->stopping && load->begun < WRITES_MAX;
    if (more) {
        *ret_n = load->begun++;
    }
    (void)pthread_mutex_unlock(&load->lock);
    return more;
}

static bool is_stopping(struct demo_load *load)
{
    bool stopping;

    (void)pthread_mutex_lock(&load->lock);
    stopping = load->stopping;
    (void)pthread_mutex_unlock(&load->lock);
    return stopping;
}

static void acknowledge(struct demo_load *load, size_t n)
{
    double now = demo_now_ms();

    (void)pthread_mutex_lock(&load->lock);
    load->is_acknowledged[n] = 1;
    load->acknowledged++;
    if (load->last_ms > 0 && now - load->last_ms > load->gap_ms) {
        load->gap_ms = now - load->last_ms;
    }
    load->last_ms = now;
    (void)pthread_mutex_unlock(&load->lock);
}

/* Until it is acknowledged: with its request id it is done once, however often
 * it is sent. */
static void write_one(struct writer *writer, size_t n)
{
    Hardtack__Kv__PutRequest request = HARDTACK__KV__PUT_REQUEST__INIT;
    Hardtack__Kv__RequestId id = HARDTACK__KV__REQUEST_ID__INIT;
    char key[32];
    char value[32];

    snprintf(key, sizeof(key), PREFIX "%07zu", n);
    snprintf(value, sizeof(value), "%zu", n);
    id.client = writer->name;
    id.sequence = ++writer->sequence;
    request.key = key;
    request.data_case = HARDTACK__KV__PUT_REQUEST__DATA_TEXT;
    request.text = value;
    request.request = &id;
    do {
        ProtobufCMessage *reply = NULL;
        ht_err err =
            call(writer->load, writer->at, "Put", &request.base, &reply);

        protobuf_c_message_free_unpacked(reply, NULL);
        if (err == HT_OK) {
            acknowledge(writer->load, n);
            return;
        }
        writer->at = (writer->at + 1) % DEMO_NODES;
        nap_us(AGAIN_US);
    } while (!is_stopping(writer->load));
}

static void *run_writer(void *arg)
{
    struct writer *writer = arg;
    size_t n;

    while (begin_write(writer->load, &n)) {
        write_one(writer, n);
        nap_us(PAUSE_US);
    }
    return NULL;
}

static void stop_writers(struct demo_load *load)
{
    (void)pthread_mutex_lock(&load->lock);
    load->stopping = true;
    (void)pthread_mutex_unlock(&load->lock);
    for (size_t i = 0; i < WRITERS; i++) {
        if (load->writers[i].runs) {
            (void)pthread_join(load->writers[i].thread, NULL);
            load->writers[i].runs = false;
        }
    }
}

static void
silent(ht_log_level level, const char *id, const char *text, void *arg)
{
    (void)level;
    (void)id;
    (void)text;
    (void)arg;
}

/* A client of all three, which finds those again that come back. */
static int connect_all(struct demo_load *load, struct demo *demo)
{
    const ht_config config = {.name = "hardtack-demo",
                              .hidden = true,
                              .threads = 1,
                              .redial_max_ms = 200,
                              .log = silent};
    ht_err err = ht_node_start(&config, &load->node);

    for (size_t i = 0; err == HT_OK && i < DEMO_NODES; i++) {
        snprintf(load->names[i], sizeof(load->names[i]), "%s@demo",
                 demo->nodes[i].name);
        err = ht_client_connect(load->node, demo->nodes[i].socket, NULL);
    }
    return err == HT_OK
               ? EXIT_OK
               : cli_fail("the writers cannot connect: %s", ht_strerror(err));
}

static int start_writers(struct demo_load *load)
{
    for (size_t i = 0; i < WRITERS; i++) {
        struct writer *writer = &load->writers[i];

        writer->load = load;
        writer->at = i % DEMO_NODES;
        snprintf(writer->name, sizeof(writer->name), "demo-%ld-%zu",
                 (long)getpid(), i);
        if (pthread_create(&writer->thread, NULL, run_writer, writer) != 0) {
            return cli_fail("a thread cannot be made");
        }
        writer->runs = true;
    }
    return EXIT_OK;
}

struct demo_load *demo_load_start(struct demo *demo)
{
    struct demo_load *load = calloc(1, sizeof(*load));

    if (load == NULL) {
        (void)cli_fail("out of memory");
        return NULL;
    }
    (void)pthread_mutex_init(&load->lock, NULL);
    load->is_acknowledged = calloc(WRITES_MAX, 1);
    if (load->is_acknowledged == NULL) {
        (void)cli_fail("out of memory");
    } else if (connect_all(load, demo) == EXIT_OK &&
               start_writers(load) == EXIT_OK) {
        return load;
    }
    demo_load_end(load);
    return NULL;
}

size_t demo_load_acknowledged(struct demo_load *load)
{
    size_t acknowledged;

    (void)pthread_mutex_lock(&load->lock);
    acknowledged = load->acknowledged;
    (void)pthread_mutex_unlock(&load->lock);
    return acknowledged;
}

double demo_load_gap_ms(struct demo_load *load)
{
    double gap;

    (void)pthread_mutex_lock(&load->lock);
    gap = load->gap_ms;
    load->gap_ms = 0;
    (void)pthread_mutex_unlock(&load->lock);
    return gap;
}

void demo_load_end(struct demo_load *load)
{
    if (load == NULL) {
        return;
    }
    stop_writers(load);
    ht_node_free(load->node);
    (void)pthread_mutex_destroy(&load->lock);
    free(load->is_acknowledged);
    free(load);
}

/* ---- reading it back ----------------------------------------------------- */

/* A key of ours with the value that was put there. */
static bool is_ours(const struct demo_load *load,
                    const Hardtack__Kv__KeyValue *pair,
                    size_t *ret_n)
{
    char value[32];
    int len;

    if (sscanf(pair->key, PREFIX "%zu", ret_n) != 1 || *ret_n >= load->begun) {
        return false;
    }
    len = snprintf(value, sizeof(value), "%zu", *ret_n);
    return pair->value.len == (size_t)len &&
           memcmp(pair->value.data, value, (size_t)len) == 0;
}

static bool read_page(struct demo_load *load,
                      size_t i,
                      char **after,
                      struct demo_count *count,
                      bool *ret_more)
{
    Hardtack__Kv__RangeRequest request = HARDTACK__KV__RANGE_REQUEST__INIT;
    const Hardtack__Kv__RangeReply *reply;
    ProtobufCMessage *message = NULL;

    request.prefix = (char *)PREFIX;
    request.after = *after;
    request.limit = PAGE;
    if (call(load, i, "Range", &request.base, &message) != HT_OK) {
        return false;
    }
    reply = (const void *)message;
    for (size_t k = 0; k < reply->n_kvs; k++) {
        size_t n;

        if (is_ours(load, reply->kvs[k], &n)) {
            count->present += load->is_acknowledged[n];
            count->unasked += !load->is_acknowledged[n];
        }
    }
    free(*after);
    *after = strdup(reply->next);
    *ret_more = reply->more;
    protobuf_c_message_free_unpacked(message, NULL);
    return *after != NULL;
}

bool demo_load_count(struct demo_load *load,
                     size_t i,
                     struct demo_count *ret_count)
{
    char *after = strdup("");
    bool more = true;
    bool ok = after != NULL;

    stop_writers(load);
    memset(ret_count, 0, sizeof(*ret_count));
    while (ok && more) {
        ok = read_page(load, i, &after, ret_count, &more);
    }
    free(after);
    ret_count->acknowledged = load->acknowledged;
    ret_count->lost = load->acknowledged - ret_count->present;
    return ok;
}
