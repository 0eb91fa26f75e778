/* SPDX-License-Identifier: Apache-2.0 */
/* Which scheduler runs whom: who is stolen, who stays. */
#include <time.h>
#include <unistd.h>

#include "tests/actor/threads.h"

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

CHECK_MAIN(T(test_idle_schedulers_steal),
           T(test_settled_actors_keep_to_their_scheduler),
           T(test_who_watches_a_descriptor_stays_on_its_loop),
           T(test_the_end_with_mailboxes_full))
