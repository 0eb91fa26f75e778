/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that send and look while links come and go: for the thread
 * sanitizer, and for what a push must not touch any more after a close. */
#include "tests/lib/check.h"
#include "tests/lib/probe.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { THREADS = 3 };

struct hammer {
    ht_node *node;
    ht_ref to;
    _Atomic bool stop;
    _Atomic uint64_t accepted, refused;
};

static void count_peers(const ht_peer_info *info, void *arg)
{
    *(size_t *)arg += strlen(info->name) + strlen(info->state);
}

static void *hammer(void *arg)
{
    struct hammer *h = arg;
    char data[300] = {0};
    char text[300];
    size_t seen = 0;

    for (unsigned i = 0; !atomic_load(&h->stop); i++) {
        ht_err err = ht_cast(h->node, h->to, "x", data, i % sizeof data);

        if (err == HT_OK) {
            atomic_fetch_add(&h->accepted, 1);
        } else {
            assert_true(err == HT_EBUSY || err == HT_ENOCONN ||
                        err == HT_ENOPROC);
            atomic_fetch_add(&h->refused, 1);
            sched_yield();
        }
        if (i % 64 == 0) {
            ht_peer_each(h->node, count_peers, &seen);
            ht_ref_format(h->node, h->to, text, sizeof text);
            seen += strlen(ht_ref_node_name(h->node, h->to));
            seen += ht_is_alive(h->node, h->to);
        }
    }
    return NULL;
}

static void start(struct hammer *h, pthread_t *threads)
{
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, hammer, h);
    }
    /* On a busy machine all that follows could be over before they run. */
    while (atomic_load(&h->accepted) == 0) {
        sched_yield();
    }
}

static void stop(struct hammer *h, pthread_t *threads)
{
    atomic_store(&h->stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void test_sending_while_links_come_and_go(void **state)
{
    struct pipe_opts opts = {.outbox_bytes_max = 16 * 1024};
    struct pipe_world *w = pipe_new(41);
    struct pipe_node *a = pipe_start(w, "a", &opts);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    pthread_t threads[THREADS];
    struct hammer h = {.node = a->node};
    struct probe pb = {0};

    (void)state;
    CHECK_OK(probe_spawn(b, NULL, false, &pb));
    CHECK_OK(ht_group_join(b->node, "g", pb.ref));
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    CHECK(ht_group_members(a->node, NULL, "g", &h.to, 1) == 1);
    start(&h, threads);
    for (unsigned i = 0; i < 60; i++) {
        pipe_run(w, 100);
        if (i % 3 == 2) {
            pipe_cut(a, b);
        }
    }
    /* And a restart: the handle dies under the senders. */
    pipe_stop(b);
    pipe_run(w, 100);
    b = pipe_start(w, "b", NULL);
    pipe_run(w, 2000);
    stop(&h, threads);
    CHECK(atomic_load(&h.accepted) > 0);
    CHECK(pb.casts > 0);
    CHECK_ERR(ht_cast(a->node, h.to, "x", NULL, 0), HT_ENOPROC);
    pipe_free(w);
}

CHECK_MAIN(cmocka_unit_test(test_sending_while_links_come_and_go))
