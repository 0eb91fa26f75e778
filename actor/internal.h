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
 *   the runner        everything marked (run): the one thread that took the
 *                     slot from a run queue, or from IDLE to spawn into it, and
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
#include "base/spin.h"

#define HTI_CONTAINER(pointer, type, member)                                   \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct hti_directory;
struct hti_pool;
struct hti_relation;
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
/* The same, but if the actor is gone the item is still pushed to its slot, and
 * released by whoever runs that: for what the actor's own lists hold until it
 * has quite ended. */
void hti_post_to_slot(ht_node *node, uint64_t pid, struct hti_item *item);

/* ---- what the directory asks about an actor ------------------------------ */

#define HTI_ACTOR_ADVERTISED 1u /* peers know of it */
#define HTI_ACTOR_UNLISTED   2u /* a name that is never advertised */
#define HTI_ACTOR_LOCAL_ONLY 4u /* other nodes may not send to it */
/* Who ends it when the node stops: not hti_rt_stop(), at once, but */
#define HTI_ACTOR_CHILD  8u  /* its supervisor, or that one's reaper */
#define HTI_ACTOR_NESTED 16u /* itself, when its parent ends: a supervisor */
#define HTI_ACTOR_REAPER 32u /* itself, when it is done; may begin late */

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

    struct hti_spin lock; /* of the run queue */
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

#define HTI_SLOT_CHUNK      256
#define HTI_SLOT_CHUNKS_MAX 65536

enum hti_life {
    HTI_LIFE_FREE,     /* no actor */
    HTI_LIFE_STARTING, /* set up; init has not run */
    HTI_LIFE_ALIVE,
    HTI_LIFE_ENDING, /* no longer addressable; terminate runs */
};

/* A sender pushes, then exchanges QUEUED in: from IDLE it must enqueue the
 * slot, else somebody will look.  The runner exchanges RUNNING in before it
 * looks, and lets go by RUNNING -> IDLE, which fails if anybody pushed since.
 */
enum hti_run_state {
    HTI_RUN_IDLE,    /* in no queue, nobody runs it */
    HTI_RUN_QUEUED,  /* in a run queue, or its runner must look again */
    HTI_RUN_RUNNING, /* in the hands of its runner */
};

#define HTI_CONTROL_STOP  1u
#define HTI_CONTROL_KILL  2u
#define HTI_CONTROL_DRAIN 4u

/* messages << 40 | bytes, in one word so that one addition counts both */
/* Fewer than the load word can count, by more than there are senders. */
#define HTI_MAILBOX_MESSAGES_MAX 8388608

#define HTI_LOAD_MESSAGE         (UINT64_C(1) << 40)
#define HTI_LOAD_BYTES(load)     ((load) & (HTI_LOAD_MESSAGE - 1))
#define HTI_LOAD_MESSAGES(load)  ((load) >> 40)

LIST_HEAD(hti_relation_list, hti_relation_end);
LIST_HEAD(hti_relation_keys, hti_relation);
LIST_HEAD(hti_flight_list, hti_flight);
LIST_HEAD(hti_timer_list, hti_timer);
LIST_HEAD(hti_watch_list, hti_watch);

struct hti_answer; /* an open call: answer.c */
struct hti_spawn_wait;

/* Three parts, each in cache lines of its own: senders on other cores must not
 * wait for lines that only they share with the runner. */
struct ht_actor {
    /* ---- what senders read, and hardly anybody writes ---- */
    _Alignas(64) _Atomic uint64_t pid; /* that takes messages; 0: none */
    _Atomic uint32_t messages_max;
    _Atomic uint32_t bytes_max;
    _Atomic uint32_t flags;   /* HTI_ACTOR_*; written under lock */
    _Atomic uint32_t control; /* HTI_CONTROL_*; written under lock */
    _Atomic unsigned home;
    _Atomic bool pinned; /* runs at home only: it watches a descriptor, or */
    bool settled; /* was spawned for that scheduler; set by the spawner */
    _Atomic bool waiters; /* somebody asked ht_notify_writable() */
    ht_node *node;
    uint32_t index;
    uint32_t generation;               /* (run) */
    STAILQ_ENTRY(ht_actor) free_entry; /* (lock) */
    const ht_behavior *behavior;       /* (run) */

