/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime on real threads: what was sent is handled, refused or bounced;
 * what was asked is answered once; whatever races. */
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "actor/internal.h"
#include "tests/lib/check.h"
#include "tests/lib/host.h"

#define SCHEDS  3
#define SENDERS 3

static struct host_threads host;
static ht_node *node;

static int setup(void **state)
{
    (void)state;
    node = host_threads_new(&host, SCHEDS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    CHECK(hti_flights_pending(node) == 0);
    host_threads_free(&host);
    return 0;
}

static void wait_for(atomic_ulong *at, unsigned long want)
{
    while (atomic_load(at) < want) {
        sched_yield();
    }
    CHECK(atomic_load(at) == want);
}

static void run_threads(void *(*fn)(void *), void *args, size_t size)
{
    pthread_t threads[SENDERS];

    for (int i = 0; i < SENDERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, fn,
                             args != NULL ? (char *)args + (size_t)i * size
                                          : NULL) == 0);
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* ---- actors that keep to a scheduler ---------------------------------------
 */

struct settler {
    atomic_ulong handled;
    atomic_ulong elsewhere; /* turns on another scheduler than its own */
    unsigned sched;
};

static ht_err settler_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct settler *s = ht_state(self);

    (void)msg;
    (void)call;
    if (hti_thread.sched != s->sched) {
        atomic_fetch_add(&s->elsewhere, 1);
    }
    sched_yield();
    atomic_fetch_add(&s->handled, 1);
    return HT_OK;
}

static ht_err settler_spawns_elsewhere(ht_actor *self, void *arg)
{
    static const ht_behavior behavior = {.handle = settler_handle};
    ht_spawn_opts opts = {.scheduler = hti_thread.sched + 1};
    ht_ref ref;

    CHECK_OK(ht_spawn(ht_actor_node(self), &behavior, arg, &opts, &ref));
    CHECK_OK(ht_stop(ht_actor_node(self), ref, NULL));
    opts.scheduler = (hti_thread.sched + 1) % SCHEDS + 1;
    CHECK_ERR(ht_spawn(ht_actor_node(self), &behavior, arg, &opts, &ref),
              HT_EINVAL);
    return HT_OK;
}

/* However busy that one is, and however idle the others. */
static void test_settled_actors_keep_to_their_scheduler(void **state)
{
    enum { COUNT = 16, TIMES = 200 };
    static const ht_behavior behavior = {.handle = settler_handle};
    static const ht_behavior spawner = {.init = settler_spawns_elsewhere};
    struct settler settlers[COUNT] = {0};
    ht_ref refs[COUNT], ref;

    (void)state;
    assert_int_equal(ht_node_schedulers(node), SCHEDS);
    for (unsigned i = 0; i < COUNT; i++) {
        settlers[i].sched = i % 2; /* the third has nothing to do */
        CHECK_OK(ht_spawn(node, &behavior, &settlers[i],
                          &(ht_spawn_opts){.scheduler = settlers[i].sched + 1},
                          &refs[i]));
    }
    for (unsigned n = 0; n < TIMES; n++) {
        for (unsigned i = 0; i < COUNT; i++) {
            CHECK_OK(ht_cast(node, refs[i], "x", NULL, 0));
        }
    }
    for (unsigned i = 0; i < COUNT; i++) {
        wait_for(&settlers[i].handled, TIMES);
        assert_int_equal(atomic_load(&settlers[i].elsewhere), 0);
        CHECK_OK(ht_stop(node, refs[i], NULL));
    }
    CHECK_ERR(ht_spawn(node, &behavior, &settlers[0],
                       &(ht_spawn_opts){.scheduler = SCHEDS + 1}, &ref),
              HT_EINVAL);
    CHECK_OK(ht_spawn(node, &spawner, &settlers[0], NULL, &ref));
    CHECK_OK(ht_stop(node, ref, NULL));
}

/* ---- casts: conservation and order -----------------------------------------
 */

struct sink {
    atomic_ulong handled;
    uint32_t next[SENDERS]; /* the actor's own */
};

