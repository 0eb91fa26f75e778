/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack/actor.h - actors, messages, calls, timers, groups.
 *
 * Threads.  A function that takes an ht_node may be called from any thread,
 * inside or outside a handler.  A function that takes an ht_actor *self may
 * be called only by that actor, from one of its own callbacks; elsewhere it is
 * HT_EINVAL.  Nothing here blocks unless its name ends in _wait or its comment
 * says so.
 *
 * What holds everywhere: strings are UTF-8 and NUL-terminated, names of actors,
 * groups and scopes have 1 to 255 bytes; times are milliseconds; arguments are
 * borrowed for the call unless a comment says that they are kept; ret_ outputs
 * are written only on HT_OK; HT_EINVAL and HT_ENOMEM are possible wherever a
 * function can fail.
 */
#ifndef HARDTACK_ACTOR_H
#define HARDTACK_ACTOR_H

#include <hardtack/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- messages ---------------------------------------------------------- */

/** A message: variant name, argument bytes, optional metadata. */
typedef struct ht_msg ht_msg;

/**
 * Make a message.  Copies variant (NULL: "") and args; the caller owns
 * *ret_msg and ends it with ht_send(), ht_send_after() or ht_msg_free().
 * Returns HT_OK, HT_EINVAL (variant is not UTF-8), HT_ETOOBIG (a variant of
 * more than 65535 bytes, arguments of more than 1 GiB) or HT_ENOMEM.
 */
HT_API HT_MUSTUSE ht_err ht_msg_new(const char *variant,
                                    const void *args,
                                    size_t args_len,
                                    ht_msg **ret_msg);
/** Attach metadata (ractor's factory jobs use it), instead of what there was.
 *  Copies.  HT_EINVAL, HT_ETOOBIG (more than 1 GiB), HT_ENOMEM. */
HT_API HT_MUSTUSE ht_err ht_msg_set_metadata(ht_msg *msg,
                                             const void *data,
                                             size_t len);
/** Free a message that was not sent; NULL is fine. */
HT_API void ht_msg_free(ht_msg *msg);

/** NUL-terminated; "" for a plain-type message.  Lent with the message. */
HT_API const char *ht_msg_variant(const ht_msg *msg);
/** The argument block; lent with the message.  ht_reader_args() reads one. */
HT_API ht_bytes ht_msg_args(const ht_msg *msg);
/** data is NULL when the message carries none; lent with the message. */
HT_API ht_bytes ht_msg_metadata(const ht_msg *msg);
/** Who sent it; none for ordinary threads and for ractor peers. */
HT_API ht_ref ht_msg_from(const ht_msg *msg);

/* ---- actors ------------------------------------------------------------ */

/** An unanswered call that this actor is handling. 0 is none. */
typedef struct ht_call {
    uint64_t id;
} ht_call;

typedef enum ht_event_kind {
    HT_EVENT_DOWN = 1, /* a monitored actor ended: u.down */
    HT_EVENT_EXIT,     /* a linked actor ended and we trap exits: u.exit */
    HT_EVENT_TIMER,    /* ht_timer_start(): u.timer */
    HT_EVENT_GROUP,    /* a monitored group changed: u.group */
    HT_EVENT_NODE,     /* a node came or went: u.node */
    HT_EVENT_WRITABLE, /* ht_notify_writable(): u.writable */
} ht_event_kind;

typedef enum ht_node_event {
    HT_NODE_OPENED = 1,    /* a connection is up, nobody is trusted yet */
    HT_NODE_AUTHENTICATED, /* the peer proved the cookie */
    HT_NODE_READY,         /* both sides have each other's actors and groups */
    HT_NODE_DISCONNECTED,  /* the link is gone; see reason */
} ht_node_event;

typedef struct ht_event {
    ht_event_kind kind;
    union {
        struct {
            uint64_t monitor;
            ht_ref ref;
            ht_exit why;
        } down;
        struct {
            ht_ref from;
            ht_exit why;
        } exit;
        struct {
            uint64_t timer;
            void *arg;
        } timer;
        struct {
            const char *scope;
            const char *group;
            bool joined; /* else left */
            const ht_ref *refs;
            size_t count;
        } group;
        struct {
            ht_node_event event;
            const char *name; /* "" while the peer is not yet known */
            const char *address;
            ht_err reason; /* of DISCONNECTED */
            const char *text;
        } node;
        struct {
            ht_ref ref;
        } writable;
    } u;
} ht_event;

