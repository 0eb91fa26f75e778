/* SPDX-License-Identifier: Apache-2.0 */
/* local.c - actors of one node, on as many schedulers as there are cores.
 *
 *   local pingpong SECONDS         two actors, one message: ns a round trip
 *   local ring SECONDS TOKENS      a thousand actors in a ring: ns a hop
 *   local fanin SECONDS SENDERS    to one actor: messages/s
 *   local call SECONDS             one caller: p50 in us, calls/s
 *   local idle COUNT               that many actors started: s in all, bytes
 * each
 *
 * Every message has 64 bytes, and a number that whoever gets it checks.
 */
#include <stdatomic.h>
#include <string.h>

#include <hardtack.h>

#include "bench/measure.h"

#define SIZE        64
#define RING        1000
#define SENDERS_MAX 64
#define SAMPLES_MAX (1u << 20)

struct message {
    uint64_t number, from;
    uint8_t rest[SIZE - 16];
};

static ht_node *node;
static uint64_t end_ns;
static _Atomic unsigned running;

static void must(ht_err err, const char *what)
{
    if (err != HT_OK) {
        fprintf(stderr, "local: %s: %s %s\n", what, ht_strerror(err),
                ht_start_error());
        exit(1);
    }
}

static ht_ref
spawn(const ht_behavior *behavior, void *arg, const ht_spawn_opts *opts)
{
    ht_ref ref;

    must(ht_spawn(node, behavior, arg, opts, &ref), "spawn");
    return ref;
}

static void cast(ht_ref to, const struct message *m)
{
    must(ht_cast(node, to, "m", m, sizeof(*m)), "cast");
}

static struct message message_of(const ht_msg *msg)
{
    ht_bytes args = ht_msg_args(msg);
    struct message m;

    if (args.len != sizeof(m)) {
        fprintf(stderr, "local: a message of %zu bytes\n", args.len);
        exit(1);
    }
    memcpy(&m, args.data, sizeof(m));
    return m;
}

static void expect(uint64_t got, uint64_t want)
{
    if (got != want) {
        fprintf(stderr, "local: message %llu where %llu was due\n",
                (unsigned long long)got, (unsigned long long)want);
        exit(1);
    }
}

static void start(double seconds)
{
    end_ns = now_ns() + (uint64_t)(seconds * 1e9);
}

static void wait_for_end(void)
{
    struct timespec nap = {.tv_nsec = 10000000};

    while (atomic_load(&running) > 0) {
        nanosleep(&nap, NULL);
    }
}

/* ---- two actors, and a ring of them --------------------------------------
 *
 * Each passes what it gets to the next, and counts; the first one looks at the
 * clock now and then, and lets the tokens end. */

struct member {
    ht_ref next;
    uint64_t passed;
    uint64_t look; /* at the clock each time so many were passed; 0: never */
};

static struct member members[RING];
static unsigned tokens;
static uint64_t seen[SENDERS_MAX]; /* of each token, hops */

static ht_err pass(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct member *me = ht_state(self);
    struct message m = message_of(msg);

    (void)call;
    /* A token is in one place at a time: no two write its count at once. */
    expect(m.number, seen[m.from]);
    seen[m.from]++;
    me->passed++;
    if (me->look != 0 && me->passed % me->look == 0 && now_ns() >= end_ns) {
        atomic_fetch_sub(&running, 1);
        return HT_OK;
    }
    m.number++;
    cast(me->next, &m);
    return HT_OK;
}

static void run_ring(double seconds, unsigned size, unsigned count)
{
    static const ht_behavior behavior = {.handle = pass};
    ht_ref refs[RING];
    uint64_t hops = 0, passed = 0, began;

    for (unsigned i = 0; i < size; i++) {
        refs[i] = spawn(&behavior, &members[i], NULL);
        members[i].look = i > 0 ? 0 : size == 2 ? 64 : 1;
    }
    for (unsigned i = 0; i < size; i++) {
        members[i].next = refs[(i + 1) % size];
    }
    tokens = count;
    atomic_store(&running, tokens);
    start(seconds);
    began = now_ns();
    for (unsigned i = 0; i < tokens; i++) {
        struct message m = {.from = i};

        cast(refs[(uint64_t)i * size / tokens], &m);
    }
    wait_for_end();
    began = now_ns() - began;
    for (unsigned i = 0; i < tokens; i++) {
        hops += seen[i];
    }
    for (unsigned i = 0; i < size; i++) {
        passed += members[i].passed;
    }
    expect(passed, hops);
    printf("hop_ns=%.1f\n", (double)began / (double)hops);
    if (size == 2) {
        printf("round_ns=%.1f\n", 2 * (double)began / (double)hops);
    }
}