struct numbered {
    uint32_t sender, number;
};

static ht_err sink_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct sink *sink = ht_state(self);
    struct numbered n;

    memcpy(&n, ht_msg_args(msg).data, sizeof(n));
    CHECK(n.number == sink->next[n.sender]);
    sink->next[n.sender]++;
    atomic_fetch_add(&sink->handled, 1);
    if (call.id != 0) {
        CHECK_OK(ht_reply_ok(self, call, &n, sizeof(n)));
    }
    return HT_OK;
}

static const ht_behavior sink_behavior = {.handle = sink_handle};

struct sender {
    uint32_t index;
    ht_ref to;
    unsigned long refused;
};

#define CASTS 20000

static void *cast_many(void *arg)
{
    struct sender *s = arg;
    struct numbered n = {.sender = s->index};

    while (n.number < CASTS) {
        ht_err err = ht_cast(node, s->to, "n", &n, sizeof(n));

        if (err == HT_EBUSY) {
            s->refused++;
            sched_yield();
            continue;
        }
        CHECK_OK(err);
        n.number++;
    }
    return NULL;
}

static void test_fan_in_loses_nothing_and_keeps_order(void **state)
{
    struct sink sink = {0};
    struct sender senders[SENDERS];
    struct hti_rt_stats stats;
    unsigned long refused = 0;
    ht_ref ref;

    (void)state;
    CHECK_OK(ht_spawn(node, &sink_behavior, &sink,
                      &(ht_spawn_opts){.mailbox_messages_max = 64}, &ref));
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.index = i, .to = ref};
    }
    run_threads(cast_many, senders, sizeof(senders[0]));
    wait_for(&sink.handled, SENDERS * CASTS);
    for (int i = 0; i < SENDERS; i++) {
        refused += senders[i].refused;
    }
    hti_rt_stats(node, &stats);
    CHECK(stats.dropped == refused);
    while (!hti_rt_is_idle(node)) {
        sched_yield();
    }
}

/* ---- ping-pong, ring
 * --------------------------------------------------------- */

struct hop {
    ht_ref next;
    atomic_ulong *done;
};

static ht_err hop_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct hop *hop = ht_state(self);
    uint32_t left;

    (void)call;
    memcpy(&left, ht_msg_args(msg).data, sizeof(left));
    if (left == 0) {
        atomic_fetch_add(hop->done, 1);
        return HT_OK;
    }
    left--;
    CHECK_OK(
        ht_cast(ht_actor_node(self), hop->next, "hop", &left, sizeof(left)));
    return HT_OK;
}

static const ht_behavior hop_behavior = {.handle = hop_handle};

static void run_ring(unsigned actors, unsigned tokens, uint32_t hops)
{
    static struct hop ring[200];
    ht_ref refs[200];
    atomic_ulong done = 0;

    for (unsigned i = 0; i < actors; i++) {
        ring[i].done = &done;
        CHECK_OK(ht_spawn(node, &hop_behavior, &ring[i], NULL, &refs[i]));
    }
    for (unsigned i = 0; i < actors; i++) {
        ring[i].next = refs[(i + 1) % actors];
    }
    for (unsigned i = 0; i < tokens; i++) {
        CHECK_OK(ht_cast(node, refs[i % actors], "hop", &hops, sizeof(hops)));
    }
    wait_for(&done, tokens);
}

static void test_ping_pong(void **state)
{
    (void)state;
    run_ring(2, 1, 20000);
}

static void test_a_ring_with_many_tokens(void **state)
{
    (void)state;
    run_ring(200, 50, 400);
}

/* ---- calls that wait
 * ---------------------------------------------------------- */

static void *call_many(void *arg)
{
    struct sender *s = arg;

    for (uint32_t i = 0; i < 2000; i++) {
        struct numbered n = {.sender = s->index, .number = i};
        ht_reply reply;

        CHECK_OK(ht_call_wait(node, s->to, "n", &n, sizeof(n), 0, &reply));
        CHECK(reply.len == sizeof(n) && memcmp(reply.data, &n, sizeof(n)) == 0);
        ht_reply_fini(&reply);
    }
    return NULL;
}

