/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.h - the local runtime, as the layers above it see it.
 *
 * struct ht_node begins here: its actors, names, groups, timers, calls in
 * flight.  The runtime knows no socket and no protobuf.  How a scheduler waits
 * and wakes, the clock, randomness and descriptors are given to it in struct
 * hti_host_ops; everything beyond this node in struct hti_remote_ops.
 *
 * Threads: the host makes one thread a scheduler and calls hti_sched_turn() on
 * it in a loop (or drives scheduler 0 from wherever it likes, in single-
 * threaded mode and in simulation).  An actor runs on one scheduler at a time;
 * idle schedulers steal runnable actors that watch no descriptor.
 */
#ifndef HTI_ACTOR_RUNTIME_H
#define HTI_ACTOR_RUNTIME_H

#include <hardtack.h>

#include "base/log.h"
#include "base/mem.h"

#define HTI_SCHEDS_MAX 64

/* ---- what the runtime asks of its host ---------------------------------- */

struct hti_host_ops {
    /* Monotonic clock, nanoseconds.  Any thread. */
    uint64_t (*now_ns)(void *arg);
    /* Fill with random bytes.  Any thread. */
    void (*random)(void *arg, void *buf, size_t len);
    /* Scheduler sched has work: end its wait if it waits.  Any thread; cheap
     * when it does not wait.  The runtime calls it only on the empty-to-busy
     * edge of that scheduler, and to ask one for help that hti_sched_steal()
     * sent to sleep; never for the calling thread's own scheduler, which must
     * turn before it waits, unless the node is single-threaded and outside a
     * turn. */
    void (*wake)(void *arg, unsigned sched);
    /* Watch fd on scheduler sched's loop; called on that scheduler's thread;
     * events HT_READ|HT_WRITE, 0 removes.  On readiness the host calls
     * hti_rt_fd_ready(node, token, events) on that thread.  NULL: none. */
    ht_err (*watch)(void *arg,
                    unsigned sched,
                    int fd,
                    int events,
                    void *token,
                    void **watch);
    /* Run blocking work inline instead of on pool threads (simulation). */
    bool pool_inline;
};

/* ---- what the runtime asks of whoever knows other nodes ------------------ */

/* Where a call came from and how its answer finds back.  Copied by value. */
struct hti_origin {
    ht_ref caller; /* local caller, or the remote one; pid 0 if unknown */
    uint64_t node; /* 0: a call of this node; else the peer's handle */
    void *link;    /* remote: the link it came by, referenced; see reply */
    uint64_t to;   /* the pid as it was addressed (CallReply.to) */
    uint64_t tag;  /* the caller's tag */
};

/* A message on its way out or in; everything borrowed. */
struct hti_view {
    ht_bytes variant;
    ht_bytes args;
    ht_bytes metadata;     /* data NULL: absent */
    ht_bytes to_name;      /* addressed by name instead of pid; data NULL: no */
    uint64_t to;           /* pid on the receiving node */
    uint64_t from;         /* pid on the sending node, 0: unknown */
    struct hti_buf *owner; /* if set, the views point into it and the receiver
                            * may keep a reference instead of copying */
};

/* One struct per exit reason travelling between nodes. */
struct hti_remote_ops {
    /* Send to a ref of another node.  Sender's thread.  Errors: ht_cast(). */
    ht_err (*cast)(void *arg, uint64_t node, const struct hti_view *view);
    /* tag is already in the call table when this is called. timeout_ms
     * HT_INFINITE: none. */
    ht_err (*call)(void *arg,
                   uint64_t node,
                   const struct hti_view *view,
                   uint64_t tag,
                   uint32_t timeout_ms);
    /* Answer a call that came by a link, and drop the reference to that link,
     * also when the reply is refused.  err HT_OK: data is the reply. */
    void (*reply)(void *arg,
                  const struct hti_origin *origin,
                  ht_err err,
                  const char *reason,
                  const void *data,
                  size_t len);
    /* The caller no longer waits for tag (cancelled, timed out, ended). */
    void (*cancel)(void *arg, uint64_t node, uint64_t to, uint64_t tag);
    /* Handle of a connected node by name; 0 if there is none. */
    uint64_t (*find_node)(void *arg, const char *name);
    /* HT_OK, HT_ENOCONN (known but not connected now), HT_ENOPROC (a dead
     * incarnation). */
    ht_err (*node_state)(void *arg, uint64_t node);
    /* The instance id of a node, for refs that travel. HT_EINVAL: a ractor
     * node has none. */
    ht_err (*node_instance)(void *arg, uint64_t node, uint8_t ret_instance[16]);
    /* The inverse; makes a handle for a node not met yet. 0: table full. */
    uint64_t (*node_of_instance)(void *arg, const uint8_t instance[16]);