/**
 * What an actor does.  Every callback runs alone: an actor is never in two of
 * them at once.  Any may be NULL; without init the state is the arg that was
 * given to ht_spawn(); without handle every message is HT_ENOVARIANT.
 *
 * An error returned by handle or on_event ends the actor with HT_EXIT_FAILED
 * and ht_strerror(err) as its text; its open calls are answered HT_EFAILED.
 * Except HT_ENOVARIANT and HT_EARGS from handle: these are about the message,
 * not the actor, which lives on.  A call is answered with them, if it is still
 * open; a cast is counted as dropped.
 */
typedef struct ht_behavior {
    /* Build the state; a failure is returned to the spawner and the actor
     * never existed.  terminate is not called after a failed init. */
    ht_err (*init)(ht_actor *self, void *arg);
    /* msg is lent for the call.  call is none for a cast; otherwise answer it
     * now or later, with ht_reply() or ht_reply_error(), by its value. */
    ht_err (*handle)(ht_actor *self, const ht_msg *msg, ht_call call);
    ht_err (*on_event)(ht_actor *self, const ht_event *event);
    /* The last call; runs for every way to end, kill included. */
    void (*terminate)(ht_actor *self, const ht_exit *why);
} ht_behavior;

/** Zero everywhere is the default. */
typedef struct ht_spawn_opts {
    const char *name; /* register under this name */
    bool link;        /* link to the spawning actor */
    bool trap_exit;   /* exits of linked actors become events */
    bool local_only;  /* other nodes may not send to it */
    /* Its name is not told to other nodes: Hardtack ones reach it by the name,
     * ractor ones not at all. */
    bool unlisted;
    uint32_t mailbox_messages_max; /* 0: 4096 */
    uint32_t mailbox_bytes_max;    /* 0: 1 MiB */
    /* Run on this scheduler only, from 1 to ht_node_schedulers(); 0: any.
     * Actors of one scheduler never run at the same time.  An actor can be
     * spawned for another scheduler from ordinary threads only. */
    uint32_t scheduler;
} ht_spawn_opts;

/**
 * Start an actor.  init has run when this returns; in an ordinary thread the
 * call waits for it.  Borrows behavior for the actor's life; copies opts.
 * Returns HT_OK, what init returned, HT_EEXIST (name), HT_EINVAL, HT_ENOMEM,
 * HT_ECLOSED (the node is stopping).
 */
HT_API HT_MUSTUSE ht_err ht_spawn(ht_node *node,
                                  const ht_behavior *behavior,
                                  void *arg,
                                  const ht_spawn_opts *opts,
                                  ht_ref *ret_ref);

/** How many schedulers the node has. */
HT_API uint32_t ht_node_schedulers(const ht_node *node);

/** The address of self, to give away. */
HT_API ht_ref ht_self(const ht_actor *self);
/** The node self lives on, for the functions that take one. */
HT_API ht_node *ht_actor_node(const ht_actor *self);
/** The actor's own data: what ht_set_state() was last given, at first the arg
 *  of ht_spawn().  Never looked at or freed; terminate is the place for that.
 */
HT_API void *ht_state(const ht_actor *self);
HT_API void ht_set_state(ht_actor *self, void *state);
/** The actor whose callback runs on this thread, NULL outside one. */
HT_API ht_actor *ht_current(void);

/**
 * End an actor, here or on another Hardtack node: stop after the message that
 * it is handling, kill likewise but ahead of every stop, drain after all that
 * is queued.  Asks and does not wait: ht_monitor() tells when it has ended.
 * text (copied, may be NULL) is what monitors and links are told.
 * Returns HT_OK, HT_ENOPROC (it is gone), HT_ENOCONN (its node is not
 * connected), HT_EUNSUPPORTED (it lives on a ractor node), HT_EBUSY.
 */
HT_API ht_err ht_stop(ht_node *node, ht_ref ref, const char *text);
HT_API ht_err ht_kill(ht_node *node, ht_ref ref);
HT_API ht_err ht_drain(ht_node *node, ht_ref ref);
/** Whether a local actor is alive; for a remote one, whether its node is
 *  connected in that incarnation. */
HT_API bool ht_is_alive(ht_node *node, ht_ref ref);

/* ---- sending ----------------------------------------------------------- */

