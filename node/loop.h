/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - one thread: a scheduler of the runtime and a libevent base.
 *
 * A round has these stages, in this order:
 *
 *   1 note wakes      the state word goes back to RUNNING
 *   2 turn            hti_sched_turn(): timers and actors, up to a budget
 *   3 tasks           what other threads posted (hti_loop_post)
 *   4 work            what this thread put off (hti_loop_defer): connections
 *                     with something to write are written here, once a round,
 *                     however many messages the turn sent
 *   5 timers          of the node layer
 *   6 descriptors     polled: without waiting if work is left, else for up to
 *                     spin_us, then, after an attempt to steal an actor, until
 *                     one is ready, the timerfd fires, or somebody wakes us.
 *                     While polling, those that had something last are tried
 *                     first, which saves an epoll_wait() a message; epoll comes
 *                     in its turn, so that they keep nobody else waiting
 *
 *   RUNNING --wake--> NOTIFIED --round--> RUNNING --sleep--> SLEEPING
 *      ^                                                        |
 *      +---------------- wake writes the eventfd ---------------+
 *
 * The eventfd is written only when the word was SLEEPING; the exchange in
 * hti_loop_wake() and the compare-exchange before the sleep are on the same
 * word, so no wake is lost between the last look and the sleep.
 *
 * In single-threaded mode nobody's thread is the loop's: hti_loop_poll() does a
 * round in the caller's, and the word is SLEEPING between polls.  libevent does
 * not tell its epoll descriptor, so every descriptor is registered a second
 * time in an epoll of our own, which is what ht_node_fd() returns.
 *
 * Thread: as each function says.  Lifetime: from before the runtime until after
 * it; the runtime's host functions point here.
 */
#ifndef HTI_NODE_LOOP_H
#define HTI_NODE_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <sys/queue.h>

#include "actor/runtime.h"
#include "base/mpsc.h"
#include "node/timer.h"

struct hti_loop;
struct hti_server;

/* A watched descriptor; embedded in its owner. */
struct hti_io {
    struct event event;
    struct hti_loop *loop; /* NULL: not initialised */
    int fd;
    int events; /* HT_READ|HT_WRITE, 0: none */
    void (*ready)(struct hti_io *io, int events);
};

/* Posted from any thread; the poster has no say before it has run. */
struct hti_task {
    struct hti_mpsc_node node;
    void (*run)(struct hti_task *task);
};

/* Put off to stage 4 of this round, or of the next if that has passed. */
struct hti_work {
    TAILQ_ENTRY(hti_work) entry;
    bool queued;
    void (*run)(struct hti_work *work);
};
TAILQ_HEAD(hti_works, hti_work);

/* Bytes to be sent before anybody else uses it. */
struct hti_sink {
    uint8_t *buf;
    size_t len, cap;
};

/* Buffers that every connection of a loop shares, since each is used within
 * one call. */
#define HTI_LOOP_READ_BYTES  (256 * 1024)
#define HTI_LOOP_BATCH_BYTES (64 * 1024)
/* Ciphertext: a batch, and what one more record can add. */
#define HTI_LOOP_CIPHER_BYTES (HTI_LOOP_BATCH_BYTES + 18 * 1024)

/* Descriptors that are tried without asking epoll.  Few: each that has nothing
 * costs nearly as much as asking for all. */
#define HTI_LOOP_HOT 2

struct hti_loop {
    _Alignas(64) _Atomic unsigned state;
    _Atomic bool exit;
    struct hti_mpsc inbox; /* of hti_task; guarded by its own rules */

    /* Only the loop's thread from here on. */
    _Alignas(64) unsigned index;
    struct hti_server *server;
    ht_node *node;
    struct event_base *base;
    int wake_fd, timer_fd;
    int outer_fd; /* -1 unless single-threaded */
    struct hti_io wake_io, timer_io;
    uint64_t armed_ns; /* what timer_fd is set to; UINT64_MAX: off */
    uint64_t now_ms;   /* of this round */
    bool slept;        /* now_ms is of before the sleep */
    unsigned activity; /* descriptors, tasks and work seen in this round */
    struct hti_io *hot[HTI_LOOP_HOT]; /* that were read from last; or NULL */
    unsigned looks;                   /* at what is ready, while polling */
    struct hti_works works;
    unsigned works_count;
    struct hti_timers timers;
    uint8_t *read_buf;
    uint8_t *batch;
    struct hti_sink cipher;
    uint64_t spin_ns;
    pthread_t thread;
    bool has_thread;
};

/* HT_ENOMEM, HT_EIO.  On failure give it to hti_loop_fini() all the same. */
HT_MUSTUSE ht_err hti_loop_init(struct hti_loop *loop,
                                struct hti_server *server,
                                unsigned index,
                                bool single_threaded,
                                uint64_t spin_ns);
/* Nothing of a connection is left in it. Zeroed or half-built ones are fine. */
void hti_loop_fini(struct hti_loop *loop);

/* Start its thread. HT_ENOMEM. */
HT_MUSTUSE ht_err hti_loop_start(struct hti_loop *loop, ht_node *node);
/* Let its thread end, and wait for it. */
void hti_loop_join(struct hti_loop *loop);
/* Single-threaded: one round, which waits at most wait_ns for something to do
 * if there is nothing. */
void hti_loop_poll(struct hti_loop *loop, uint64_t wait_ns);

/* ---- any thread ---- */

/* Async-signal-safe. */
void hti_loop_wake(struct hti_loop *loop);
void hti_loop_post(struct hti_loop *loop, struct hti_task *task);
bool hti_loop_is_current(const struct hti_loop *loop);
uint64_t hti_clock_ns(void);

/* ---- the loop's own thread ---- */

void hti_loop_defer(struct hti_loop *loop, struct hti_work *work);
void hti_loop_undefer(struct hti_loop *loop, struct hti_work *work);

void hti_io_init(struct hti_io *io,
                 struct hti_loop *loop,
                 int fd,
                 void (*ready)(struct hti_io *io, int events));
/* HT_ENOMEM; HT_EIO: the descriptor cannot be watched. */
HT_MUSTUSE ht_err hti_io_set(struct hti_io *io, int events);
/* Something was read from it, and more may come soon: from now on ready() may
 * find nothing to read, and must not mind. */
void hti_io_heat(struct hti_io *io);
/* Zeroed ones are fine. Safe inside ready(). */
void hti_io_fini(struct hti_io *io);

#endif /* HTI_NODE_LOOP_H */