    /* watcher is local, target remote, id the watcher's monitor.  Answered by
     * hti_rt_remote_down().  An error means that no answer will come. */
    ht_err (*monitor)(void *arg, ht_ref target, uint64_t watcher, uint64_t id);
    void (*demonitor)(void *arg, ht_ref target, uint64_t watcher, uint64_t id);
    ht_err (*link)(void *arg, ht_ref target, uint64_t local);
    void (*unlink)(void *arg, ht_ref target, uint64_t local);
    /* A local actor ended that a peer monitors or is linked to. */
    void (*down)(void *arg,
                 uint64_t node,
                 uint64_t watcher,
                 uint64_t id,
                 uint64_t pid,
                 const ht_exit *why);
    void (*exit)(void *arg, ht_ref target, uint64_t local, const ht_exit *why);
    /* ht_stop, ht_kill, ht_drain on a remote actor. */
    ht_err (*stop)(void *arg, ht_ref target, const ht_exit *why);

    /* A local, remotable actor got its first name or group: tell the peers.
     * Called with the directory lock held, so that these are in order with
     * each other and with hti_rt_snapshot(). */
    void (*advertise)(void *arg, uint64_t pid, const char *name);
    /* An advertised actor ended. */
    void (*withdraw)(void *arg, uint64_t pid);
    void (*joined)(void *arg,
                   const char *scope,
                   const char *group,
                   const uint64_t *pids,
                   const char *const *names, /* "" where there is none */
                   size_t count);
    void (*left)(void *arg,
                 const char *scope,
                 const char *group,
                 const uint64_t *pids,
                 const char *const *names,
                 size_t count);
    /* self asked ht_notify_writable(ref); answer with hti_rt_writable(). */
    ht_err (*notify_writable)(void *arg, ht_ref ref, uint64_t pid);
    /* ht_monitor_nodes(): answered by hti_rt_node_event() to all of them. */
    /* A call for which call() returned HT_OK has ended, in whatever way: reply,
     * timeout, cancel, the caller's end, fail_calls.  Exactly once each; the
     * bound on calls in flight per link is counted by it.  Any thread, under
     * any lock of the runtime's: it only counts. */
    void (*call_ended)(void *arg, uint64_t node);
};

/* ---- life ---------------------------------------------------------------- */

struct hti_rt_config {
    const char *name; /* name@host */
    unsigned scheds;  /* 1 to HTI_SCHEDS_MAX */
    bool single_threaded;
    unsigned pool_threads;
    uint32_t mailbox_messages_max;
    uint32_t mailbox_bytes_max;
    uint64_t local_handle; /* what ht_ref.node is for own actors */
    uint8_t instance[16];  /* of this process's node, on the wire */
    struct hti_log log;
    const struct hti_host_ops *host;
    void *host_arg;
};

/* The runtime is an ht_node with nobody else in the world; cluster/ and node/
 * hang themselves onto it. */
ht_err hti_rt_new(const struct hti_rt_config *config, ht_node **ret_node);
/* Before the first scheduler runs. */
void hti_rt_set_remote(ht_node *node,
                       const struct hti_remote_ops *ops,
                       void *arg);
/* What the layers above keep with the node. */
enum hti_slot { HTI_SLOT_CLUSTER, HTI_SLOT_SERVER, HTI_SLOT_COUNT };
void hti_rt_set_slot(ht_node *node, enum hti_slot slot, void *value);
void *hti_rt_slot(const ht_node *node, enum hti_slot slot);

/* Refuse new actors from now on; those that are there go on (for drain). */
void hti_rt_refuse(ht_node *node);
/* Refuse new actors; end every actor with reason shutdown: what supervisors
 * have started by them, in the reverse order, in its time; a second call ends
 * all at once.  The schedulers must go on turning until hti_rt_is_quiet(). */
void hti_rt_stop(ht_node *node);
/* No actor is left. */
bool hti_rt_is_quiet(ht_node *node);
/* Every mailbox is empty and no call is being handled (for drain). */
bool hti_rt_is_idle(ht_node *node);
/* Wait for blocking work that has begun, and begin no more: after this nothing
 * but the caller and the schedulers uses the layers above.  Once. */