/**
 * Cast: send and forget.  HT_OK means accepted, not arrived: a remote message
 * may still be lost with its connection.  Messages from one actor (or thread)
 * to another arrive in the order sent, or not at all.  Borrows and copies.
 *
 * Returns HT_OK, or
 *   HT_EBUSY    the mailbox or the outbox is at its limit;
 *   HT_ENOPROC  the actor is local and gone, or of a dead incarnation;
 *   HT_ENOCONN  its node is not connected now;
 *   HT_ETOOBIG  more than the peer takes;
 *   HT_EINVAL   variant is not UTF-8; HT_ENOMEM.
 */
HT_API HT_MUSTUSE ht_err ht_cast(ht_node *node,
                                 ht_ref to,
                                 const char *variant,
                                 const void *args,
                                 size_t args_len);
/** The same for a made message, with its metadata; takes *msg on success and
 *  leaves NULL, after an error it is still the caller's.  Errors: those of
 *  ht_cast(). */
HT_API HT_MUSTUSE ht_err ht_send(ht_node *node, ht_ref to, ht_msg **msg);
/** Cast to a name on a named node, "name@host"; node_name NULL or own name:
 *  here.  A name that nobody has is HT_ENOPROC here, and the other node's to
 *  drop there.  Errors: those of ht_cast(), HT_EUNSUPPORTED (a ractor node). */
HT_API HT_MUSTUSE ht_err ht_cast_name(ht_node *node,
                                      const char *node_name,
                                      const char *name,
                                      const char *variant,
                                      const void *args,
                                      size_t args_len);

/** The answer to a call. err tells which: HT_OK a reply; HT_ETIMEDOUT;
 *  HT_ENODEDOWN the link died with the call; HT_ENOPROC, HT_ENOVARIANT,
 *  HT_EARGS, HT_EOVERLOAD, HT_EFAILED, HT_EEXPIRED, HT_ECANCELLED, HT_EDENIED,
 *  HT_ETOOBIG from the callee. */
typedef struct ht_reply {
    ht_err err;
    const char *reason; /* the callee's words, "" if none; never NULL */
    const void *data;
    size_t len;
    void *owner; /* private */
} ht_reply;

/** Free what a reply holds; safe on a zeroed one and twice. */
HT_API void ht_reply_fini(ht_reply *reply);

/** Runs as a turn of the actor that called. reply is lent. */
typedef void (*ht_reply_fn)(ht_actor *self, const ht_reply *reply, void *arg);

/**
 * Call without blocking: on_reply runs exactly once, later, as a turn of
 * self, unless self ends first or the call is cancelled.  timeout_ms: 0 is
 * 5000, HT_INFINITE none.  arg is passed on as it is; when on_reply does not
 * run it is the caller's to free.  ret_call (may be NULL) is for
 * ht_call_cancel().  Errors: those of ht_cast(), HT_EBUSY also when too many
 * calls are in flight; on_reply does not run after an error.
 */
HT_API HT_MUSTUSE ht_err ht_call_async(ht_actor *self,
                                       ht_ref to,
                                       const char *variant,
                                       const void *args,
                                       size_t args_len,
                                       uint32_t timeout_ms,
                                       ht_reply_fn on_reply,
                                       void *arg,
                                       uint64_t *ret_call);
/** The same to a name on a named node, as ht_cast_name(); a name that nobody
 *  has there is answered HT_ENOPROC. */
HT_API HT_MUSTUSE ht_err ht_call_name_async(ht_actor *self,
                                            const char *node_name,
                                            const char *name,
                                            const char *variant,
                                            const void *args,
                                            size_t args_len,
                                            uint32_t timeout_ms,
                                            ht_reply_fn on_reply,
                                            void *arg,
                                            uint64_t *ret_call);
/** on_reply will not run. HT_ENOENT if it ran or was cancelled before. */
HT_API ht_err ht_call_cancel(ht_actor *self, uint64_t call);

/**
 * Call and wait, from an ordinary thread; HT_EINVAL inside a handler or in a
 * single-threaded node.  Always initialises *ret_reply, whose err is what is
 * returned; give it to ht_reply_fini().  Blocks up to the timeout, which is as
 * for ht_call_async().  Errors: those of ht_reply and of ht_call_async().
 */
HT_API HT_MUSTUSE ht_err ht_call_wait(ht_node *node,
                                      ht_ref to,
                                      const char *variant,
                                      const void *args,
                                      size_t args_len,
                                      uint32_t timeout_ms,
                                      ht_reply *ret_reply);
