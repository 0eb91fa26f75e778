/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of actor/ share: the node, the actor, what lies
 * in a mailbox.  No other layer includes it.
 *
 * An actor lives in a slot.  Slots are type-stable: made in chunks, never
 * unmapped before hti_rt_free(), so a sender may touch any slot that a pid
 * names without counting references.  A pid is generation << 32 | slot index;
 * every item in a mailbox carries the pid it is meant for, and whoever runs the
 * slot bounces what is meant for an earlier life.
 *
 * Who may touch what, in struct ht_actor:
 *   any thread        the atomics and the mailbox's producer side;
 *   the runner        everything marked (run): the one thread that moved the
 *                     slot from IDLE to QUEUED, took it from a run queue, and
 *                     has not yet let it go;
 *   node->lock        everything marked (lock).
 *
 * Lock order: the directory's lock, then node->lock, then a run queue's; no
 * function of another layer or of the user is called with node->lock held.
 */
#ifndef HTI_ACTOR_INTERNAL_H
#define HTI_ACTOR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "actor/runtime.h"
#include "base/mpsc.h"

struct hti_directory;
struct hti_pool;
struct hti_relation_end;
struct hti_flight;
struct hti_timer;
struct hti_watch;

/* ---- what lies in a mailbox ---------------------------------------------- */

enum hti_item_kind {
    HTI_ITEM_MESSAGE, /* struct ht_msg: a cast or a call; bounded */
    HTI_ITEM_REPLY,   /* struct hti_flight: a call of this actor has ended */
    HTI_ITEM_SIGNAL,  /* struct hti_relation: down, exit or writable */
    HTI_ITEM_TIMER,   /* struct hti_timer */
    HTI_ITEM_WATCH,   /* struct hti_watch: a descriptor is ready */
    HTI_ITEM_EVENT,   /* struct hti_event_item */
    HTI_ITEM_DONE,    /* struct hti_done_item */
};

struct hti_item {
    struct hti_mpsc_node node;
    uint64_t pid; /* the actor it is meant for; set by hti_post() */
    enum hti_item_kind kind;
};

/* An event that whoever posts it has allocated; on_event() gets it.  release is
 * called once: after on_event(), or when the actor is gone. */
struct hti_event_item {
    struct hti_item item; /* kind HTI_ITEM_EVENT */
    ht_event event;
    void (*release)(struct hti_item *item);
};

/* Something to run as a turn of the actor.  run is called unless the actor is
 * gone; release always, once, after it. */
struct hti_done_item {
    struct hti_item item; /* kind HTI_ITEM_DONE */
    void (*run)(ht_actor *self, struct hti_item *item);
    void (*release)(struct hti_item *item);
};

/* Push an item that was reserved beforehand: never refused, not counted.
 * Takes item in every case; it is run or released exactly once, in the actor's
 * turn or, if the actor is gone (HT_ENOPROC), here and now.  Any thread. */
ht_err hti_post(ht_node *node, uint64_t pid, struct hti_item *item);

/* ---- what the directory asks about an actor ------------------------------ */

#define HTI_ACTOR_ADVERTISED 1u /* peers know of it */
#define HTI_ACTOR_UNLISTED   2u /* a name that is never advertised */
#define HTI_ACTOR_LOCAL_ONLY 4u /* other nodes may not send to it */

/* The actor takes messages; false from the moment that it begins to end, which
 * is before hti_directory_actor_ended().  Any thread. */
bool hti_actor_is_live(ht_node *node, uint64_t pid);
/* HTI_ACTOR_*; 0 if it is gone. */
uint32_t hti_actor_flags(ht_node *node, uint64_t pid);
/* True if this call made it advertised: it lives, is neither unlisted nor
 * local only, and was not advertised yet.  May be called with the directory's
 * lock held. */
bool hti_actor_set_advertised(ht_node *node, uint64_t pid);

/* ---- alarms ---------------------------------------------------------------
 */

/* Something that is due at a time, in the heap of one scheduler.  Only that
 * scheduler's thread touches the heap; others hand the alarm back to it. */
struct hti_alarm {
    uint64_t deadline_ns;
    struct hti_alarm *child, *next, *prev; /* pairing heap */
    bool armed;
    bool is_timer; /* struct hti_timer, else struct hti_flight */
    uint16_t sched;
    struct hti_mpsc_node back; /* on its way back to the scheduler */
};

/* ---- schedulers -----------------------------------------------------------
 */

#define HTI_TURN_MESSAGES 64 /* of one actor before the next one runs */

STAILQ_HEAD(hti_run_queue, ht_actor);

struct hti_sched {
    ht_node *node;
    unsigned index;

    pthread_mutex_t lock; /* of the run queue */
    struct hti_run_queue queue;
    _Atomic unsigned queued;      /* length; written under lock */
    _Atomic uint64_t actor_turns; /* whether it moves on: see steal */
    _Atomic bool running;         /* inside an actor's turn */

    /* its own thread only */
    uint64_t now_ns;          /* cached clock */
    struct hti_alarm *alarms; /* the root */
    uint64_t seen_turns[HTI_SCHEDS_MAX];
    struct hti_flight *free_flights;

    struct hti_mpsc back; /* alarms handed back by other threads */

    _Atomic uint64_t handled, steals, timers;
};

/* ---- calls in flight ------------------------------------------------------
 */

#define HTI_FLIGHT_CHUNK      1024
#define HTI_FLIGHT_CHUNKS_MAX 16384 /* 24 bits of slot in a tag */
#define HTI_FLIGHT_THREADS    255   /* the table of ordinary threads */

/* Type-stable records; grown by their owner (a scheduler, or whoever holds
 * threads_lock), read by anyone who has a tag. */