static void test_threads_call_and_wait(void **state)
{
    struct sink sink = {0};
    struct sender senders[SENDERS];
    ht_ref ref;

    (void)state;
    CHECK_OK(ht_spawn(node, &sink_behavior, &sink, NULL, &ref));
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.index = i, .to = ref};
    }
    run_threads(call_many, senders, sizeof(senders[0]));
    CHECK(atomic_load(&sink.handled) == SENDERS * 2000);
}

static void test_a_thread_calls_a_name(void **state)
{
    struct sink sink = {0};
    struct numbered n = {0};
    ht_reply reply;

    (void)state;
    CHECK_OK(ht_spawn(node, &sink_behavior, &sink,
                      &(ht_spawn_opts){.name = "sink"}, NULL));
    CHECK_OK(
        ht_call_name_wait(node, NULL, "sink", "n", &n, sizeof(n), 0, &reply));
    CHECK(reply.len == sizeof(n));
    ht_reply_fini(&reply);
    CHECK_ERR(
        ht_call_name_wait(node, NULL, "nobody", "n", &n, sizeof(n), 0, &reply),
        HT_ENOPROC);
    CHECK(reply.err == HT_ENOPROC && reply.reason != NULL);
    ht_reply_fini(&reply);
    CHECK_ERR(ht_call_name_wait(node, "no@body", "sink", "n", &n, sizeof(n), 0,
                                &reply),
              HT_ENOCONN);
    CHECK_ERR(ht_call_wait(node, (ht_ref){0}, "n", NULL, 0, 0, &reply),
              HT_ENOPROC);
    ht_reply_fini(&reply);
}

static ht_err try_wait(ht_actor *self, const ht_msg *msg, ht_call call)
{
    atomic_ulong *refused = ht_state(self);
    ht_reply reply;

    (void)msg;
    (void)call;
    CHECK_ERR(ht_call_wait(node, ht_self(self), "n", NULL, 0, 0, &reply),
              HT_EINVAL);
    atomic_fetch_add(refused, 1);
    return HT_OK;
}

static const ht_behavior try_wait_behavior = {.handle = try_wait};

static void test_a_handler_may_not_wait(void **state)
{
    atomic_ulong refused = 0;
    ht_ref ref;

    (void)state;
    CHECK_OK(ht_spawn(node, &try_wait_behavior, &refused, NULL, &ref));
    CHECK_OK(ht_cast(node, ref, "try", NULL, 0));
    wait_for(&refused, 1);
}

/* Answers some calls at once, some after a timer, some never. */
static ht_err moody_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    uint64_t timer;
    uint8_t mood;

    memcpy(&mood, ht_msg_args(msg).data, 1);
    if (mood % 3 == 0) {
        (void)ht_reply_ok(self, call, &mood, 1);
    } else if (mood % 3 == 1) {
        return ht_timer_start(self, mood % 4, 0, (void *)(uintptr_t)call.id,
                              &timer);
    }
    return HT_OK;
}

static ht_err moody_event(ht_actor *self, const ht_event *event)
{
    ht_call call = {.id = (uintptr_t)event->u.timer.arg};

    (void)ht_reply_ok(self, call, NULL, 0);
    return HT_OK;
}

static const ht_behavior moody_behavior = {.handle = moody_handle,
                                           .on_event = moody_event};

static void *call_moody(void *arg)
{
    struct sender *s = arg;

    for (uint32_t i = 0; i < 300; i++) {
        uint8_t mood = (uint8_t)(i + s->index);
        ht_reply reply;
        ht_err err = ht_call_wait(node, s->to, "m", &mood, 1, 2, &reply);

        CHECK(err == HT_OK || err == HT_ETIMEDOUT);
        CHECK(reply.err == err);
        ht_reply_fini(&reply);
    }
    return NULL;
}

static void test_replies_race_with_timeouts(void **state)
{
    struct sender senders[SENDERS];
    ht_ref ref;

    (void)state;
    CHECK_OK(ht_spawn(node, &moody_behavior, NULL, NULL, &ref));
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.index = i, .to = ref};
    }
    run_threads(call_moody, senders, sizeof(senders[0]));
}