/** The same to a name on a named node, as ht_cast_name(). */
HT_API HT_MUSTUSE ht_err ht_call_name_wait(ht_node *node,
                                           const char *node_name,
                                           const char *name,
                                           const char *variant,
                                           const void *args,
                                           size_t args_len,
                                           uint32_t timeout_ms,
                                           ht_reply *ret_reply);

/** Answer a call.  Copies data.  HT_ENOENT: already answered, its deadline
 *  passed, or call is none (a cast); the answer is dropped.  HT_ETOOBIG (more
 *  than 1 GiB): the caller is told so.  Only from the actor that got the call.
 */
HT_API ht_err ht_reply_ok(ht_actor *self,
                          ht_call call,
                          const void *data,
                          size_t len);
/** Answer with an error; self lives on.  code: HT_EFAILED or one of the
 *  callee errors of ht_reply; others are sent as HT_EFAILED.  reason is copied,
 *  NULL is "".  HT_ENOENT as ht_reply_ok(). */
HT_API ht_err ht_reply_error(ht_actor *self,
                             ht_call call,
                             ht_err code,
                             const char *reason);

/** Tell self with HT_EVENT_WRITABLE when the way to ref takes messages again
 *  after HT_EBUSY, at once if it does already.  Once per request; a second one
 *  while the first waits is the same.  HT_ENOCONN, HT_ENOPROC, HT_ENOMEM. */
HT_API ht_err ht_notify_writable(ht_actor *self, ht_ref ref);

/* ---- monitors and links ------------------------------------------------ */

/** Get HT_EVENT_DOWN once when ref ends or its node is lost; at once, with
 *  HT_EXIT_NOPROC or HT_EXIT_NOCONNECTION, if that was before.  *ret_monitor is
 *  in the event.  Every call is a monitor of its own.  HT_EBUSY (the way to its
 *  node is full), HT_ENOMEM. */
HT_API HT_MUSTUSE ht_err ht_monitor(ht_actor *self,
                                    ht_ref ref,
                                    uint64_t *ret_monitor);
/** No event comes after this returns. HT_ENOENT if there is no such monitor. */
HT_API ht_err ht_demonitor(ht_actor *self, uint64_t monitor);
/** Both ends get the other's exit: an abnormal one ends them too, unless they
 *  trap exits.  A ref that is gone already exits at once.  Two actors have one
 *  link, however often it is made.  Errors: those of ht_monitor(). */
HT_API HT_MUSTUSE ht_err ht_link(ht_actor *self, ht_ref ref);
/** No exit of ref comes after this returns.  HT_ENOENT: there is no link. */
HT_API ht_err ht_unlink(ht_actor *self, ht_ref ref);
/** From now on exits of linked actors are HT_EVENT_EXIT (trap), or end self if
 *  they are abnormal (the default). */
HT_API void ht_trap_exit(ht_actor *self, bool trap);

/* ---- timers, descriptors, blocking work -------------------------------- */

/** HT_EVENT_TIMER after after_ms (0: soon), then every interval_ms unless that
 *  is 0.  arg and *ret_timer are in the event.  Ends with self.  HT_EINVAL
 *  (HT_INFINITE), HT_ENOMEM. */
HT_API HT_MUSTUSE ht_err ht_timer_start(ht_actor *self,
                                        uint32_t after_ms,
                                        uint32_t interval_ms,
                                        void *arg,
                                        uint64_t *ret_timer);
/** Send msg to an actor later, as by ht_send(), whose errors then are nobody's;
 *  takes *msg and leaves NULL, after an error it is still the caller's.
 *  ret_timer may be NULL.  The timer ends with self.  HT_EINVAL, HT_ENOMEM. */
HT_API HT_MUSTUSE ht_err ht_send_after(ht_actor *self,
                                       uint32_t after_ms,
                                       ht_ref to,
                                       ht_msg **msg,
                                       uint64_t *ret_timer);
/** No event comes after this returns. HT_ENOENT: it fired or never was. */
HT_API ht_err ht_timer_cancel(ht_actor *self, uint64_t timer);

#define HT_READ  1
#define HT_WRITE 2
/** Runs as a turn of self; events is HT_READ, HT_WRITE or both. An error
 *  returned ends the actor. */
typedef ht_err (*ht_watch_fn)(ht_actor *self, int fd, int events, void *arg);
/**
 * Watch a descriptor on self's own loop, level-triggered; events 0 stops.
 * Again for the same fd replaces.  Ends with the actor; never closes fd: stop
 * watching before closing it.  HT_EINVAL, HT_ENOMEM, HT_EUNSUPPORTED in
 * simulation.
 */