void hti_rt_stop_pool(ht_node *node);
/* After the schedulers' threads have ended. Joins the pool. NULL is fine. */
void hti_rt_free(ht_node *node);

struct hti_log *hti_rt_log(ht_node *node);
uint64_t hti_rt_now_ns(ht_node *node);
void hti_rt_random(ht_node *node, void *buf, size_t len);
uint64_t hti_rt_local_handle(const ht_node *node);
const char *hti_rt_name(const ht_node *node);
/* A ref as 16 bytes of instance id and the pid, and back (own refs, and those
 * of other nodes through hti_remote_ops). HT_EINVAL, HT_ENOMEM. */
ht_err hti_rt_ref_out(ht_node *node, ht_ref ref, uint8_t ret_instance[16]);
ht_err hti_rt_ref_in(ht_node *node,
                     const uint8_t instance[16],
                     uint64_t pid,
                     ht_ref *ret_ref);

/* ---- schedulers ---------------------------------------------------------- */

struct hti_turn {
    bool more;            /* there is work left: do not wait */
    uint64_t deadline_ns; /* when the next timer is due; UINT64_MAX: none */
};
/* Bind this thread to scheduler sched; once, before its first turn. */
void hti_sched_enter(ht_node *node, unsigned sched);
void hti_sched_leave(ht_node *node);
/* Fire due timers, run runnable actors, at most about budget messages. */
struct hti_turn hti_sched_turn(ht_node *node, unsigned sched, unsigned budget);
/* What a turn now would find, and when one is due: cheap. */
struct hti_turn hti_sched_peek(ht_node *node, unsigned sched);
/* What this turn has sent is worth writing: end the turn after the callback
 * that runs, so that the host can.  Without it a sender fills its outbox to the
 * limit before a byte goes out, and every frame is written from cold memory.
 * Any thread; does nothing outside a turn. */
void hti_sched_press(void);
/* Try to take a runnable actor from another scheduler; true: turn again. The
 * host calls it after a short wait, before it sleeps. */
bool hti_sched_steal(ht_node *node, unsigned sched);
/* The scheduler whose thread this is; -1 in any other thread. */
int hti_sched_current(const ht_node *node);
void hti_rt_fd_ready(ht_node *node, void *token, int events);

/* ---- inbound: from a peer into this node ----------------------------------
 */
/* Any thread.  None blocks. */

enum hti_authority {
    HTI_AUTHORITY_ADVERTISED, /* a ractor peer: named and grouped actors only */
    HTI_AUTHORITY_REMOTABLE,  /* a Hardtack peer: any that is not local_only */
};

/* Deliver a cast. HT_ENOPROC, HT_EOVERLOAD, HT_EDENIED, HT_ENOMEM: dropped. */
ht_err hti_rt_deliver_cast(ht_node *node,
                           ht_ref from,
                           enum hti_authority authority,
                           const struct hti_view *view);
/* Deliver a call. On HT_OK remote->reply() will be called exactly once with
 * this origin (a reply, an error, or at the deadline an HT_EEXPIRED); on an
 * error it will not. timeout_ms HT_INFINITE: none. */
ht_err hti_rt_deliver_call(ht_node *node,
                           const struct hti_origin *origin,
                           enum hti_authority authority,
                           const struct hti_view *view,
                           uint32_t timeout_ms);
/* The caller gave up: forget the call if it is still queued; else the answer
 * is dropped by the origin's side. */
void hti_rt_deliver_cancel(ht_node *node, uint64_t peer, uint64_t tag);
/* A reply from a peer for a call in flight.  False: unknown tag, or it was not
 * sent to that node and pid; dropped. owner as in hti_view. */
bool hti_rt_complete_call(ht_node *node,
                          uint64_t tag,
                          uint64_t peer,
                          uint64_t to,
                          ht_err err,
                          ht_bytes reason,
                          ht_bytes data,
                          struct hti_buf *owner);
/* Fail every call in flight to that node: HT_ENODEDOWN (pid 0 to UINT64_MAX:
 * see next). */
void hti_rt_fail_calls(ht_node *node, uint64_t peer, ht_err err);
/* Fail those to one actor of it (ractor's Terminate). */
void hti_rt_fail_calls_to(ht_node *node, ht_ref target, ht_err err);
size_t hti_rt_calls_in_flight(ht_node *node, uint64_t peer);

