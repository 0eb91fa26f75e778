/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of cluster/ share.
 *
 *   cluster.c    life, ticking, connect and disconnect
 *   targets.c    what is to be dialled, and who waits for it
 *   peers.c      nodes by name, what they are pinned as, their incarnations
 *   link.c       one connection: session, outbox, and its place in the above
 *   verdict.c    which connections are kept, and how they enter and leave
 *   router.c     struct hti_remote_ops: from this node out
 *   inbound.c    from a session into this node
 *   mirror.c     actors and groups, both ways
 *   extension.c  monitors, links, stops, cancels, both ways
 *   topology.c   who else is there
 *   peerinfo.c   the public functions that look
 *
 * Locks, outermost first:
 *   link->lock      inbound: held while a link's bytes are being handled, so
 *                   that nothing arrives by it once it is detached.  A link
 *                   that is being opened may take that of one opened before.
 *   (the runtime's directory lock)
 *   mirror_lock     who gets changes of actors and groups.  Frames are pushed
 *                   under it, so the order of the changes is that on the wire.
 *   cluster->lock   everything else.  Nothing of the runtime's and no io is
 *                   called under it.
 *   link->gate      the io of one link, and what its peer announced.
 */
#ifndef HTI_CLUSTER_INTERNAL_H
#define HTI_CLUSTER_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>

#include "cluster/announced.h"
#include "cluster/cluster.h"
#include "cluster/election.h"
#include "cluster/redial.h"
#include "cluster/slots.h"

#define HTI_PEERS_MAX    4096u /* by name */
#define HTI_TARGETS_MAX  4096u
#define HTI_WRITABLE_MAX 65536u
#define HTI_TEXT_BYTES_MAX                                                     \
    512u /* of a reason or an exit's text on the wire                          \
          */
#define HTI_NAME_BUF     (HTI_NAME_BYTES_MAX + 1)
#define HTI_LANE_CONTROL 0u

/* ---- targets ------------------------------------------------------------- */

/* Somebody's hti_cluster_connect(). */
struct hti_waiter {
    TAILQ_ENTRY(hti_waiter) entry;
    void (*on_result)(void *arg, ht_err err, const char *text);
    void *arg;
    uint64_t deadline_ms; /* UINT64_MAX: when the attempt ends */
    ht_err err;           /* once it is over */
    char text[128];
};
TAILQ_HEAD(hti_waiters, hti_waiter);

enum hti_target_state {
    HTI_TARGET_WAITING,  /* to be dialled at due_ms */
    HTI_TARGET_DIALLING, /* io is dialling, as dial_id */
    HTI_TARGET_LINKED,   /* its own link is up */
    HTI_TARGET_MET,      /* its node is connected by another link */
};

struct hti_dial {
    TAILQ_ENTRY(hti_dial) entry;
    enum hti_target_state state;
    char *address, *name, *server_name; /* name, server_name: may be NULL */
    ht_encryption encryption;
    bool any_peer, admin;
    bool once;       /* not to be dialled again */
    bool on_trial;   /* made by a connect that waits: gone if that fails */
    bool transitive; /* a peer told us */
    bool said_self;  /* it leads to this node, and the log says so */
    unsigned failed; /* attempts in a row */
    uint64_t dial_id;
    uint64_t connection_id; /* of its last link */
    uint64_t due_ms, since_ms;
    struct hti_redial redial;
    struct hti_link *link;        /* LINKED */
    char peer_name[HTI_NAME_BUF]; /* "" until it was met once */
    ht_err last_err;
    char last_text[128];
    struct hti_waiters waiters;
};
TAILQ_HEAD(hti_dials, hti_dial);

/* ---- peers --------------------------------------------------------------- */

TAILQ_HEAD(hti_link_list, hti_link);

struct hti_peer {
    char name[HTI_NAME_BUF];
    struct hti_node_slot *slot; /* of its present incarnation; NULL: none */
    struct hti_link_list links; /* attached: one, but for a moment or a tie */
    bool configured;            /* named in a target as a Hardtack node */
    bool hardtack;              /* configured or seen as one: pinned */
    UT_hash_handle hh;
};

/* ---- links --------------------------------------------------------------- */

struct hti_writable {
    TAILQ_ENTRY(hti_writable) entry;
    ht_ref ref;
    uint64_t pid;
};
TAILQ_HEAD(hti_writables, hti_writable);

struct hti_link {
    struct hti_cluster *cluster;
    struct hti_outbox *outbox;
    struct hti_session *session;  /* freed by hti_link_closed() */
    const struct hti_link_io *io; /* set once; see gate */
    void *io_arg;
    uint64_t order;
    uint64_t connection_id; /* ours, if we initiated it */
    enum hti_session_mode mode;
    _Atomic unsigned refs;

    /* lock; handle and payload_max are set once, when attached */
    pthread_mutex_t lock;
    uint64_t handle;
    uint64_t payload_max;
    uint64_t now_ms;   /* of the call that is going on */
    uint64_t asked_ms; /* when it first got to know our nodes, in this second */
    ht_err failed; /* something that cannot be answered in place went wrong */

    /* gate */
    ht_err close_why; /* why we asked for it to be closed */
    pthread_mutex_t gate;
    struct hti_announced announced;

    /* the cluster's lock */
    TAILQ_ENTRY(hti_link) entry;      /* cluster->links */
    TAILQ_ENTRY(hti_link) peer_entry; /* peer->links, while attached */
    struct hti_peer *peer;            /* while attached */
    struct hti_dial *dial;            /* NULL: accepted, or given up */
    uint64_t incarnation;
    uint64_t election_id; /* the initiator's connection id */
    uint32_t challenge;   /* ractor's, if has_challenge */
    uint64_t since_ms;
    struct hti_writables writables;

    /* the mirror's */
    TAILQ_ENTRY(hti_link) mirror_entry;

    _Atomic uint64_t rtt_us, received_frames, received_bytes, dropped;
    _Atomic uint64_t heard_ms; /* when bytes came last */

    unsigned writables_count; /* cluster's lock */
    bool initiated, admin;    /* set once */
    bool hardtack, hidden;    /* set once, when attached */
    bool attached;            /* lock: authenticated, elected, in the tables */
    bool detached;            /* lock: was, and is no more */
    bool sync_due;      /* lock: attached, and the sync block is not sent */
    bool told_ready;    /* lock: the event is out */
    unsigned asked;     /* lock; answers since asked_ms */
    bool io_gone;       /* gate: closed, nothing of io is called any more */
    bool is_echo;       /* loop: the accepted end of a dial of our own */
    bool listed;        /* cluster's lock: in cluster->links */
    bool was_attached;  /* cluster's lock: is or was in the tables */
    bool has_challenge; /* cluster's lock: challenge was issued on it */
    bool is_ready;      /* cluster's lock */
    bool mirrored;      /* mirror's lock */
    _Atomic bool has_writables;
    char address[HTI_NAME_BUF];
    char name[HTI_NAME_BUF]; /* cluster's lock; "" until known */
    char connection_string[HTI_NAME_BUF];
};

/* ---- the cluster --------------------------------------------------------- */

struct hti_cluster {
    ht_node *node;
    const struct hti_cluster_io *io;
    void *io_arg;
    struct hti_cluster_config config; /* strings and keys: see below */
    char name[HTI_NAME_BUF];
    char connection_string[HTI_NAME_BUF];
    struct hti_identity identity;
    uint8_t hash_key[16]; /* of group hashes */
    uint64_t started_ns;

    pthread_mutex_t mirror_lock;
    struct hti_link_list mirrored;

    pthread_mutex_t lock;
    struct hti_keyring *keys;
    bool stopping;
    uint64_t next_order, next_dial, last_connection_id;
    struct hti_slots slots;
    struct hti_peer *peers;
    struct hti_link_list links;
    struct hti_dials dials;
    unsigned dials_count, transitive_count;
    struct hti_log_limit log_refused, log_unreachable, log_dropped;
};

/* cluster.c */
uint64_t hti_cluster_now_ms(struct hti_cluster *c);
uint64_t hti_cluster_random(struct hti_cluster *c);
/* One that the limit allows; the line says how many were left out. */
void hti_cluster_log_limited(struct hti_cluster *c,
                             struct hti_log_limit *limit,
                             ht_log_level level,
                             const char *id,
                             const char *text);

/* targets.c; under the cluster's lock.  Waiters that are done are moved to
 * done, for hti_waiters_tell() without the lock. */
ht_err hti_dial_new(struct hti_cluster *c,
                    const struct hti_target *target,
                    uint64_t now_ms,
                    struct hti_dial **ret_dial);
void hti_dial_free(struct hti_cluster *c,
                   struct hti_dial *dial,
                   ht_err err,
                   struct hti_waiters *done);
struct hti_dial *hti_dial_find(struct hti_cluster *c,
                               const struct hti_target *target);
struct hti_dial *hti_dial_by_id(struct hti_cluster *c, uint64_t dial_id);
/* The name of the node that it leads to; "" if that is not known yet. */
const char *hti_dial_peer_name(const struct hti_dial *dial);
/* Whether an attached link is what it asks for: the node it leads to, under a
 * protection that its policy allows. */
bool hti_dial_is_met_by(const struct hti_dial *dial,
                        const struct hti_link *link);
/* Whether a link is protected as a target wants it. */
bool hti_dial_allows(const struct hti_dial *dial, const struct hti_link *link);
/* The link by which the node that it leads to is connected; NULL: none. */
struct hti_link *hti_dial_find_link(struct hti_cluster *c,
                                    const struct hti_dial *dial);
/* Its attempt or its link ended. */
void hti_dial_ended(struct hti_cluster *c,
                    struct hti_dial *dial,
                    ht_err err,
                    const char *text,
                    uint64_t now_ms,
                    struct hti_waiters *done);
/* The winner's peer says that it has refused our connection of that id because
 * of the one that they have. */
void hti_dials_elected_away(struct hti_cluster *c,
                            const struct hti_link *winner,
                            uint64_t connection_id,
                            uint64_t now_ms,
                            struct hti_waiters *done);
/* A link to that node was attached, became ready, was detached. */
void hti_dials_attached(struct hti_cluster *c,
                        struct hti_link *link,
                        uint64_t now_ms);
void hti_dials_ready(struct hti_cluster *c,
                     struct hti_link *link,
                     struct hti_waiters *done);
void hti_dials_lost(struct hti_cluster *c,
                    const char *name,
                    ht_err err,
                    const char *text,
                    uint64_t now_ms,
                    struct hti_waiters *done);
/* Waiters whose time is up; the earliest time at which something is due. */
uint64_t hti_dials_expire(struct hti_cluster *c,
                          uint64_t now_ms,
                          struct hti_waiters *done);
/* One that is due: now DIALLING, its strings copied out.  False: none. */
struct hti_dial_copy {
    uint64_t dial_id;
    char address[HTI_NAME_BUF], name[HTI_NAME_BUF], server_name[HTI_NAME_BUF];
    struct hti_target target; /* points into the above */
};
bool hti_dials_next(struct hti_cluster *c,
                    uint64_t now_ms,
                    struct hti_dial_copy *ret);
void hti_waiter_done(struct hti_waiters *from,
                     struct hti_waiter *waiter,
                     ht_err err,
                     const char *text,
                     struct hti_waiters *done);
void hti_waiters_tell(struct hti_waiters *done); /* without any lock */

/* peers.c; under the cluster's lock */
struct hti_peer *hti_peer_find(struct hti_cluster *c, const char *name);
/* NULL: no memory, or the table is full of peers that are in use.  For a ractor
 * node no pinned name is forgotten. */
struct hti_peer *
hti_peer_get(struct hti_cluster *c, const char *name, bool hardtack);
void hti_peer_forget(struct hti_cluster *c, struct hti_peer *peer);
void hti_peers_fini(struct hti_cluster *c);
bool hti_peer_is_connected(struct hti_cluster *c, const char *name);

/* link.c */
struct hti_link *hti_link_ref(struct hti_link *link);
struct hti_link *hti_link_unref(struct hti_link *link);
/* Ask for it to be closed; any thread, any lock but gate. */
void hti_link_close(struct hti_link *link, ht_err why);
/* Queue a control frame, which takes it; NULL or refused: the link fails, since
 * what it told its peer is no longer whole. */
void hti_link_push(struct hti_link *link, struct hti_frame *frame);
void hti_link_event(struct hti_link *link,
                    ht_node_event event,
                    ht_err reason,
                    const char *text);
/* Something a peer sent was left undone. */
void hti_link_dropped(struct hti_link *link, const char *what);
extern const struct hti_session_ops hti_link_session_ops;

/* verdict.c; with link->lock */
enum hti_verdict
hti_verdict_on_name(void *arg, const struct hti_hello *peer, ht_err *ret_why);
ht_err hti_verdict_check_peer(void *arg, const struct hti_hello *peer);
ht_err hti_verdict_check_challenge(void *arg, uint32_t challenge, bool issued);
ht_err hti_verdict_on_open(void *arg, const struct hti_hello *peer);
/* Out of the tables: no push succeeds and nothing is delivered any more.
 * Idempotent. */
void hti_link_detach(struct hti_link *link, ht_err err, const char *text);
void hti_writables_tell(struct hti_cluster *c, struct hti_writables *list);

/* router.c */
extern const struct hti_remote_ops hti_cluster_remote_ops;
uint32_t hti_lane(uint64_t from, uint64_t to);
/* Push to a node by handle; takes frame. */
ht_err hti_route_push(struct hti_cluster *c,
                      uint64_t handle,
                      struct hti_frame *frame,
                      bool urgent);
void hti_router_drained(struct hti_link *link); /* loop: after a release */

/* inbound.c */
void hti_inbound_message(void *arg,
                         const struct hti_envelope *envelope,
                         struct hti_buf *owner);

/* mirror.c */
void hti_mirror_sync(struct hti_link *link); /* with link->lock */
void hti_mirror_remove(struct hti_link *link);
void hti_mirror_inbound(struct hti_link *link,
                        const Hardtack__Wire__ControlMessage *m);
void hti_mirror_advertise(void *arg, uint64_t pid, const char *name);
void hti_mirror_withdraw(void *arg, uint64_t pid);
void hti_mirror_joined(void *arg,
                       const char *scope,
                       const char *group,
                       const uint64_t *pids,
                       const char *const *names,
                       size_t count);
void hti_mirror_left(void *arg,
                     const char *scope,
                     const char *group,
                     const uint64_t *pids,
                     const char *const *names,
                     size_t count);

/* extension.c */
/* Length of text, cut to max bytes at a character. */
size_t hti_text_len(const char *text, size_t max);
void hti_extension_inbound(void *arg, const Hardtack__Wire__Extension *m);
/* Tell a Hardtack node that its connection of that id lost to the one that
 * leads to it. */
void hti_extension_duplicate(struct hti_cluster *c,
                             uint64_t node,
                             uint64_t connection_id);
ht_err
hti_extension_monitor(void *arg, ht_ref target, uint64_t watcher, uint64_t id);
void hti_extension_demonitor(void *arg,
                             ht_ref target,
                             uint64_t watcher,
                             uint64_t id);
ht_err hti_extension_link(void *arg, ht_ref target, uint64_t local);
void hti_extension_unlink(void *arg, ht_ref target, uint64_t local);
void hti_extension_down(void *arg,
                        uint64_t node,
                        uint64_t watcher,
                        uint64_t id,
                        uint64_t pid,
                        const ht_exit *why);
void hti_extension_exit(void *arg,
                        ht_ref target,
                        uint64_t local,
                        const ht_exit *why);
ht_err hti_extension_stop(void *arg, ht_ref target, const ht_exit *why);
void hti_extension_cancel(void *arg, uint64_t node, uint64_t to, uint64_t tag);

/* topology.c */
void hti_topology_ask(struct hti_link *link);
void hti_topology_answer(struct hti_link *link);
void hti_topology_learn(struct hti_link *link,
                        const Hardtack__Wire__NodeSessions *m);

#endif /* HTI_CLUSTER_INTERNAL_H */
