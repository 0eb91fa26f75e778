/* SPDX-License-Identifier: Apache-2.0 */
/* cluster.h - NodeServer without I/O: peers, links, election, membership,
 * redialling, routing to other nodes, and the mirror of their actors and
 * groups.
 *
 * It implements struct hti_remote_ops for the runtime, and struct
 * hti_session_ops for its sessions.  Sockets, TLS and names are the business of
 * whoever implements struct hti_cluster_io: node/ over libevent and OpenSSL,
 * tests/sim/ over a simulated network.
 *
 * A *peer* is a node that we want to dial or have met, by name; a *link* is one
 * connection.  A peer has one handle per incarnation; ht_ref.node is that
 * handle, so a ref outlives a link but not an incarnation.
 *
 * Threads: a link belongs to one loop: call hti_link_*() there.  Everything
 * else: any thread.  Lock order: the runtime's directory lock, then the
 * cluster's, then nothing; no runtime function that takes the directory lock,
 * and no io function, is called with the cluster's lock held.
 */
#ifndef HTI_CLUSTER_CLUSTER_H
#define HTI_CLUSTER_CLUSTER_H

#include "actor/runtime.h"
#include "cluster/outbox.h"
#include "session/session.h"

struct hti_cluster;
struct hti_link;

/* ht_ref.node of own actors: slot 1 of generation 1, in every node. */
#define HTI_LOCAL_HANDLE (UINT64_C(1) << 32 | 1)

/* How a peer is reached; strings are lent for the call they are passed to. */
struct hti_target {
    const char *address; /* host:port, [v6]:port, unix:/path */
    const char *name;    /* expected node name; NULL: any */
    ht_encryption encryption;
    bool any_peer;
    const char *server_name;
    bool admin; /* unix: by peer credentials */
};

struct hti_cluster_io {
    /* Begin to dial.  It ends in hti_cluster_link() or, once, in
     * hti_cluster_dial_failed() with the same id; never from inside. */
    void (*dial)(void *arg, uint64_t dial_id, const struct hti_target *target);
    /* hti_cluster_tick() is wanted no later than at_ms.  Any thread. */
    void (*tick_at)(void *arg, uint64_t at_ms);
};

/* What a transport implements for one link. */
struct hti_link_io {
    /* There is something to write: arrange for the loop to pop and write.  Any
     * thread; also with the directory lock and the mirror's held, so it only
     * notes and wakes, and calls nothing of the runtime or the cluster.  Called
     * once, until the loop went to sleep; not after hti_link_closed(). */
    void (*wake)(void *io_arg);
    /* Close the stream, after what is queued for a handshake's last words;
     * ends in hti_link_closed(), never from inside.  Any thread and under the
     * same locks as wake; at most once; not after hti_link_closed(). */
    void (*close)(void *io_arg, ht_err why);
    /* HTI_MODE_TLS: whether the peer's certificate is good for that name;
     * hardtack: of a Hardtack node, which must have one that names it. */
    bool (*cert_matches)(void *io_arg, const char *name, bool hardtack);
};

struct hti_cluster_config {
    const char *name;
    const char *connection_string; /* see hti_cluster_set_connection_string */
    uint64_t incarnation;
    bool hidden;
    bool transitive;
    struct hti_keyring *keys; /* referenced */
    uint32_t connect_ms, handshake_ms, heartbeat_ms, silence_ms;
    uint32_t redial_min_ms, redial_max_ms;
    uint32_t outbox_bytes_max, calls_max;
    uint32_t frame_max, message_max;
    ht_encryption encryption; /* of transitively dialled peers */
    bool any_peer;
};

/* Hangs itself onto node (remote ops and HTI_SLOT_CLUSTER). */
HT_MUSTUSE ht_err hti_cluster_new(ht_node *node,
                                  const struct hti_cluster_config *config,
                                  const struct hti_cluster_io *io,
                                  void *io_arg,
                                  struct hti_cluster **ret_cluster);
/* No more dialling; close every link. They end in hti_link_closed(). */
void hti_cluster_stop(struct hti_cluster *cluster);
bool hti_cluster_is_quiet(struct hti_cluster *cluster); /* no link is left */
void hti_cluster_free(struct hti_cluster *cluster);