    /* ---- what senders write ---- */
    _Alignas(64) _Atomic uint64_t load; /* HTI_LOAD_*; of the slot, not of a
                                           life */
    _Atomic uint64_t dropped;
    _Atomic unsigned run_state;
    _Atomic uint32_t news; /* group events queued: of the slot, not of a life */
    STAILQ_ENTRY(ht_actor) run_entry; /* the run queue's lock */
    /* (lock) */
    struct hti_relation_list relations;
    char *stop_text;
    ht_exit_kind stop_kind;
    /* Its head is the senders', its tail begins the runner's part. */
    struct hti_mpsc mailbox;

    /* ---- (run) ---- */
    uint64_t own_pid; /* 0: no life here */
    enum hti_life life;
    bool trap_exit;
    uint64_t taken; /* of load: popped, and not yet given back */
    void *state;
    _Atomic uint64_t handled; /* written by the runner only */
    void *init_arg;
    struct hti_spawn_wait *spawn_wait;
    uint64_t parent; /* that it was linked to at its start; 0: none */
    _Atomic(const void *) service;
    struct hti_flight_list flights;
    struct hti_timer_list timers;
    struct hti_watch_list watches;
    struct hti_answer *answers; /* open calls */
    uint32_t answers_cap;
    uint32_t answers_free; /* index of the first free one */
    _Atomic uint32_t answers_open;
    struct hti_timer *reaper;
};
_Static_assert((offsetof(struct ht_actor, mailbox) +
                offsetof(struct hti_mpsc, tail)) %
                       64 ==
                   0,
               "the mailbox lies across two parts");

/* ---- the node --------------------------------------------------------------
 */

#define HTI_RELATION_BUCKETS 1024
#define HTI_CANCELS          1024
#define HTI_REMOTE_SHARES    256

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
    _Atomic uint64_t number_next; /* of monitors and timers */

    pthread_mutex_t lock;
    _Atomic bool stopping; /* written under lock */
    _Atomic bool refusing; /* no new actors */

    /* actors; written under lock */
    _Atomic(struct ht_actor *) *slots; /* HTI_SLOT_CHUNKS_MAX chunks */
    _Atomic uint32_t slots_count;      /* made so far */
    struct hti_run_queue free_slots;
    _Atomic uint64_t actors;

    /* relations (lock) */
    struct hti_relation_list remote_ends[HTI_RELATION_BUCKETS];
    struct hti_relation_keys by_key[HTI_RELATION_BUCKETS];
    _Atomic size_t remote_made; /* monitors and links that peers asked for */
    _Atomic size_t remote_shares[HTI_REMOTE_SHARES]; /* by handle modulo that */

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

/* ---- this thread (sched.c) ------------------------------------------------
 */

struct hti_thread {
    ht_node *node; /* whose scheduler this thread is now; NULL: nobody's */
    unsigned sched;
    bool in_turn;
    bool pressed;    /* hti_sched_press(): let the host write */
    ht_actor *actor; /* whose callback runs */
};
extern _Thread_local struct hti_thread hti_thread;

/* The scheduler of node whose thread this is, NULL in any other thread. */
struct hti_sched *hti_here(const ht_node *node);
/* The actor of node whose callback runs here; NULL if there is none. */
ht_actor *hti_caller(const ht_node *node);

ht_err hti_scheds_new(ht_node *node);
void hti_scheds_free(ht_node *node);
/* Take the alarms that other threads have handed back. */
void hti_sched_take_back(struct hti_sched *sched);
/* Tell the slot's runner, or make it runnable: something was pushed. */
void hti_actor_poke(ht_actor *actor);
/* Put a slot that is QUEUED and in nobody's hands into a run queue. */
void hti_schedule(ht_actor *actor);
/* The clock, fresh. */
uint64_t hti_now(ht_node *node);
/* The deadline of something that lasts timeout_ms from now. */
uint64_t hti_deadline(ht_node *node, uint32_t timeout_ms);

/* ---- alarms (alarm.c); on the scheduler's own thread ----------------------
 */