/* A local actor gets a remote monitor or link. HT_ENOPROC: there is no such
 * actor; the caller tells the peer. */
ht_err hti_rt_remote_monitor(
    ht_node *node, uint64_t peer, uint64_t watcher, uint64_t id, uint64_t pid);
void hti_rt_remote_demonitor(
    ht_node *node, uint64_t peer, uint64_t watcher, uint64_t id, uint64_t pid);
ht_err hti_rt_remote_link(ht_node *node, ht_ref remote, uint64_t pid);
void hti_rt_remote_unlink(ht_node *node, ht_ref remote, uint64_t pid);
ht_err hti_rt_remote_stop(ht_node *node, uint64_t pid, const ht_exit *why);
/* A peer reports that what local actor watcher monitors is down. */
void hti_rt_remote_down(ht_node *node,
                        ht_ref target,
                        uint64_t watcher,
                        uint64_t id,
                        const ht_exit *why);
/* A peer's actor that pid is linked to ended. */
void hti_rt_remote_exit(ht_node *node,
                        ht_ref remote,
                        uint64_t pid,
                        const ht_exit *why);
/* One actor of a ractor node ended: fire local monitors and links to it. */
void hti_rt_remote_ended(ht_node *node, ht_ref remote, const ht_exit *why);
/* The link to a node is gone: fail its calls, fire its monitors and links with
 * NOCONNECTION, forget monitors and links it had here, empty its groups. */
void hti_rt_node_down(ht_node *node, uint64_t peer, ht_err err);
void hti_rt_node_event(ht_node *node, const ht_event *event);
/* The way to refs of that node takes messages again, for local actor pid. */
void hti_rt_writable(ht_node *node, ht_ref ref, uint64_t pid);

/* Members on other nodes.  Idempotent. */
ht_err hti_rt_group_join_remote(ht_node *node,
                                const char *scope,
                                const char *group,
                                const ht_ref *refs,
                                size_t count);
void hti_rt_group_leave_remote(ht_node *node,
                               const char *scope,
                               const char *group,
                               const ht_ref *refs,
                               size_t count);
/* A remote actor ended: it leaves every group. */
void hti_rt_group_leave_all(ht_node *node, ht_ref ref);

/* Call actor() for each advertised local actor, then group() for each group
 * with local advertised members, then done(), all under the directory lock: no
 * advertise, withdraw, joined or left comes in between. */
struct hti_snapshot_ops {
    void (*actor)(void *arg, uint64_t pid, const char *name);
    void (*group)(void *arg,
                  const char *scope,
                  const char *group,
                  const uint64_t *pids,
                  const char *const *names,
                  size_t count);
    void (*done)(void *arg);
};
void hti_rt_snapshot(ht_node *node,
                     const struct hti_snapshot_ops *ops,
                     void *arg);

/* Spawn with flags that are not public. unlisted: a name that is never
 * advertised, reachable by Hardtack peers only (administration). */
ht_err hti_rt_spawn_unlisted(ht_node *node,
                             const ht_behavior *behavior,
                             void *arg,
                             const ht_spawn_opts *opts,
                             ht_ref *ret_ref);
/* The origin of an open call of self: whether a Hardtack peer or an admin made
 * it. HT_ENOENT. */
ht_err
hti_rt_call_origin(ht_actor *self, ht_call call, struct hti_origin *ret_origin);

/* What self was spawned with: the typed layer keeps a service behind it. */
const ht_behavior *hti_actor_behavior(const ht_actor *self);
/* ht_call_async() with an arg that wants freeing: drop(arg) runs once, after
 * on_reply or instead of it; not after an error. */
ht_err hti_call_async_owned(ht_actor *self,
                            ht_ref to,
                            const char *variant,
                            const void *args,
                            size_t args_len,
                            uint32_t timeout_ms,
                            ht_reply_fn on_reply,
                            void (*drop)(void *arg),
                            void *arg);
/* What hangs on an actor for the typed layer (service.c): set in init. */
void hti_actor_set_service(ht_actor *self, const void *descriptor);
/* NULL: none was set, or the actor is gone. */
const void *hti_rt_actor_service(ht_node *node, uint64_t pid);

struct hti_rt_stats {
    uint64_t actors, runnable, handled, dropped, timers, calls, steals, wakes;
    uint64_t jobs_refused;
};
void hti_rt_stats(ht_node *node, struct hti_rt_stats *ret_stats);

#endif /* HTI_ACTOR_RUNTIME_H */