/* ---- many to one --------------------------------------------------------- */

static struct {
    ht_ref sink;
    uint64_t sent[SENDERS_MAX], got[SENDERS_MAX];
} fan;

static ht_err sink_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct message m;

    if (call.id != 0) {
        return ht_reply_ok(self, call, fan.got, sizeof(fan.got));
    }
    m = message_of(msg);
    expect(m.number, fan.got[m.from]);
    fan.got[m.from]++;
    return HT_OK;
}

static ht_err send_some(ht_actor *self, uint64_t from)
{
    struct message m = {.from = from};

    if (now_ns() >= end_ns) {
        atomic_fetch_sub(&running, 1);
        return HT_OK;
    }
    for (int i = 0; i < 256; i++) {
        ht_err err;

        m.number = fan.sent[from];
        err = ht_cast(node, fan.sink, "m", &m, sizeof(m));
        if (err == HT_EBUSY) {
            return ht_notify_writable(self, fan.sink);
        }
        must(err, "cast");
        fan.sent[from]++;
    }
    return ht_cast(node, ht_self(self), "more", NULL, 0);
}

static ht_err sender_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    (void)msg;
    (void)call;
    return send_some(self, (uint64_t)(uintptr_t)ht_state(self));
}

static ht_err sender_event(ht_actor *self, const ht_event *event)
{
    (void)event;
    return send_some(self, (uint64_t)(uintptr_t)ht_state(self));
}

static void run_fanin(double seconds, unsigned senders)
{
    static const ht_behavior sink = {.handle = sink_handle};
    static const ht_behavior sender = {.handle = sender_handle,
                                       .on_event = sender_event};
    ht_spawn_opts opts = {.mailbox_messages_max = 16384,
                          .mailbox_bytes_max = 16u << 20};
    uint64_t total = 0, got, began;
    ht_reply reply;

    fan.sink = spawn(&sink, NULL, &opts);
    atomic_store(&running, senders);
    start(seconds);
    began = now_ns();
    for (unsigned i = 0; i < senders; i++) {
        ht_ref ref = spawn(&sender, (void *)(uintptr_t)i, NULL);

        must(ht_cast(node, ref, "go", NULL, 0), "go");
    }
    wait_for_end();
    do {
        got = total = 0;
        must(ht_call_wait(node, fan.sink, "count", NULL, 0, 60000, &reply),
             "count");
        for (unsigned i = 0; i < senders; i++) {
            uint64_t n;

            memcpy(&n, (const char *)reply.data + i * sizeof(n), sizeof(n));
            got += n;
            total += fan.sent[i];
        }
        ht_reply_fini(&reply);
    } while (got < total && now_ns() < end_ns + 60000000000u);
    began = now_ns() - began;
    expect(got, total);
    printf("msgs_s=%.0f\n", (double)got / ((double)began / 1e9));
}

/* ---- calls ----------------------------------------------------------------
 */

static struct {
    ht_ref to;
    struct message m;
    uint64_t sent_ns, calls;
    uint32_t *samples;
} rpc;

static ht_err echo(ht_actor *self, const ht_msg *msg, ht_call call)
{
    ht_bytes args = ht_msg_args(msg);

    return ht_reply_ok(self, call, args.data, args.len);
}

static void call_next(ht_actor *self);