/* Once the port is known; before the first link. */
ht_err hti_cluster_set_connection_string(struct hti_cluster *cluster,
                                         const char *text);
void hti_cluster_set_keys(struct hti_cluster *cluster,
                          struct hti_keyring *keys);
struct hti_keyring *hti_cluster_keys(struct hti_cluster *cluster); /* ref */

/* Time passed: redial what is due.  Returns the next deadline. */
uint64_t hti_cluster_tick(struct hti_cluster *cluster, uint64_t now_ms);

/* ---- peers ---- */

/* A peer to keep connected (once: until its link is lost). on_result, if not
 * NULL, is called exactly once unless this fails: HT_OK when the peer is ready,
 * or why this attempt failed, after which it is not dialled again unless it was
 * to be before; any thread, maybe from inside; it must not call the cluster.
 * HT_EINVAL, HT_EBUSY (too many peers), HT_ECLOSED, HT_ENOMEM. */
HT_MUSTUSE ht_err hti_cluster_connect(struct hti_cluster *cluster,
                                      const struct hti_target *target,
                                      bool once,
                                      void (*on_result)(void *arg,
                                                        ht_err err,
                                                        const char *text),
                                      void *arg);
ht_err hti_cluster_disconnect(struct hti_cluster *cluster, const char *name);

/* ---- links ---- */

struct hti_link_params {
    uint64_t dial_id;    /* 0: accepted */
    const char *address; /* of the peer, for logs */
    enum hti_session_mode mode;
    bool any_peer;
    struct hti_keyring *keys;       /* NULL: the cluster's now */
    const struct hti_keys *tls_key; /* in keys */
    const uint8_t *exporter;        /* HTI_EXPORTER_BYTES, or NULL */
    bool admin;                     /* peercred: the peer may administer */
};
/* A stream is up: make its link; the initiator's first bytes are queued. io
 * and io_arg live until hti_link_closed() has returned.  An error ends the
 * attempt to dial, too, and hti_link_closed() is not to be called.
 * HT_ECANCELLED: nobody wants that peer any more; HT_ECLOSED; HT_ENOMEM. */
HT_MUSTUSE ht_err hti_cluster_link(struct hti_cluster *cluster,
                                   const struct hti_link_params *params,
                                   const struct hti_link_io *io,
                                   void *io_arg,
                                   uint64_t now_ms,
                                   struct hti_link **ret_link);
void hti_cluster_dial_failed(struct hti_cluster *cluster,
                             uint64_t dial_id,
                             ht_err err,
                             const char *text);

/* Bytes came; as hti_session_receive().  On an error close the stream and call
 * hti_link_closed(). */
HT_MUSTUSE ht_err hti_link_receive(struct hti_link *link,
                                   uint64_t now_ms,
                                   const void *data,
                                   size_t len);
size_t hti_link_target(struct hti_link *link, uint8_t **ret_into);
HT_MUSTUSE ht_err hti_link_filled(struct hti_link *link,
                                  uint64_t now_ms,
                                  size_t n);
HT_MUSTUSE ht_err hti_link_tick(struct hti_link *link,
                                uint64_t now_ms,
                                uint64_t *ret_deadline_ms);
/* What to write next; see outbox.h. */
bool hti_link_pop(struct hti_link *link, struct hti_slice *ret);
void hti_link_release(struct hti_link *link, struct hti_slice *slice);
/* Once a batch: give back the credit of what was released. */
void hti_link_settle(struct hti_link *link);
bool hti_link_sleep(struct hti_link *link);
/* The stream is closed, for why (HT_OK: it ended; the session says what that
 * means).  The last call: the link is gone. */
void hti_link_closed(struct hti_link *link, ht_err why, const char *text);
/* The peer is authenticated (it no longer counts as pending). */
bool hti_link_is_open(const struct hti_link *link);
void hti_link_count_received(struct hti_link *link, size_t bytes);

/* Whether an open call of self came from a peer that may administer: a Hardtack
 * node. */
bool hti_cluster_call_is_trusted(ht_actor *self, ht_call call);

#endif /* HTI_CLUSTER_CLUSTER_H */