void hti_alarm_arm(struct hti_sched *sched,
                   struct hti_alarm *alarm,
                   uint64_t deadline_ns);
void hti_alarm_disarm(struct hti_sched *sched, struct hti_alarm *alarm);
/* Take the first that is due; NULL if none is. */
struct hti_alarm *hti_alarm_due(struct hti_sched *sched, uint64_t now_ns);

/* ---- slots (slot.c) -------------------------------------------------------
 */

/* Whoever lives or lived there, from 1; NULL: no such slot was ever made. */
static inline ht_actor *hti_slot_at(const ht_node *node, uint32_t index)
{
    struct ht_actor *chunk;

    if (index == 0 || index > atomic_load_explicit(&node->slots_count,
                                                   memory_order_acquire)) {
        return NULL;
    }
    index--;
    chunk = atomic_load_explicit(&node->slots[index / HTI_SLOT_CHUNK],
                                 memory_order_acquire);
    return &chunk[index % HTI_SLOT_CHUNK];
}

static inline ht_actor *hti_slot_of(const ht_node *node, uint64_t pid)
{
    return hti_slot_at(node, (uint32_t)pid);
}

/* The actor, if it takes messages. */
static inline ht_actor *hti_actor_find(const ht_node *node, uint64_t pid)
{
    ht_actor *a = hti_slot_of(node, pid);

    if (a == NULL || pid == 0 ||
        atomic_load_explicit(&a->pid, memory_order_acquire) != pid) {
        return NULL;
    }
    return a;
}

/* Take a free slot, RUNNING and in the caller's hands. NULL: no memory. */
ht_actor *hti_slot_take(ht_node *node);
void hti_slot_give_back(ht_actor *actor);
void hti_slots_free(ht_node *node);

/* ---- life (spawn.c, exit.c) -----------------------------------------------
 */

/* ht_spawn() with HTI_ACTOR_*. */
ht_err hti_spawn_flagged(ht_node *node,
                         const ht_behavior *behavior,
                         void *arg,
                         const ht_spawn_opts *opts,
                         uint32_t flags,
                         ht_ref *ret_ref);

/* Run init of an actor that an ordinary thread waits for. (run) */
void hti_spawn_finish(ht_actor *actor);
/* Obey stop, kill and drain. (run) */
void hti_actor_obey(ht_actor *actor);
/* End: terminate, answer, drop, tell. why is borrowed. (run) */
void hti_actor_end(ht_actor *actor, const ht_exit *why);
/* As if it had never been: init failed or could not run. (run) */
void hti_actor_abandon(ht_actor *actor, ht_err err);
/* Set HTI_CONTROL_* of a live actor. text is copied. HT_ENOPROC. */
ht_err hti_actor_control(ht_node *node,
                         uint64_t pid,
                         uint32_t control,
                         ht_exit_kind kind,
                         const char *text);

/* ---- mailboxes (mailbox.c) ------------------------------------------------
 */

/* Take msg into the mailbox on HT_OK. HT_EBUSY, HT_ENOPROC. */
ht_err hti_mailbox_send(ht_node *node, uint64_t pid, ht_msg *msg);
/* The same, for who has looked up the actor that pid names, or named: HT_OK is
 * then also what is bounced. */
ht_err hti_mailbox_put(ht_actor *actor, uint64_t pid, ht_msg *msg);
/* Bounce everything that is queued. (run) */
void hti_mailbox_bounce(ht_actor *actor);
/* A turn of the slot: up to limit items; returns how many.  Lets it go. */
unsigned hti_actor_turn(ht_actor *actor, unsigned limit);
/* (run) -> IDLE, or back into a run queue. */
void hti_actor_let_go(ht_actor *actor);

/* ---- messages (message.c) -------------------------------------------------
 */

#define HTI_VARIANT_BYTES_MAX 65535
#define HTI_MESSAGE_BYTES_MAX (UINT32_C(1) << 30)
#define HTI_COPY_BYTES_MAX    4096 /* received: larger ones are handed over */

struct hti_msg_call {
    struct hti_origin origin;
    uint64_t deadline_ns; /* UINT64_MAX: none */
};