/* ---- calls between actors, with victims
 * -------------------------------------- */

#define VICTIMS 8

static _Atomic uint64_t victims[VICTIMS]; /* pids */
static atomic_ulong asked, answered, downs, watched, ended_, begun;

static ht_err victim_init(ht_actor *self, void *arg)
{
    (void)arg;
    (void)self;
    atomic_fetch_add(&begun, 1);
    return HT_OK;
}

static ht_err victim_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    const char *variant = ht_msg_variant(msg);

    if (call.id != 0 && variant[0] == 'a') {
        (void)ht_reply_ok(self, call, "ok", 2);
    }
    return variant[0] == 'f' ? HT_EIO : HT_OK; /* 'h' holds */
}

static void victim_terminate(ht_actor *self, const ht_exit *why)
{
    (void)self;
    (void)why;
    atomic_fetch_add(&ended_, 1);
}

static const ht_behavior victim_behavior = {.init = victim_init,
                                            .handle = victim_handle,
                                            .terminate = victim_terminate};

static ht_ref victim(unsigned i)
{
    return (ht_ref){.node = HOST_HANDLE,
                    .pid = atomic_load(&victims[i % VICTIMS])};
}

static void on_answer(ht_actor *self, const ht_reply *reply, void *arg)
{
    (void)self;
    (void)arg;
    CHECK(reply->err == HT_OK || reply->err == HT_ENOPROC ||
          reply->err == HT_EFAILED || reply->err == HT_ETIMEDOUT);
    atomic_fetch_add(&answered, 1);
}

struct asker {
    unsigned seed;
    unsigned left;
    atomic_ulong *done;
};

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

/* One of many small things to a random victim. */
static void ask_one(ht_actor *self, struct asker *a)
{
    unsigned r = next_random(&a->seed);
    ht_ref to = victim(r >> 4);
    uint64_t id;

    switch (r % 8) {
    case 0:
    case 1:
    case 2:
        if (ht_call_async(self, to,
                          r % 8 == 0   ? "answer"
                          : r % 8 == 1 ? "hold"
                                       : "fail",
                          NULL, 0, r % 8 == 1 ? 3 : 2000, on_answer, NULL,
                          &id) == HT_OK) {
            if (r & 256 && ht_call_cancel(self, id) == HT_OK) {
                break;
            }
            atomic_fetch_add(&asked, 1);
        }
        break;
    case 3:
        CHECK_OK(ht_monitor(self, to, &id));
        if (r & 256) {
            CHECK_OK(ht_demonitor(self, id));
        } else {
            atomic_fetch_add(&watched, 1);
        }
        break;
    case 4:
        CHECK_OK(ht_link(self, to));
        break;
    case 5:
        (void)ht_unlink(self, to);
        break;
    case 6:
        CHECK_OK(ht_timer_start(self, 1, r & 256 ? 1 : 0, NULL, &id));
        CHECK_OK(ht_timer_cancel(self, id));
        break;
    default:
        (void)!ht_cast(node, to, "x", NULL, 0);
        (void)ht_notify_writable(self, to);
        break;
    }
}

static ht_err asker_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct asker *a = ht_state(self);

    (void)msg;
    (void)call;
    if (a->left == 0) {
        atomic_fetch_add(a->done, 1);
        return HT_OK;
    }
    a->left--;
    ask_one(self, a);
    return ht_cast(node, ht_self(self), "go", NULL, 0);
}

static ht_err asker_event(ht_actor *self, const ht_event *event)
{
    (void)self;
    if (event->kind == HT_EVENT_DOWN) {
        atomic_fetch_add(&downs, 1);
    }
    return HT_OK;
}

static const ht_behavior asker_behavior = {.handle = asker_handle,
                                           .on_event = asker_event};

