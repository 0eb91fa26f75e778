/* SPDX-License-Identifier: Apache-2.0 */
/* threads.h - a runtime on threads of its own for each test, and threads that
 * use it. */
#ifndef TESTS_ACTOR_THREADS_H
#define TESTS_ACTOR_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "actor/internal.h"
#include "tests/lib/check.h"
#include "tests/lib/host.h"

#define SCHEDS  3
#define SENDERS 3

static struct host_threads host;
static ht_node *node;

static inline int setup(void **state)
{
    (void)state;
    node = host_threads_new(&host, SCHEDS);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    CHECK(hti_flights_pending(node) == 0);
    host_threads_free(&host);
    return 0;
}

static inline void wait_for(atomic_ulong *at, unsigned long want)
{
    while (atomic_load(at) < want) {
        sched_yield();
    }
    CHECK(atomic_load(at) == want);
}

static inline void run_threads(void *(*fn)(void *), void *args, size_t size)
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

struct sender {
    uint32_t index;
    ht_ref to;
    unsigned long refused;
};

/* Passes a message on, so often. */
struct hop {
    ht_ref next;
    atomic_ulong *done;
};

static inline ht_err hop_handle(ht_actor *self, const ht_msg *msg, ht_call call)
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif /* TESTS_ACTOR_THREADS_H */