struct ht_msg {
    struct hti_item item; /* kind HTI_ITEM_MESSAGE */
    size_t bytes;         /* variant, args and metadata: what it is charged */
    ht_ref from;
    const char *variant;
    ht_bytes args;
    ht_bytes metadata;
    struct hti_msg_call *call; /* NULL: a cast */
    void *metadata_block;      /* of ht_msg_set_metadata() */
    struct hti_buf *owner;     /* what args and metadata point into */
};

/* Copy, or keep view->owner. call may be NULL. NULL: no memory. */
ht_msg *hti_msg_build(const struct hti_view *view,
                      ht_ref from,
                      const struct hti_msg_call *call);
/* What the public functions check. HT_EINVAL, HT_ETOOBIG. */
ht_err hti_view_of(const char *variant,
                   const void *args,
                   size_t args_len,
                   struct hti_view *ret_view);
/* A name on a node, NULL or its own name being here: the actor, or a ref of pid
 * 0 and the name to address. HT_EINVAL, HT_ENOPROC, HT_ENOCONN. (send.c) */
ht_err hti_resolve(ht_node *node,
                   const char *node_name,
                   const char *name,
                   ht_ref *ret_ref,
                   ht_bytes *ret_name);
/* Handle it, as a turn. Takes msg. An error ends the actor. (run) */
ht_err hti_msg_run(ht_actor *actor, ht_msg *msg);
/* What a call that is too late is answered with: a local caller's own deadline
 * is the same moment, and whichever side sees it first says the same. */
ht_err hti_expired(const struct hti_origin *origin);
/* Nobody will handle it: a call is answered with err. Takes msg. */
void hti_msg_bounce(ht_node *node, ht_msg *msg, ht_err err);

/* ---- answers (answer.c) ---------------------------------------------------
 */

#define HTI_ANSWERS_MAX 65536 /* open calls of one actor */

ht_err hti_answer_open(ht_actor *actor,
                       const struct hti_msg_call *call,
                       ht_call *ret_call);
bool hti_answer_is_open(const ht_actor *actor, ht_call call);
/* The handler has returned and left it open: watch its deadline. */
void hti_answer_keep(ht_actor *actor, ht_call call);
void hti_answer_reap(ht_actor *actor);
/* The actor ends: answer all that is open. */
void hti_answer_end(ht_actor *actor, const ht_exit *why);
void hti_origin_answer(ht_node *node,
                       const struct hti_origin *origin,
                       ht_err err,
                       const char *reason,
                       const void *data,
                       size_t len);

/* ---- calls in flight (flight.c) -------------------------------------------
 */

/* What a reply holds; one block. */
struct hti_payload {
    struct hti_buf *owner;
    char data[];
};

struct hti_call_wait {
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    bool done;
};

enum hti_flight_phase {
    HTI_FLIGHT_FREE,
    HTI_FLIGHT_PENDING,
    HTI_FLIGHT_CLAIMED, /* somebody has ended it, and owns the result */
};

struct hti_flight {
    struct hti_item item; /* kind HTI_ITEM_REPLY */
    struct hti_alarm alarm;
    uint32_t slot;
    uint8_t table;
    _Atomic uint64_t state; /* generation << 2 | hti_flight_phase */
    _Atomic uint64_t peer;  /* handle of the target's node; 0: this one */
    _Atomic uint64_t target;
    _Atomic unsigned wire; /* HTI_WIRE_*: see call_ended */
    ht_node *node;

    /* set while it is the caller's own, read by who claimed it */
    uint64_t caller;
    struct hti_call_wait *wait; /* an ordinary thread */
    ht_reply_fn on_reply;
    void *arg;
    void (*drop)(void *arg); /* of arg, at the release; NULL: nothing */

    /* (run) of the caller */
    LIST_ENTRY(hti_flight) entry;
    bool listed;
    bool cancelled;

    /* the result; of who claimed it, then the caller's */
    ht_reply reply;

    struct hti_flight *next_free;
};