static void *end_victims(void *arg)
{
    atomic_ulong *done = arg;
    unsigned seed = 99;

    while (atomic_load(done) < SENDERS) {
        unsigned r = next_random(&seed);
        ht_ref old = victim(r);
        ht_ref fresh;

        switch (r / VICTIMS % 3) {
        case 0:
            (void)ht_kill(node, old);
            break;
        case 1:
            (void)ht_stop(node, old, "stop");
            break;
        default:
            (void)ht_drain(node, old);
            break;
        }
        CHECK_OK(ht_spawn(node, &victim_behavior, NULL,
                          &(ht_spawn_opts){.mailbox_messages_max = 16},
                          &fresh));
        atomic_store(&victims[r % VICTIMS], fresh.pid);
    }
    return NULL;
}

static void test_ends_race_with_everything(void **state)
{
    static struct asker askers[SENDERS];
    ht_ref refs[SENDERS];
    atomic_ulong done = 0;
    pthread_t killer;

    (void)state;
    atomic_store(&asked, 0);
    atomic_store(&answered, 0);
    for (unsigned i = 0; i < VICTIMS; i++) {
        ht_ref ref;

        CHECK_OK(ht_spawn(node, &victim_behavior, NULL, NULL, &ref));
        atomic_store(&victims[i], ref.pid);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        askers[i] = (struct asker){.seed = i, .left = 4000, .done = &done};
        CHECK_OK(ht_spawn(node, &asker_behavior, &askers[i],
                          &(ht_spawn_opts){.trap_exit = true}, &refs[i]));
    }
    CHECK(pthread_create(&killer, NULL, end_victims, &done) == 0);
    for (unsigned i = 0; i < SENDERS; i++) {
        CHECK_OK(ht_cast(node, refs[i], "go", NULL, 0));
    }
    pthread_join(killer, NULL);
    for (unsigned i = 0; i < VICTIMS; i++) {
        (void)ht_kill(node, victim(i));
    }
    wait_for(&answered, atomic_load(&asked));
    wait_for(&downs, atomic_load(&watched));
    while (atomic_load(&ended_) < atomic_load(&begun)) {
        sched_yield();
    }
    CHECK(atomic_load(&ended_) == atomic_load(&begun));
    while (!hti_rt_is_idle(node)) {
        sched_yield();
    }
}

/* ---- calls to a peer: answers, timeouts and the node's end race
 * --------------- */

#define PEER 0x2002u

static _Atomic uint64_t tags[1024];
static atomic_ulong tag_next, calls_ended, calls_sent;

static ht_err peer_call(void *arg,
                        uint64_t handle,
                        const struct hti_view *view,
                        uint64_t tag,
                        uint32_t timeout_ms)
{
    (void)arg;
    (void)handle;
    (void)view;
    (void)timeout_ms;
    if (tag % 16 == 3) {
        return HT_EBUSY;
    }
    atomic_fetch_add(&calls_sent, 1);
    atomic_store(&tags[atomic_fetch_add(&tag_next, 1) % 1024], tag);
    return HT_OK;
}

static void peer_cancel(void *arg, uint64_t handle, uint64_t to, uint64_t tag)
{
    (void)arg;
    (void)handle;
    (void)to;
    (void)tag;
}

static void peer_call_ended(void *arg, uint64_t handle)
{
    (void)arg;
    (void)handle;
    atomic_fetch_add(&calls_ended, 1);
}

static ht_err peer_state(void *arg, uint64_t handle)
{
    (void)arg;
    (void)handle;
    return HT_OK;
}

static const struct hti_remote_ops peer_ops = {.call = peer_call,
                                               .cancel = peer_cancel,
                                               .call_ended = peer_call_ended,
                                               .node_state = peer_state};

static void on_peer(ht_actor *self, const ht_reply *reply, void *arg)
{
    (void)self;
    (void)arg;
    CHECK(reply->err == HT_OK || reply->err == HT_ETIMEDOUT ||
          reply->err == HT_ENODEDOWN);
    atomic_fetch_add(&answered, 1);
}