static void called(ht_actor *self, const ht_reply *reply, void *arg)
{
    uint64_t t = now_ns();

    (void)arg;
    must(reply->err, "call");
    if (reply->len != SIZE || memcmp(reply->data, &rpc.m, SIZE) != 0) {
        fprintf(stderr, "local: another answer\n");
        exit(1);
    }
    if (rpc.calls < SAMPLES_MAX) {
        rpc.samples[rpc.calls] = (uint32_t)(t - rpc.sent_ns);
    }
    rpc.calls++;
    if (t < end_ns) {
        call_next(self);
    } else {
        atomic_fetch_sub(&running, 1);
    }
}

static void call_next(ht_actor *self)
{
    rpc.m.number++;
    rpc.sent_ns = now_ns();
    must(ht_call_async(self, rpc.to, "m", &rpc.m, SIZE, HT_INFINITE, called,
                       NULL, NULL),
         "call");
}

static ht_err caller_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    (void)msg;
    (void)call;
    call_next(self);
    return HT_OK;
}

static void run_call(double seconds)
{
    static const ht_behavior server = {.handle = echo};
    static const ht_behavior caller = {.handle = caller_handle};
    uint64_t began;

    rpc.samples = calloc(SAMPLES_MAX, sizeof(*rpc.samples));
    rpc.to = spawn(&server, NULL, NULL);
    atomic_store(&running, 1);
    start(seconds);
    began = now_ns();
    must(ht_cast(node, spawn(&caller, NULL, NULL), "go", NULL, 0), "go");
    wait_for_end();
    began = now_ns() - began;
    printf("p50_us=%.3f calls_s=%.0f\n",
           percentile(rpc.samples,
                      rpc.calls < SAMPLES_MAX ? rpc.calls : SAMPLES_MAX, 0.5),
           (double)rpc.calls / ((double)began / 1e9));
    free(rpc.samples);
}

/* ---- idle ones ------------------------------------------------------------
 */

static ht_err start_many(ht_actor *self, const ht_msg *msg, ht_call call)
{
    static const ht_behavior behavior = {.handle = echo};
    unsigned *left = ht_state(self);

    (void)msg;
    (void)call;
    /* Not all in one turn: others have a right to theirs. */
    for (unsigned i = 0; i < 1000 && *left > 0; i++, (*left)--) {
        (void)spawn(&behavior, NULL, NULL);
    }
    if (*left > 0) {
        return ht_cast(node, ht_self(self), "more", NULL, 0);
    }
    atomic_fetch_sub(&running, 1);
    return HT_OK;
}

/* Started by an actor, as a program would; without touching memory first. */
static void run_idle(unsigned count)
{
    static const ht_behavior starter = {.handle = start_many};
    long before = resident(getpid());
    unsigned left = count;
    uint64_t began;

    atomic_store(&running, 1);
    began = now_ns();
    must(ht_cast(node, spawn(&starter, &left, NULL), "go", NULL, 0), "go");
    wait_for_end();
    printf("start_s=%.3f bytes_actor=%.0f\n", (double)(now_ns() - began) / 1e9,
           (double)(resident(getpid()) - before) / count);
}

int main(int argc, char **argv)
{
    ht_config config = {.size = sizeof(config), .name = "local"};
    const char *what = argc > 2 ? argv[1] : "";
    double seconds = argc > 2 ? atof(argv[2]) : 0;
    unsigned n = argc > 3 ? (unsigned)atoi(argv[3]) : 0;

    must(ht_node_start(&config, &node), "start");
    if (argc == 3 && strcmp(what, "pingpong") == 0) {
        run_ring(seconds, 2, 1);
    } else if (argc == 4 && strcmp(what, "ring") == 0 && n > 0 &&
               n <= SENDERS_MAX) {
        run_ring(seconds, RING, n);
    } else if (argc == 4 && strcmp(what, "fanin") == 0 && n > 0 &&
               n <= SENDERS_MAX) {
        run_fanin(seconds, n);
    } else if (argc == 3 && strcmp(what, "call") == 0) {
        run_call(seconds);
    } else if (argc == 3 && strcmp(what, "idle") == 0) {
        run_idle((unsigned)seconds);
    } else {
        fprintf(stderr, "usage: local pingpong SECONDS | ring SECONDS TOKENS | "
                        "fanin SECONDS SENDERS | call SECONDS | idle COUNT\n");
        return 2;
    }
    ht_node_free(node);
    return 0;
}
