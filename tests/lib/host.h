/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - a runtime's host for tests: what struct hti_host_ops asks for,
 * without libevent.
 *
 * Two of them:
 *   struct host        one scheduler, driven by the test, on a clock that only
 *                      the test moves; descriptors are ready when it says so;
 *   struct host_threads  real threads that wait on condition variables.
 *
 * Thread: struct host belongs to the test's thread; its node may be sent to
 * from others.
 */
#ifndef TESTS_LIB_HOST_H
#define TESTS_LIB_HOST_H

#include <pthread.h>
#include <stdatomic.h>

#include "actor/runtime.h"

#define HOST_HANDLE  0x1001u /* ht_ref.node of the node's own actors */
#define HOST_FDS_MAX 16

/* ---- one scheduler, a clock in the test's hands -----------------------------
 */

struct host {
    ht_node *node;
    uint64_t now_ns;
    uint64_t random; /* state of a small generator; the seed */
    atomic_uint wakes;
    struct {
        int fd;
        int events; /* 0: not watched */
        void *token;
    } watched[HOST_FDS_MAX];
    ht_err watch_err; /* what the next watch returns */
};

/* Zero host, then make its node. More of config than host_config() sets may be
 * changed before. */
struct hti_rt_config host_config(struct host *host, const char *name);
ht_err host_start(struct host *host, const struct hti_rt_config *config);
/* host_config() and host_start(); fails the test on an error. */
ht_node *host_new(struct host *host);
/* End all actors, free the node. */
void host_free(struct host *host);
/* Turn until there is nothing to do; the clock stands still. */
void host_run(struct host *host);
/* Turn, move the clock from deadline to deadline, ms in all. */
void host_advance(struct host *host, uint64_t ms);
/* fd is ready, if it is watched for any of events; then host_run(). */
void host_ready(struct host *host, int fd, int events);
/* HT_READ | HT_WRITE as watched; 0: not. */
int host_watched(const struct host *host, int fd);

/* ---- real threads
 * ------------------------------------------------------------ */

struct host_thread {
    struct host_threads *host;
    unsigned index;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
    /* Watched descriptors are polled by the thread itself. */
    struct {
        int fd;
        int events;
        void *token;
    } watched[HOST_FDS_MAX];
};

struct host_threads {
    ht_node *node;
    unsigned count;
    struct host_thread threads[HTI_SCHEDS_MAX];
    atomic_bool stop;
    atomic_ulong wakes;
};

/* Make a node of count schedulers and start their threads. */
ht_node *host_threads_new(struct host_threads *host, unsigned count);
/* End all actors, join the threads, free the node. */
void host_threads_free(struct host_threads *host);

#endif /* TESTS_LIB_HOST_H */