static ht_err to_peer_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct asker *a = ht_state(self);

    (void)msg;
    (void)call;
    if (a->left-- == 0) {
        atomic_fetch_add(a->done, 1);
        return HT_OK;
    }
    if (ht_call_async(self, (ht_ref){PEER, 7}, "q", NULL, 0, 1 + a->left % 3,
                      on_peer, NULL, NULL) == HT_OK) {
        atomic_fetch_add(&asked, 1);
    }
    return ht_cast(node, ht_self(self), "go", NULL, 0);
}

static const ht_behavior to_peer_behavior = {.handle = to_peer_handle};

static void *answer_peer(void *arg)
{
    atomic_ulong *done = arg;
    unsigned seed = 5;

    while (atomic_load(done) < SENDERS) {
        unsigned r = next_random(&seed);
        uint64_t tag = atomic_load(&tags[r % 1024]);

        if (r % 512 == 0) {
            hti_rt_fail_calls(node, PEER, HT_ENODEDOWN);
        } else {
            (void)hti_rt_complete_call(node, tag, PEER, 7, HT_OK, (ht_bytes){0},
                                       (ht_bytes){"data", 4}, NULL);
        }
    }
    return NULL;
}

static void test_answers_of_a_peer_race_with_timeouts(void **state)
{
    static struct asker askers[SENDERS];
    atomic_ulong done = 0;
    pthread_t answerer;

    (void)state;
    hti_rt_set_remote(node, &peer_ops, NULL);
    atomic_store(&asked, 0);
    atomic_store(&answered, 0);
    for (unsigned i = 0; i < SENDERS; i++) {
        ht_ref ref;

        askers[i] = (struct asker){.seed = i, .left = 5000, .done = &done};
        CHECK_OK(ht_spawn(node, &to_peer_behavior, &askers[i], NULL, &ref));
        CHECK_OK(ht_cast(node, ref, "go", NULL, 0));
    }
    CHECK(pthread_create(&answerer, NULL, answer_peer, &done) == 0);
    pthread_join(answerer, NULL);
    wait_for(&answered, atomic_load(&asked));
    wait_for(&calls_ended, atomic_load(&calls_sent));
}

/* ---- stealing
 * ------------------------------------------------------------------- */

static atomic_ulong worked;

static ht_err work_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct timespec begin, now;

    (void)self;
    (void)msg;
    (void)call;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec -
                 begin.tv_nsec <
             20000);
    atomic_fetch_add(&worked, 1);
    return HT_OK;
}

static const ht_behavior work_behavior = {.handle = work_handle};

#define WORKERS 50

/* Everything becomes runnable on the scheduler where this runs. */
static ht_err boss_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    const ht_ref *workers = ht_state(self);

    (void)msg;
    (void)call;
    for (int i = 0; i < WORKERS; i++) {
        CHECK_OK(ht_cast(node, workers[i], "work", NULL, 0));
    }
    return HT_OK;
}

static const ht_behavior boss_behavior = {.handle = boss_handle};

static void test_idle_schedulers_steal(void **state)
{
    ht_ref workers[WORKERS], boss;
    struct hti_rt_stats stats = {0};
    unsigned rounds = 0;

    (void)state;
    atomic_store(&worked, 0);
    for (int i = 0; i < WORKERS; i++) {
        CHECK_OK(ht_spawn(node, &work_behavior, NULL, NULL, &workers[i]));
    }
    CHECK_OK(ht_spawn(node, &boss_behavior, workers, NULL, &boss));
    while (stats.steals == 0 && rounds < 2000) {
        rounds++;
        CHECK_OK(ht_cast(node, boss, "go", NULL, 0));
        wait_for(&worked, rounds * WORKERS);
        hti_rt_stats(node, &stats);
    }
    CHECK(stats.steals > 0);
}

/* ---- descriptors
 * ----------------------------------------------------------------- */

static int pipe_fds[2];
static atomic_ulong bytes_read;
static _Atomic(int) watch_sched;

static ht_err pipe_ready(ht_actor *self, int fd, int events, void *arg)
{
    char buf[64];
    ssize_t n = read(fd, buf, sizeof(buf));

    (void)self;
    (void)arg;
    CHECK(events == HT_READ && n > 0);
    CHECK(hti_sched_current(node) == atomic_load(&watch_sched));
    atomic_fetch_add(&bytes_read, (unsigned long)n);
    return HT_OK;
}

