/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking work, on real threads and inline. */
#include <signal.h>
#include <stdatomic.h>

#include "actor/internal.h"
#include "actor/pool.h"
#include "tests/lib/check.h"
#include "tests/lib/host.h"

/* A door that opens once; waiting for it is not a sleep. */
struct door {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned count;
};

#define DOOR_INIT                                                              \
    {                                                                          \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                 \
    }

static void door_knock(struct door *door)
{
    pthread_mutex_lock(&door->lock);
    door->count++;
    pthread_cond_broadcast(&door->cond);
    pthread_mutex_unlock(&door->lock);
}

static void door_wait(struct door *door, unsigned count)
{
    pthread_mutex_lock(&door->lock);
    while (door->count < count) {
        pthread_cond_wait(&door->cond, &door->lock);
    }
    pthread_mutex_unlock(&door->lock);
}

/* What one job did. */
struct work {
    struct door *start; /* work waits for it; NULL: goes on */
    struct door *begun;
    struct door *over; /* done or dropped */
    pthread_t thread;
    bool signals_blocked;
    atomic_uint worked, done, dropped;
    ht_ref done_by;
};

static void do_work(void *arg)
{
    struct work *work = arg;
    sigset_t set;

    work->thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    work->signals_blocked =
        sigismember(&set, SIGTERM) == 1 && sigismember(&set, SIGUSR1) == 1;
    if (work->begun != NULL) {
        door_knock(work->begun);
    }
    if (work->start != NULL) {
        door_wait(work->start, 1);
    }
    atomic_fetch_add(&work->worked, 1);
}

static void on_done(ht_actor *self, void *arg)
{
    struct work *work = arg;

    work->done_by = ht_self(self);
    CHECK(ht_current() == self);
    atomic_fetch_add(&work->done, 1);
    if (work->over != NULL) {
        door_knock(work->over);
    }
}

static void on_drop(void *arg)
{
    struct work *work = arg;

    atomic_fetch_add(&work->dropped, 1);
    if (work->over != NULL) {
        door_knock(work->over);
    }
}

/* "block" takes a pointer to an array of work, its length, and where the first
 * error goes. */
struct request {
    struct work *work;
    size_t count;
    ht_err *ret_err;
    struct door *asked;
};

static ht_err on_message(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct request request;
    ht_err err = HT_OK;

    (void)call;
    memcpy(&request, ht_msg_args(msg).data, sizeof request);
    for (size_t i = 0; err == HT_OK && i < request.count; i++) {
        err = ht_block(self, do_work, on_done, on_drop, &request.work[i]);
    }
    *request.ret_err = err;
    if (request.asked != NULL) {
        door_knock(request.asked);
    }
    return HT_OK;
}

static const ht_behavior asker = {.handle = on_message};

static ht_ref spawn(ht_node *node)
{
    ht_ref ref;

    CHECK_OK(ht_spawn(node, &asker, NULL, NULL, &ref));
    return ref;
}

static void ask(ht_node *node, ht_ref to, struct request request)
{
    CHECK_OK(ht_cast(node, to, "block", &request, sizeof request));
}

static void test_work_leaves_the_scheduler_and_done_comes_back(void **state)
{
    struct host_threads host;
    ht_node *node = host_threads_new(&host, 2);
    struct door over = DOOR_INIT;
    struct work work = {.over = &over};
    ht_ref ref = spawn(node);
    ht_err err = HT_EFAILED;

    (void)state;
    ask(node, ref, (struct request){&work, 1, &err, NULL});
    door_wait(&over, 1);
    CHECK(work.worked == 1 && work.done == 1 && work.dropped == 0);
    CHECK(ht_ref_equal(work.done_by, ref));
    CHECK(work.signals_blocked);
    for (unsigned i = 0; i < host.count; i++) {
        CHECK(!pthread_equal(work.thread, host.threads[i].thread));
    }
    host_threads_free(&host);
    CHECK_OK(err);
    CHECK(work.dropped == 0);
}

static void test_work_of_an_actor_that_ended_is_dropped(void **state)
{
    struct host_threads host;
    ht_node *node = host_threads_new(&host, 1);
    struct door start = DOOR_INIT, begun = DOOR_INIT, over = DOOR_INIT;
    struct work work = {.start = &start, .begun = &begun, .over = &over};
    ht_ref ref = spawn(node);
    ht_err err;

    (void)state;
    ask(node, ref, (struct request){&work, 1, &err, NULL});
    door_wait(&begun, 1);
    CHECK_OK(ht_kill(node, ref));
    while (ht_is_alive(node, ref)) {
        sched_yield();
    }
    door_knock(&start);
    door_wait(&over, 1);
    CHECK(work.worked == 1 && work.done == 0 && work.dropped == 1);
    host_threads_free(&host);
    CHECK(work.dropped == 1);
}

