/* SPDX-License-Identifier: Apache-2.0 */
/* Ends, timeouts and answers that race: every call ends, and once. */
#include <time.h>

#include "tests/actor/threads.h"

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

CHECK_MAIN(T(test_replies_race_with_timeouts),
           T(test_ends_race_with_everything),
           T(test_answers_of_a_peer_race_with_timeouts))