ht_err hti_flights_new(ht_node *node);
void hti_flights_free(ht_node *node);
size_t hti_flights_pending(ht_node *node); /* to whomever */
struct hti_flight_what {
    ht_ref to; /* node 0: local */
    uint64_t deadline_ns;
    ht_reply_fn on_reply;
    void *arg;
    void (*drop)(void *arg);
    struct hti_call_wait *wait;
};
/* Enter a call; it is PENDING on return. HT_EBUSY, HT_ENOMEM. self NULL: of an
 * ordinary thread, with what->wait. */
ht_err hti_flight_open(ht_node *node,
                       ht_actor *self,
                       const struct hti_flight_what *what,
                       struct hti_flight **ret_flight);
uint64_t hti_flight_tag(const struct hti_flight *flight);
struct hti_flight *hti_flight_find(ht_node *node, uint64_t tag);
/* hti_remote_ops.call() has returned HT_OK. */
void hti_flight_sent(struct hti_flight *flight);
/* End it; false: somebody else has. */
bool hti_flight_claim(struct hti_flight *flight, uint64_t tag);
/* Hand a claimed one its result and give it to its caller. */
void hti_flight_finish(struct hti_flight *flight,
                       ht_err err,
                       ht_bytes reason,
                       ht_bytes data,
                       struct hti_buf *owner);
/* Claim and finish; false: no such call is pending. */
bool hti_flight_complete(ht_node *node,
                         uint64_t tag,
                         ht_err err,
                         ht_bytes reason,
                         ht_bytes data,
                         struct hti_buf *owner);
/* Back to its scheduler. The caller is done with it. */
void hti_flight_release(struct hti_flight *flight);
/* Claim because the caller no longer waits, and tell the callee's node. */
bool hti_flight_give_up(struct hti_flight *flight, uint64_t tag);
/* Whether tag is a call of self that its on_reply may still come for. (run) */
bool hti_flight_is_of(const struct hti_flight *flight,
                      uint64_t tag,
                      const ht_actor *self);
void hti_flight_back(struct hti_sched *sched, struct hti_flight *flight);
void hti_flight_timeout(struct hti_flight *flight);
/* on_reply. (run) */
void hti_flight_run(ht_actor *self, struct hti_flight *flight);
/* Cancel. (run) */
void hti_flight_drop(ht_actor *self, struct hti_flight *flight);
void hti_flight_end(ht_actor *self); /* all of them */

/* ---- timers (timer.c), descriptors (watch.c) -------------------------------
 */

struct hti_timer {
    struct hti_item item; /* kind HTI_ITEM_TIMER */
    struct hti_alarm alarm;
    LIST_ENTRY(hti_timer) entry;
    _Atomic unsigned refs; /* the list's, the heap's, the mailbox's */
    _Atomic bool stopped;
    _Atomic bool queued; /* an interval timer does not pile up */
    ht_node *node;
    uint64_t pid;
    uint64_t id;
    uint64_t deadline_ns; /* of the heap's scheduler once it is armed */
    uint64_t interval_ns;
    void *arg;
    bool reaper; /* internal: hti_answer_reap() */
    ht_msg *msg; /* of ht_send_after() */
    ht_ref to;
};
ht_err hti_timer_new(ht_actor *self,
                     uint64_t deadline_ns,
                     uint64_t interval_ns,
                     struct hti_timer **ret_timer);
void hti_timer_fire(struct hti_timer *timer); /* its alarm was due */
void hti_timer_back(struct hti_sched *sched, struct hti_timer *timer);
ht_err hti_timer_run(ht_actor *self, struct hti_timer *timer);
void hti_timer_stop(struct hti_timer *timer); /* (run) */
void hti_timer_bounce(struct hti_timer *timer);
void hti_timer_end(ht_actor *self);

ht_err hti_watch_run(ht_actor *self, struct hti_watch *watch);
void hti_watch_bounce(struct hti_watch *watch);
void hti_watch_end(ht_actor *self);

/* ---- monitors, links, writable (relation.c) --------------------------------
 */

enum hti_relation_kind {
    HTI_RELATION_MONITOR,
    HTI_RELATION_LINK,
    HTI_RELATION_WRITABLE,
};

struct hti_relation;

