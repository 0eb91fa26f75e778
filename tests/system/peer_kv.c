/* SPDX-License-Identifier: Apache-2.0 */
/* peer_kv.c - clients of the key-value store that write down what they did.
 *
 *   peer_kv [OPTION...] NAME@HOST=ADDRESS...
 *
 * Until its standard input ends (or --operations are done), --clients threads
 * put, get, delete, compare and swap, and write several keys at once, each at a
 * member of its own choice.  Every operation becomes a line of the history
 * (tests/system/porcupine/main.go says of what), with the revision it was
 * answered with.  An operation whose fate is unknown is tried again elsewhere
 * with its request id, or given up as unknown.  At the end every key is read
 * once more.  Prints one line of counts.
 */
#include <argp.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hardtack.h>

#include "hardtack/kv.pb-c.h"

#define MEMBERS_MAX 8
#define CLIENTS_MAX 64
#define STORE       "hardtack.kv"
#define REASON_MAX  128
#define TRIES_MAX   6
#define FINAL_S     30
/* A checker's work grows with what is unknown about a key, so no key is used
 * for long. */
#define OPERATIONS_A_GROUP 250

enum outcome { OK, FAILED, UNKNOWN };
enum kind { GET, PUT, DEL, CAS, TXN };

struct operation {
    enum kind kind;
    char keys[2][32];
    char value[32];
    bool expects;
    char expect[64];
    /* the answer */
    enum outcome outcome;
    bool found, done;
    char got[64];
    uint64_t revision;
    int64_t call_ns, return_ns;
};

struct client {
    unsigned id;
    unsigned random;
    uint64_t sequence;
    char name[32];
    char last[64]; /* what it saw last, to compare with */
    bool has_last;
};

static struct {
    const char *cookie_file;
    const char *history;
    unsigned clients, keys, timeout_ms, seed;
    uint64_t operations; /* 0: until standard input ends */
    uint64_t pause_us;
    bool puts_only, insecure;
    char *names[MEMBERS_MAX];
    size_t members;
} options = {.clients = 6, .keys = 4, .timeout_ms = 1000, .seed = 1};

static ht_node *node;
static FILE *history;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t begun;
static _Atomic bool stopping;
static uint64_t counts[3];
static int64_t last_write_ns, longest_gap_ns;

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "peer_kv: %s: %s\n", what, why);
    exit(2);
}

/* ---- a call -------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Failed only if it is certain that nothing was done. */
static enum outcome outcome_of(ht_err err, const char *reason)
{
    static const char *const nothing_done[] = {"no_leader", "disk_full", "full",
                                               "overload"};

    switch ((int)err) {
    case HT_OK:
        return OK;
    case HT_ENOCONN:
    case HT_ENOENT:
    case HT_ENOPROC:
    case HT_EBUSY:
    case HT_EOVERLOAD:
        return FAILED;
    case HT_EFAILED:
        for (size_t i = 0; i < sizeof(nothing_done) / sizeof(nothing_done[0]);
             i++) {
            if (begins(reason, nothing_done[i])) {
                return FAILED;
            }
        }
        if (!begins(reason, "unknown")) {
            die("an answer that should not be", reason);
        }
        return UNKNOWN;
    case HT_EARGS:
    case HT_ETOOBIG:
    case HT_ENOVARIANT:
    case HT_EDENIED:
        die(ht_strerror(err), reason);
        return UNKNOWN;
    default:
        return UNKNOWN;
    }
}

static enum outcome call(const char *member,
                         const char *method,
                         const ProtobufCMessage *request,
                         ProtobufCMessage **ret_reply)
{
    const ProtobufCMethodDescriptor *descriptor =
        protobuf_c_service_descriptor_get_method_by_name(
            &hardtack__kv__store__descriptor, method);
    ht_args args = HT_ARGS_INIT;
    ht_reply reply = {HT_OK, "", NULL, 0, NULL};
    enum outcome outcome;
    ht_err err;

    ht_args_message(&args, request);
    err = ht_call_name_wait(node, member, STORE, method, args.data, args.len,
                            options.timeout_ms, &reply);
    outcome = outcome_of(err, reply.reason);
    if (outcome == OK) {
        ht_reader reader = ht_reader_reply(&reply);

        *ret_reply = ht_read_message(&reader, descriptor->output);
        if (*ret_reply == NULL) {
            die(method, "its answer is malformed");
        }
    }
    ht_args_fini(&args);
    ht_reply_fini(&reply);
    return outcome;
}