HT_API HT_MUSTUSE ht_err
ht_watch(ht_actor *self, int fd, int events, ht_watch_fn on_ready, void *arg);

/** Run work(arg) on a thread of the blocking pool, then done(self, arg) as a
 *  turn of self; done does not run if self ended, drop(arg) (may be NULL)
 *  then does, on any thread.  work may block and may call the node as an
 *  ordinary thread does.  HT_EBUSY (1024 jobs wait), HT_ECLOSED (the node is
 *  stopping): nothing of it runs, and arg is the caller's. */
HT_API HT_MUSTUSE ht_err ht_block(ht_actor *self,
                                  void (*work)(void *arg),
                                  void (*done)(ht_actor *self, void *arg),
                                  void (*drop)(void *arg),
                                  void *arg);

/* ---- names ------------------------------------------------------------- */

/** Give a local actor a name, of which it may have several; it loses them when
 *  it ends.  Names are of this node; others reach them with ht_cast_name().
 *  HT_EEXIST, HT_ENOPROC, HT_EINVAL (a remote ref, no name). */
HT_API HT_MUSTUSE ht_err ht_register(ht_node *node,
                                     const char *name,
                                     ht_ref ref);
/** Take a name away; the actor lives on.  HT_ENOENT, HT_EINVAL. */
HT_API ht_err ht_unregister(ht_node *node, const char *name);
/** The local actor of that name; none if nobody has it. */
HT_API ht_ref ht_whereis(ht_node *node, const char *name);

/* ---- process groups ---------------------------------------------------- */

#define HT_SCOPE_DEFAULT "__default_scope__"

/** Join a local actor; scope NULL is HT_SCOPE_DEFAULT.  A group is made by its
 *  first member; an actor leaves all of them when it ends.  Joining twice is
 *  one membership.  Other nodes learn of it soon after.  HT_ENOPROC, HT_ENOMEM,
 *  HT_EINVAL (a remote ref, no name). */
HT_API HT_MUSTUSE ht_err ht_group_join(ht_node *node,
                                       const char *group,
                                       ht_ref ref);
HT_API HT_MUSTUSE ht_err ht_group_join_scoped(ht_node *node,
                                              const char *scope,
                                              const char *group,
                                              ht_ref ref);
/** Leave.  HT_ENOENT (it is no member), HT_EINVAL. */
HT_API ht_err ht_group_leave(ht_node *node, const char *group, ht_ref ref);
HT_API ht_err ht_group_leave_scoped(ht_node *node,
                                    const char *scope,
                                    const char *group,
                                    ht_ref ref);
/** Members on this node and on all that are connected, the local ones first.
 *  Writes at most max refs and returns how many there are; call again with a
 *  larger buffer if that is more.  scope NULL: HT_SCOPE_DEFAULT. */
HT_API size_t ht_group_members(ht_node *node,
                               const char *scope,
                               const char *group,
                               ht_ref *ret_refs,
                               size_t max);
/** The same, of this node only. */
HT_API size_t ht_group_local_members(ht_node *node,
                                     const char *scope,
                                     const char *group,
                                     ht_ref *ret_refs,
                                     size_t max);
/** One member, in turn; with prefer_local a local one, in turn, if there is
 *  any.  HT_ENOENT: the group is empty. */
HT_API HT_MUSTUSE ht_err ht_group_pick(ht_node *node,
                                       const char *scope,
                                       const char *group,
                                       bool prefer_local,
                                       ht_ref *ret_ref);
/** Cast to every member, as ht_cast(); returns how many accepted it. */
HT_API size_t ht_group_cast(ht_node *node,
                            const char *scope,
                            const char *group,
                            const char *variant,
                            const void *args,
                            size_t args_len);
/** Get HT_EVENT_GROUP at every change from now on (ht_group_members() tells
 *  who is there already); scope NULL: every scope; group NULL: every group.
 *  Twice is once.  HT_EINVAL, HT_ENOMEM, HT_ENOPROC (self is ending). */
HT_API HT_MUSTUSE ht_err ht_group_monitor(ht_actor *self,
                                          const char *scope,
                                          const char *group);
/** Undo the call with the same scope and group.  HT_ENOENT, HT_EINVAL. */
HT_API ht_err ht_group_demonitor(ht_actor *self,
                                 const char *scope,
                                 const char *group);
/** Call fn, in this thread, for every group that has a member; all it is given
 *  is lent for the call.  A lock is held: fn must not call the node. */