static void test_a_full_queue_refuses(void **state)
{
    enum { MANY = HTI_POOL_JOBS_MAX + HTI_POOL_THREADS_DEFAULT + 1 };
    static struct work work[MANY];
    struct host_threads host;
    ht_node *node = host_threads_new(&host, 1);
    struct door start = DOOR_INIT, begun = DOOR_INIT, asked = DOOR_INIT,
                over = DOOR_INIT;
    ht_ref ref = spawn(node);
    ht_err err = HT_OK;
    ht_stats stats;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        work[i] =
            (struct work){.start = &start, .begun = &begun, .over = &over};
    }
    /* As many as there are threads, and all of them busy. */
    ask(node, ref,
        (struct request){work, HTI_POOL_THREADS_DEFAULT, &err, &asked});
    door_wait(&asked, 1);
    CHECK_OK(err);
    door_wait(&begun, HTI_POOL_THREADS_DEFAULT);
    ask(node, ref,
        (struct request){work + HTI_POOL_THREADS_DEFAULT, HTI_POOL_JOBS_MAX + 1,
                         &err, &asked});
    door_wait(&asked, 2);
    CHECK_ERR(err, HT_EBUSY);
    ht_node_stats(node, &stats);
    assert_int_equal(stats.jobs_refused, 1);
    door_knock(&start);
    door_wait(&over, MANY - 1);
    for (size_t i = 0; i < MANY - 1; i++) {
        CHECK(work[i].done == 1 && work[i].dropped == 0);
    }
    CHECK(work[MANY - 1].worked == 0);
    host_threads_free(&host);
}

/* The node waits for what has begun, and drops what has not. */
static void test_a_node_that_ends_drops_what_waits(void **state)
{
    enum { MANY = 50 };
    static struct work work[MANY];
    struct host_threads host;
    ht_node *node = host_threads_new(&host, 1);
    struct door asked = DOOR_INIT;
    ht_ref ref = spawn(node);
    unsigned over = 0;
    ht_err err = HT_EFAILED;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        work[i] = (struct work){.worked = 0};
    }
    ask(node, ref, (struct request){work, MANY, &err, &asked});
    door_wait(&asked, 1);
    host_threads_free(&host);
    CHECK_OK(err);
    for (size_t i = 0; i < MANY; i++) {
        CHECK(work[i].done + work[i].dropped == 1);
        CHECK(work[i].done == 0 || work[i].worked == 1);
        over += work[i].done + work[i].dropped;
    }
    assert_int_equal(over, MANY);
}

static void test_inline_work_runs_at_once_and_done_as_a_turn(void **state)
{
    struct host host;
    ht_node *node = host_new(&host);
    struct work work = {.start = NULL};
    ht_ref ref = spawn(node);
    ht_err err = HT_EFAILED;

    (void)state;
    ask(node, ref, (struct request){&work, 1, &err, NULL});
    host_run(&host);
    CHECK_OK(err);
    CHECK(work.worked == 1 && work.done == 1 && work.dropped == 0);
    CHECK(pthread_equal(work.thread, pthread_self()));
    host_free(&host);
}

static ht_err refuse_nothing(ht_actor *self, void *arg)
{
    (void)arg;
    CHECK_ERR(ht_block(self, NULL, on_done, NULL, NULL), HT_EINVAL);
    CHECK_ERR(ht_block(self, do_work, NULL, NULL, NULL), HT_EINVAL);
    hti_alloc_fail_after(1);
    CHECK_ERR(ht_block(self, do_work, on_done, NULL, NULL), HT_ENOMEM);
    hti_alloc_fail_after(0);
    return HT_OK;
}

static void test_bad_requests_are_refused(void **state)
{
    static const ht_behavior behavior = {.init = refuse_nothing};
    struct host host;
    ht_node *node = host_new(&host);
    ht_ref ref;

    (void)state;
    CHECK_OK(ht_spawn(node, &behavior, NULL, NULL, &ref));
    host_free(&host);
}

CHECK_MAIN(cmocka_unit_test(test_work_leaves_the_scheduler_and_done_comes_back),
           cmocka_unit_test(test_work_of_an_actor_that_ended_is_dropped),
           cmocka_unit_test(test_a_full_queue_refuses),
           cmocka_unit_test(test_a_node_that_ends_drops_what_waits),
           cmocka_unit_test(test_inline_work_runs_at_once_and_done_as_a_turn),
           cmocka_unit_test(test_bad_requests_are_refused))