/* ---- the operations ------------------------------------------------------ */

static void copy_value(char *to, size_t size, const Hardtack__Kv__KeyValue *kv)
{
    snprintf(to, size, "%.*s", (int)kv->value.len,
             (const char *)kv->value.data);
}

static void
set_put(Hardtack__Kv__PutRequest *put, struct operation *op, size_t key)
{
    hardtack__kv__put_request__init(put);
    put->key = op->keys[key];
    put->data_case = HARDTACK__KV__PUT_REQUEST__DATA_TEXT;
    put->text = op->value;
}

static enum outcome do_get(struct operation *op, const char *member)
{
    Hardtack__Kv__GetRequest request = HARDTACK__KV__GET_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    const Hardtack__Kv__GetReply *reply;
    enum outcome outcome;

    request.key = op->keys[0];
    outcome = call(member, "Get", &request.base, &message);
    if (outcome == OK) {
        reply = (const void *)message;
        op->found = reply->found;
        if (reply->found) {
            op->revision = reply->kv->revision;
            copy_value(op->got, sizeof(op->got), reply->kv);
        }
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return outcome;
}

static enum outcome
do_put(struct operation *op, const char *member, Hardtack__Kv__RequestId *id)
{
    Hardtack__Kv__PutRequest request;
    ProtobufCMessage *message = NULL;
    enum outcome outcome;

    set_put(&request, op, 0);
    request.request = id;
    outcome = call(member, "Put", &request.base, &message);
    if (outcome == OK) {
        op->revision =
            ((const Hardtack__Kv__PutReply *)(void *)message)->revision;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return outcome;
}

static enum outcome
do_del(struct operation *op, const char *member, Hardtack__Kv__RequestId *id)
{
    Hardtack__Kv__DelRequest request = HARDTACK__KV__DEL_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    const Hardtack__Kv__DelReply *reply;
    enum outcome outcome;

    request.what_case = HARDTACK__KV__DEL_REQUEST__WHAT_KEY;
    request.key = op->keys[0];
    request.request = id;
    outcome = call(member, "Del", &request.base, &message);
    if (outcome == OK) {
        reply = (const void *)message;
        op->done = reply->deleted != 0;
        op->revision = op->done ? reply->revision : 0;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return outcome;
}

static enum outcome
do_cas(struct operation *op, const char *member, Hardtack__Kv__RequestId *id)
{
    Hardtack__Kv__SwapRequest request = HARDTACK__KV__SWAP_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    const Hardtack__Kv__SwapReply *reply;
    enum outcome outcome;

    request.key = op->keys[0];
    if (op->expects) {
        request.expected_case =
            HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_TEXT;
        request.expect_text = op->expect;
    } else {
        request.expected_case =
            HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_REVISION;
    }
    request.data_case = HARDTACK__KV__SWAP_REQUEST__DATA_TEXT;
    request.text = op->value;
    request.request = id;
    outcome = call(member, "CompareAndSwap", &request.base, &message);
    if (outcome == OK) {
        reply = (const void *)message;
        op->done = reply->swapped;
        op->revision = reply->swapped ? reply->kv->revision : 0;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return outcome;
}

static enum outcome
do_txn(struct operation *op, const char *member, Hardtack__Kv__RequestId *id)
{
    Hardtack__Kv__TxnRequest request = HARDTACK__KV__TXN_REQUEST__INIT;
    Hardtack__Kv__PutRequest puts[2];
    Hardtack__Kv__Op steps[2];
    Hardtack__Kv__Op *list[2];
    ProtobufCMessage *message = NULL;
    enum outcome outcome;

    for (size_t i = 0; i < 2; i++) {
        set_put(&puts[i], op, i);
        hardtack__kv__op__init(&steps[i]);
        steps[i].op_case = HARDTACK__KV__OP__OP_PUT;
        steps[i].put = &puts[i];
        list[i] = &steps[i];
    }
    request.then = list;
    request.n_then = 2;
    request.request = id;
    outcome = call(member, "Txn", &request.base, &message);
    if (outcome == OK) {
        op->revision =
            ((const Hardtack__Kv__TxnReply *)(void *)message)->revision;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return outcome;
}

static enum outcome
do_once(struct operation *op, const char *member, Hardtack__Kv__RequestId *id)
{
    switch (op->kind) {
    case GET:
        return do_get(op, member);
    case PUT:
        return do_put(op, member, id);
    case DEL:
        return do_del(op, member, id);
    case CAS:
        return do_cas(op, member, id);
    case TXN:
        return do_txn(op, member, id);
    }
    return FAILED;
}

static const char *some_member(struct client *client)
{
    return options.names[(unsigned)rand_r(&client->random) % options.members];
}

/* One that may have been done stays "may have been": no later "nothing was
 * done" takes that back. */
static void perform(struct client *client, struct operation *op)
{
    Hardtack__Kv__RequestId id = HARDTACK__KV__REQUEST_ID__INIT;
    bool unknown = false;

    id.client = client->name;
    id.sequence = ++client->sequence;
    op->call_ns = now_ns();
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        op->outcome = do_once(op, some_member(client), &id);
        unknown |= op->outcome == UNKNOWN;
        /* A third gives up, so that histories hold unknown ones. */
        if (op->outcome == OK || !unknown || op->kind == GET ||
            rand_r(&client->random) % 3 == 0) {
            break;
        }
    }
    op->return_ns = now_ns();
    if (op->outcome != OK && unknown) {
        op->outcome = UNKNOWN;
    }
}

/* ---- the history --------------------------------------------------------- */

static const char *const kinds[] = {"get", "put", "delete", "cas", "txn"};
static const char *const outcomes[] = {"ok", "failed", "unknown"};

static void count(const struct operation *op)
{
    counts[op->outcome]++;
    if (op->kind == GET || op->outcome != OK || atomic_load(&stopping)) {
        return;
    }
    if (last_write_ns != 0 && op->return_ns - last_write_ns > longest_gap_ns) {
        longest_gap_ns = op->return_ns - last_write_ns;
    }
    if (op->return_ns > last_write_ns) {
        last_write_ns = op->return_ns;
    }
}

/* Keys and values are our own: nothing in them needs escaping. */
static void record(const struct client *client, const struct operation *op)
{
    (void)pthread_mutex_lock(&lock);
    fprintf(history, "{\"client\":%u,\"op\":\"%s\"", client->id,
            kinds[op->kind]);
    if (op->kind == TXN) {
        fprintf(history, ",\"keys\":[\"%s\",\"%s\"]", op->keys[0], op->keys[1]);
    } else {
        fprintf(history, ",\"key\":\"%s\"", op->keys[0]);
    }
    if (op->kind == PUT || op->kind == CAS || op->kind == TXN) {
        fprintf(history, ",\"value\":\"%s\"", op->value);
    }
    if (op->kind == CAS && op->expects) {
        fprintf(history, ",\"expect\":\"%s\"", op->expect);
    }
    if (op->outcome == OK) {
        fprintf(history, ",\"revision\":%" PRIu64 ",\"done\":%s,\"found\":%s",
                op->revision, op->done ? "true" : "false",
                op->found ? "true" : "false");
        if (op->found) {
            fprintf(history, ",\"got\":\"%s\"", op->got);
        }
    }
    fprintf(history,
            ",\"call\":%" PRId64 ",\"return\":%" PRId64
            ",\"outcome\":\"%s\"}\n",
            op->call_ns, op->return_ns, outcomes[op->outcome]);
    (void)fflush(history); /* a test watches it grow */
    count(op);
    (void)pthread_mutex_unlock(&lock);
}

/* ---- clients ------------------------------------------------------------- */

static enum kind some_kind(struct client *client)
{
    unsigned n = (unsigned)rand_r(&client->random) % 100;

    if (options.puts_only) {
        return PUT;
    }
    return n < 40 ? GET : n < 70 ? PUT : n < 85 ? CAS : n < 93 ? DEL : TXN;
}

static void name_key(char key[32], uint64_t group, unsigned n)
{
    snprintf(key, 32, "h/%05" PRIu64 "/%u", group, n);
}

static void prepare(struct client *client, uint64_t n, struct operation *op)
{
    unsigned key = (unsigned)rand_r(&client->random) % options.keys;
    uint64_t group = n / OPERATIONS_A_GROUP;

    memset(op, 0, sizeof(*op));
    op->kind = some_kind(client);
    name_key(op->keys[0], group, key);
    name_key(op->keys[1], group, (key + 1) % options.keys);
    snprintf(op->value, sizeof(op->value), "%u.%" PRIu64, client->id, n);
    if (op->kind == CAS) {
        op->expects = client->has_last;
        memcpy(op->expect, client->last, sizeof(op->expect));
    }
}

static void *run_client(void *arg)
{
    struct client *client = arg;
    const struct timespec pause = {0, (long)options.pause_us * 1000};
    /* Where nobody answers, others than this one need the processor. */
    const struct timespec refused = {0, 5000000};

    while (!atomic_load(&stopping)) {
        uint64_t n = atomic_fetch_add(&begun, 1);
        struct operation op;

        if (options.operations != 0 && n >= options.operations) {
            break;
        }
        prepare(client, n, &op);
        perform(client, &op);
        record(client, &op);
        if (op.kind == GET && op.outcome == OK) {
            client->has_last = op.found;
            memcpy(client->last, op.got, sizeof(client->last));
        }
        if (op.outcome == FAILED) {
            (void)nanosleep(&refused, NULL);
        } else if (options.pause_us != 0) {
            (void)nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

/* Every key as it is at last: what was acknowledged and is gone shows here. */
static void read_all(void)
{
    struct client client = {.id = options.clients, .random = options.seed};
    uint64_t all = atomic_load(&begun);
    int64_t end = now_ns() + FINAL_S * INT64_C(1000000000);

    if (options.operations != 0 && all > options.operations) {
        all = options.operations;
    }
    for (uint64_t group = 0; group * OPERATIONS_A_GROUP < all; group++) {
        for (unsigned key = 0; key < options.keys; key++) {
            struct operation op = {.kind = GET, .outcome = FAILED};

            name_key(op.keys[0], group, key);
            while (op.outcome != OK) {
                if (now_ns() > end) {
                    die("the last reads", "no answer");
                }
                perform(&client, &op);
            }
            record(&client, &op);
        }
    }
}

static void *wait_for_end(void *arg)
{
    char byte;

    (void)arg;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    atomic_store(&stopping, true);
    return NULL;
}

/* ---- start --------------------------------------------------------------- */

static void read_member(const char *text)
{
    const char *equals = strchr(text, '=');
    ht_err err;

    if (equals == NULL || options.members == MEMBERS_MAX) {
        die(text, "expected NAME@HOST=ADDRESS, at most 8");
    }
    options.names[options.members++] = strndup(text, (size_t)(equals - text));
    err = ht_connect(node, equals + 1, NULL);
    if (err != HT_OK) {
        die(equals + 1, ht_strerror(err));
    }
}

static const struct argp_option option_table[] = {
    {"cookie-file", 'k', "FILE", 0, "the cluster's cookie", 0},
    {"history", 'o', "FILE", 0, "written here", 0},
    {"clients", 'c', "N", 0, "threads (6)", 0},
    {"keys", 'n', "N", 0, "keys at a time (4)", 0},
    {"operations", 'm', "N", 0, "stop after so many", 0},
    {"timeout", 't', "MS", 0, "of one call (1000)", 0},
    {"pause", 'p', "US", 0, "between a client's operations (0)", 0},
    {"puts", 'w', NULL, 0, "only puts", 0},
    {"insecure", 'i', NULL, 0, "connect without encryption", 0},
    {"seed", 's', "N", 0, "of the choices (1)", 0},
    {NULL, 0, NULL, 0, NULL, 0}};

static char *arguments[MEMBERS_MAX];
static size_t arguments_count;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 'k':
        options.cookie_file = arg;
        return 0;
    case 'o':
        options.history = arg;
        return 0;
    case 'c':
        options.clients = (unsigned)strtoul(arg, NULL, 10);
        return 0;
    case 'n':
        options.keys = (unsigned)strtoul(arg, NULL, 10);
        return 0;
    case 'm':
        options.operations = strtoull(arg, NULL, 10);
        return 0;
    case 't':
        options.timeout_ms = (unsigned)strtoul(arg, NULL, 10);
        return 0;
    case 'p':
        options.pause_us = strtoull(arg, NULL, 10);
        return 0;
    case 'w':
        options.puts_only = true;
        return 0;
    case 'i':
        options.insecure = true;
        return 0;
    case 's':
        options.seed = (unsigned)strtoul(arg, NULL, 10);
        return 0;
    case ARGP_KEY_ARG:
        if (arguments_count == MEMBERS_MAX) {
            argp_error(state, "too many members");
        }
        arguments[arguments_count++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (arguments_count == 0 || options.history == NULL ||
            options.clients == 0 || options.clients > CLIENTS_MAX ||
            options.keys < 2) {
            argp_error(state, "members, --history, 1 to 64 clients, 2 keys");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void start(void)
{
    char name[40];
    ht_config config = {.name = name,
                        .hidden = true,
                        .threads = 1,
                        .cookie_file = options.cookie_file,
                        .encryption = options.insecure ? HT_ENCRYPT_NONE
                                                       : HT_ENCRYPT_COOKIE,
                        .heartbeat_ms = 200,
                        .silence_ms = 1500,
                        .redial_max_ms = 200,
                        .log_level = HT_LOG_ERROR};

    snprintf(name, sizeof(name), "load-%ld-%u", (long)getpid(), options.seed);
    if (ht_node_start(&config, &node) != HT_OK) {
        die("the node does not start", ht_start_error());
    }
    for (size_t i = 0; i < arguments_count; i++) {
        read_member(arguments[i]);
    }
    history = fopen(options.history, "we");
    if (history == NULL) {
        die(options.history, "cannot be written");
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        option_table, parse, "NAME@HOST=ADDRESS...", NULL, NULL, NULL, NULL};
    static struct client clients[CLIENTS_MAX];
    pthread_t threads[CLIENTS_MAX];
    pthread_t end;

    if (argp_parse(&argp, argc, argv, 0, NULL, NULL) != 0) {
        return 2;
    }
    start();
    for (unsigned i = 0; i < options.clients; i++) {
        clients[i].id = i;
        clients[i].random = options.seed * 7919 + i;
        snprintf(clients[i].name, sizeof(clients[i].name), "load-%ld-%u",
                 (long)getpid(), i);
        if (pthread_create(&threads[i], NULL, run_client, &clients[i]) != 0) {
            die("a thread", "cannot be made");
        }
    }
    if (pthread_create(&end, NULL, wait_for_end, NULL) == 0) {
        (void)pthread_detach(end);
    }
    for (unsigned i = 0; i < options.clients; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    atomic_store(&stopping, true);
    read_all();
    if (fclose(history) != 0) {
        die(options.history, "cannot be written");
    }
    printf("ok=%" PRIu64 " failed=%" PRIu64 " unknown=%" PRIu64
           " gap_ms=%" PRId64 "\n",
           counts[OK], counts[FAILED], counts[UNKNOWN],
           longest_gap_ns / 1000000);
    (void)fflush(stdout);
    ht_node_free(node);
    return 0;
}