static ht_err pipe_init(ht_actor *self, void *arg)
{
    (void)arg;
    atomic_store(&watch_sched, hti_sched_current(node));
    return ht_watch(self, pipe_fds[0], HT_READ, pipe_ready, NULL);
}

static ht_err pipe_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    (void)self;
    (void)msg;
    (void)call;
    CHECK(hti_sched_current(node) == atomic_load(&watch_sched));
    atomic_fetch_add(&worked, 1);
    return HT_OK;
}

static const ht_behavior pipe_behavior = {.init = pipe_init,
                                          .handle = pipe_handle};

static void test_who_watches_a_descriptor_stays_on_its_loop(void **state)
{
    ht_ref watcher, hop_ref;
    struct hop hop = {.done = &worked};
    uint32_t left = 1;

    (void)state;
    atomic_store(&worked, 0);
    atomic_store(&bytes_read, 0);
    CHECK(pipe(pipe_fds) == 0);
    CHECK_OK(ht_spawn(node, &pipe_behavior, NULL, NULL, &watcher));
    hop.next = watcher;
    CHECK_OK(ht_spawn(node, &hop_behavior, &hop, NULL, &hop_ref));
    for (unsigned long i = 1; i <= 200; i++) {
        CHECK(write(pipe_fds[1], "x", 1) == 1);
        /* another actor, wherever it runs, sends to the watcher */
        CHECK_OK(ht_cast(node, hop_ref, "hop", &left, sizeof(left)));
        wait_for(&worked, i);
    }
    wait_for(&bytes_read, 200);
    CHECK_OK(ht_kill(node, watcher));
    while (ht_is_alive(node, watcher) || !hti_rt_is_idle(node)) {
        sched_yield();
    }
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* ---- spawning
 * -------------------------------------------------------------------- */

static ht_err maybe_init(ht_actor *self, void *arg)
{
    (void)self;
    return (uintptr_t)arg % 3 == 0 ? HT_EIO : HT_OK;
}

static const ht_behavior maybe_behavior = {.init = maybe_init};

static void *spawn_many(void *arg)
{
    (void)arg;
    for (uintptr_t i = 0; i < 600; i++) {
        ht_ref ref;
        ht_err err = ht_spawn(node, &maybe_behavior, (void *)i, NULL, &ref);

        CHECK(err == (i % 3 == 0 ? HT_EIO : HT_OK));
        if (err == HT_OK) {
            CHECK_OK(ht_cast(node, ref, "nobody", NULL, 0));
            CHECK_OK(ht_kill(node, ref));
        }
    }
    return NULL;
}

static void test_threads_spawn_and_kill(void **state)
{
    (void)state;
    run_threads(spawn_many, NULL, 0);
    while (!hti_rt_is_quiet(node)) {
        sched_yield();
    }
}

static void test_the_end_with_mailboxes_full(void **state)
{
    (void)state;
    /* the runtime is torn down with a mailbox full */
    ht_ref ref;

    CHECK_OK(ht_spawn(node, &work_behavior, NULL, NULL, &ref));
    for (int i = 0; i < 500; i++) {
        CHECK_OK(ht_cast(node, ref, "work", NULL, 0));
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

CHECK_MAIN(T(test_fan_in_loses_nothing_and_keeps_order),
           T(test_ping_pong),
           T(test_a_ring_with_many_tokens),
           T(test_threads_call_and_wait),
           T(test_a_thread_calls_a_name),
           T(test_a_handler_may_not_wait),
           T(test_replies_race_with_timeouts),
           T(test_ends_race_with_everything),
           T(test_answers_of_a_peer_race_with_timeouts),
           T(test_idle_schedulers_steal),
           T(test_settled_actors_keep_to_their_scheduler),
           T(test_who_watches_a_descriptor_stays_on_its_loop),
           T(test_threads_spawn_and_kill),
           T(test_the_end_with_mailboxes_full))