struct hti_flight_table {
    _Atomic(struct hti_flight *) *chunks; /* HTI_FLIGHT_CHUNKS_MAX */
    _Atomic unsigned count;               /* records made so far */
};

/* ---- actors ---------------------------------------------------------------
 */

#define HTI_SLOT_CHUNK      1024
#define HTI_SLOT_CHUNKS_MAX 16384

enum hti_life {
    HTI_LIFE_FREE,     /* no actor */
    HTI_LIFE_STARTING, /* set up; init has not run */
    HTI_LIFE_ALIVE,
    HTI_LIFE_ENDING, /* no longer addressable; terminate runs */
};

enum hti_run_state {
    HTI_RUN_IDLE,   /* in no queue, nobody runs it */
    HTI_RUN_QUEUED, /* in one run queue, or in the hands of its runner */
};

#define HTI_CONTROL_STOP  1u
#define HTI_CONTROL_KILL  2u
#define HTI_CONTROL_DRAIN 4u

/* messages << 40 | bytes, in one word so that one addition counts both */
#define HTI_LOAD_MESSAGE        (UINT64_C(1) << 40)
#define HTI_LOAD_BYTES(load)    ((load) & (HTI_LOAD_MESSAGE - 1))
#define HTI_LOAD_MESSAGES(load) ((load) >> 40)

LIST_HEAD(hti_relation_list, hti_relation_end);
LIST_HEAD(hti_flight_list, hti_flight);
LIST_HEAD(hti_timer_list, hti_timer);
LIST_HEAD(hti_watch_list, hti_watch);

struct hti_answer; /* an open call: answer.c */
struct hti_spawn_wait;

struct ht_actor {
    /* ---- what a sender reads and writes ---- */
    _Atomic uint64_t pid; /* of the life that takes messages; 0: none */
    _Atomic uint64_t load;
    _Atomic uint32_t messages_max;
    _Atomic uint32_t bytes_max;
    _Atomic uint32_t flags;   /* HTI_ACTOR_*; written under lock */
    _Atomic uint32_t control; /* HTI_CONTROL_*; written under lock */
    _Atomic unsigned run_state;
    _Atomic unsigned home;
    _Atomic bool pinned;  /* watches a descriptor: runs at home only */
    _Atomic bool waiters; /* somebody asked ht_notify_writable() */
    _Atomic uint64_t dropped;
    struct hti_mpsc mailbox;
    STAILQ_ENTRY(ht_actor) run_entry; /* the queue's lock, or free_slots */

    /* ---- (run) ---- */
    ht_node *node;
    uint32_t index;
    uint32_t generation;
    uint64_t own_pid; /* 0: no life here */
    enum hti_life life;
    const ht_behavior *behavior;
    void *init_arg;
    void *state;
    struct hti_spawn_wait *spawn_wait;
    bool trap_exit;
    bool failed; /* a callback outside of handle() returned end_err */
    ht_err end_err;
    _Atomic uint64_t handled; /* written by the runner only */
    _Atomic(const void *) service;
    struct hti_flight_list flights;
    struct hti_timer_list timers;
    struct hti_watch_list watches;
    struct hti_answer *answers; /* open calls */
    uint32_t answers_cap;
    uint32_t answers_free; /* index of the first free one */
    _Atomic uint32_t answers_open;
    struct hti_timer *reaper;

    /* ---- (lock) ---- */
    struct hti_relation_list relations;
    ht_exit_kind stop_kind;
    char *stop_text;
};

/* ---- the node --------------------------------------------------------------
 */

#define HTI_RELATION_BUCKETS 1024
#define HTI_CANCELS          1024

struct ht_node {
    /* ---- set once ---- */
    char *name;
    unsigned scheds_count;
    bool single_threaded;
    uint32_t mailbox_messages_max;
    uint32_t mailbox_bytes_max;
    uint64_t local_handle;
    uint8_t instance[16];
    struct hti_log log;
    const struct hti_host_ops *host;
    void *host_arg;
    const struct hti_remote_ops *remote; /* NULL: nobody else in the world */
    void *remote_arg;
    void *slots_above[HTI_SLOT_COUNT];
    uint64_t hash_key;

    struct hti_directory *directory;
    struct hti_pool *pool;
    struct hti_sched *scheds;

    /* Single-threaded: the thread that drives it (address of a thread's own
     * variable). */
    _Atomic uintptr_t owner;
    _Atomic uint64_t idle_scheds; /* bit: about to sleep, may be woken */
    _Atomic unsigned next_home;
    _Atomic uint64_t monitor_next;

    pthread_mutex_t lock;
    bool lock_made;
    _Atomic bool stopping; /* written under lock */

    /* actors; written under lock */
    _Atomic(struct ht_actor *) *slots; /* HTI_SLOT_CHUNKS_MAX chunks */
    _Atomic uint32_t slots_count;      /* made so far */
    struct hti_run_queue free_slots;
    _Atomic uint64_t actors;

    /* relations (lock) */
    struct hti_relation_list remote_ends[HTI_RELATION_BUCKETS];
    struct hti_relation_list by_key[HTI_RELATION_BUCKETS];
    size_t remote_made; /* monitors and links that peers asked for */

    /* calls in flight: one table a scheduler, the last for ordinary threads */
    struct hti_flight_table flights[HTI_SCHEDS_MAX + 1];
    pthread_mutex_t threads_lock;
    struct hti_flight *threads_free;
    _Atomic uint64_t cancels[HTI_CANCELS]; /* calls that peers gave up */

    /* who gets node events (lock) */
    uint64_t *node_watchers;
    size_t node_watchers_count, node_watchers_cap;

    _Atomic uint64_t dropped, wakes;
};

#endif /* HTI_ACTOR_INTERNAL_H */