struct hti_relation_end {
    LIST_ENTRY(hti_relation_end) entry; /* of its actor, or of its bucket */
    struct hti_relation *relation;
    ht_ref ref;
    bool listed;
};

/* One record for both sides, and the signal it will become: reserved when it
 * is made, so that an end is told even when memory is out. */
struct hti_relation {
    struct hti_item item; /* kind HTI_ITEM_SIGNAL */
    enum hti_relation_kind kind;
    bool fired;                      /* the signal is on its way to ends[0] */
    bool cancelled;                  /* nobody wants it any more */
    bool keyed;                      /* in by_key */
    uint64_t made_by;                /* the peer that it is counted of; 0 */
    uint64_t id;                     /* a monitor's number: the watcher's */
    struct hti_relation_end ends[2]; /* watcher, target; a link: either */
    LIST_ENTRY(hti_relation) by_key;
    struct hti_relation *next; /* of a batch to tell */
    ht_ref from;               /* whose signal it is */
    ht_exit_kind why;
    struct hti_buf *text; /* of the reason; NULL: "" */
};

/* What has to be told once the lock is released. */
struct hti_relation_batch {
    struct hti_relation *fired, *dropped;
};

/* relation.c, for monitor.c and peer.c */

/* Count one more that a peer asked for.  False, and not counted: there are max
 * in all, or share of that peer. */
bool hti_remote_made(ht_node *node, uint64_t peer, size_t max, size_t share);
void hti_remote_unmade(ht_node *node, uint64_t peer);

/* Any but watcher and target is zero. NULL: no memory. */
struct hti_relation *hti_relation_new(enum hti_relation_kind kind,
                                      ht_ref watcher,
                                      ht_ref target,
                                      uint64_t id);
void hti_relation_free(ht_node *node, struct hti_relation *relation);
/* With the lock: list both ends and the key. */
void hti_relation_attach(ht_node *node, struct hti_relation *relation);
void hti_relation_detach(struct hti_relation *relation);
/* With the lock: nobody wants it any more. False: its signal is on its way and
 * frees it; true: free it. */
bool hti_relation_cancel(struct hti_relation *relation);
/* With the lock. A monitor by who watches and its number; a link by its ends in
 * any order. NULL: none. */
struct hti_relation *
hti_relation_find_monitor(ht_node *node, ht_ref watcher, uint64_t id);
struct hti_relation *hti_relation_find_link(ht_node *node, ht_ref a, ht_ref b);
/* With the lock: the end gone (0 or 1) is no more. */
void hti_relation_sever(ht_node *node,
                        struct hti_relation *relation,
                        unsigned gone,
                        ht_exit_kind why,
                        struct hti_buf *text,
                        struct hti_relation_batch *batch);
/* With the lock, of a record that is not listed yet: ends[1] is gone. */
void hti_relation_fire(struct hti_relation *relation,
                       ht_exit_kind why,
                       struct hti_buf *text);
/* Without the lock: post signals, tell peers, free. */
void hti_relation_tell(ht_node *node, struct hti_relation_batch *batch);
/* A copy of a reason; NULL if it is empty or memory is out. */
struct hti_buf *hti_relation_text(const char *text);
struct hti_relation_list *hti_relation_bucket(ht_node *node, ht_ref remote);

ht_err hti_relation_run(ht_actor *self, struct hti_relation *relation);
void hti_relation_bounce(ht_node *node, struct hti_relation *relation);
/* The actor is gone: tell everybody. Its pid is not live any more. */
void hti_relation_end_all(ht_actor *actor, const ht_exit *why);
/* Link two local actors, at spawn. */
ht_err hti_relation_link_local(ht_node *node, uint64_t a, uint64_t b);
/* Undo that, silently. */
void hti_relation_unlink_local(ht_node *node, uint64_t a, uint64_t b);
/* Somebody waits until the mailbox takes messages again: see if it does. */
void hti_relation_check_writable(ht_actor *actor);

/* ---- inbound (inbound.c) ---------------------------------------------------
 */

/* Whether a peer has given up this call; forgets that it did. */
bool hti_inbound_is_cancelled(ht_node *node, const struct hti_origin *origin);

#endif /* HTI_ACTOR_INTERNAL_H */