HT_API void ht_group_each(ht_node *node,
                          void (*fn)(const char *scope,
                                     const char *group,
                                     const ht_ref *refs,
                                     size_t count,
                                     void *arg),
                          void *arg);

/* ---- looking in -------------------------------------------------------- */

typedef struct ht_actor_info {
    ht_ref ref;
    const char *name; /* "" if none; lent for the call */
    uint64_t mailbox_messages;
    uint64_t mailbox_bytes;
    uint64_t handled; /* messages so far */
    uint64_t dropped; /* the mailbox was full, or the handler refused a cast */
} ht_actor_info;
/** Call fn, in this thread, for every local actor.  Not one moment's picture:
 *  actors come and go meanwhile. */
HT_API void ht_actor_each(ht_node *node,
                          void (*fn)(const ht_actor_info *info, void *arg),
                          void *arg);

typedef struct ht_stats {
    uint64_t actors;   /* alive */
    uint64_t runnable; /* of them: have something to do, and no thread yet */
    uint64_t handled;  /* messages so far */
    uint64_t dropped; /* so far: a mailbox was full, a handler refused a cast */
    uint64_t timers;  /* that run */
    uint64_t calls;   /* in flight */
    uint64_t
        jobs_refused; /* so far, because the queue of ht_block() was full */
} ht_stats;
/** The node in numbers: cheap, and not one moment's picture either. */
HT_API void ht_node_stats(ht_node *node, ht_stats *ret_stats);

/* ---- supervisors ------------------------------------------------------- */

typedef enum ht_strategy {
    HT_ONE_FOR_ONE = 0,
    HT_ONE_FOR_ALL,
    HT_REST_FOR_ONE,
} ht_strategy;

typedef enum ht_restart {
    HT_PERMANENT = 0, /* always restarted */
    HT_TRANSIENT,     /* only after an abnormal end */
    HT_TEMPORARY,     /* never */
} ht_restart;

typedef struct ht_child_spec {
    const char *id; /* unique in the supervisor; copied */
    const ht_behavior *behavior;
    void *arg;
    ht_spawn_opts opts; /* link is implied */
    ht_restart restart;
    uint32_t shutdown_ms; /* stop, then kill after this; 0: 5000.  Neither
                           * interrupts a handler that runs: HT_INFINITE, and
                           * a handler that does not return, hold up whoever
                           * waits for the child, a node that ends too */
} ht_child_spec;

typedef struct ht_supervisor_spec {
    const char *name; /* may be NULL */
    ht_strategy strategy;
    uint32_t intensity; /* restarts within period_ms before it gives up; 0: 3 */
    uint32_t period_ms; /* 0: 5000 */
    const ht_child_spec *children;
    size_t children_count;
} ht_supervisor_spec;

/** Start a supervisor and its children in order; if one fails to start, those
 *  before it are stopped and its error is returned.  Linked to the calling
 *  actor, if there is one.  Copies spec; the children's behaviors and args are
 *  borrowed for its life, because a restart uses them again.  It ends its
 *  children, last first, when it ends: with ht_stop(), with its parent, or when
 *  a child restarts more often than intensity allows.  Blocks and fails as
 *  ht_spawn(). */
HT_API HT_MUSTUSE ht_err ht_supervisor_start(ht_node *node,
                                             const ht_supervisor_spec *spec,
                                             ht_ref *ret_ref);
/** Add a child to a running local supervisor and start it.  An ordinary thread
 *  waits for that and gets its error: what init returned, HT_EEXIST (the id),
 *  HT_ENOPROC.  In a handler, and in a single-threaded node, it is a cast: the
 *  errors are those of ht_cast(), and ht_supervisor_child() shows the result.
 */
HT_API HT_MUSTUSE ht_err ht_supervisor_add(ht_node *node,
                                           ht_ref supervisor,
                                           const ht_child_spec *child);
/** Stop a child and forget it; waits or casts as ht_supervisor_add().
 *  HT_ENOENT: there is no child of that id. */
HT_API HT_MUSTUSE ht_err ht_supervisor_remove(ht_node *node,
                                              ht_ref supervisor,
                                              const char *id);
/** The ref a child has now; none if it is not running. */
HT_API ht_ref ht_supervisor_child(ht_node *node,
                                  ht_ref supervisor,
                                  const char *id);

#ifdef __cplusplus
}
#endif

#endif /* HARDTACK_ACTOR_H */
