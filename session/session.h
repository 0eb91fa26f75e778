/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - NodeSession: one connection to one peer node, without I/O.
 *
 * A session turns the bytes of a connection into messages and decides when the
 * peer is trusted.  Bytes, time and randomness are handed in; bytes to send,
 * verdicts to be made and messages to deliver go out through struct
 * hti_session_ops.  It knows no socket, no clock, no actor and no group.
 *
 *   initiator   START -> STATUS -> CHALLENGE -> ACK ----.
 *                                                        >--> OPEN -> CLOSED
 *   acceptor    NAME -> [CLIENT_STATUS] -> REPLY -------'
 *
 * and any error goes to CLOSED.  Once OPEN it answers pings, sends its own,
 * tracks Ready, and takes a peer for dead when it is silent.
 *
 * The Hardtack handshake rides in ractor's messages (docs/protocol.md); a peer
 * whose first message has no Hello is a ractor node and is spoken to as one, if
 * the policy allows.
 *
 * Source: ractor-wire, sections 3 and 8; design, "Security".
 * Thread: a session belongs to one loop.  Lifetime: its link's.
 */
#ifndef HTI_SESSION_SESSION_H
#define HTI_SESSION_SESSION_H

#include "proto/control.h"
#include "session/keys.h"

#define HTI_INSTANCE_BYTES 16
#define HTI_NONCE_BYTES    32
#define HTI_EXPORTER_BYTES 32
#define HTI_NAME_BYTES_MAX 255 /* of a node's name, and of an address */

enum hti_capability {
    HTI_CAP_EXTENSIONS = 1 << 0, /* Extension messages, typed call errors */
    HTI_CAP_FRAGMENTS = 1 << 1,
};
enum hti_hello_flag {
    HTI_HELLO_HIDDEN = 1 << 0, /* a client: not to be announced or redialled */
};

/* How the bytes below are protected; part of the transcript. */
enum hti_session_mode {
    HTI_MODE_NONE = 0,
    HTI_MODE_COOKIE = 1,   /* TLS with the cookie's PSK */
    HTI_MODE_TLS = 2,      /* TLS with certificates */
    HTI_MODE_PEERCRED = 3, /* a Unix socket, the kernel vouches for the peer */
};

/* The own node, as all its sessions announce it.  Borrowed. */
struct hti_identity {
    const char *name;              /* name@host */
    const char *connection_string; /* unique in the cluster */
    uint8_t instance[HTI_INSTANCE_BYTES];
    uint64_t incarnation;
    bool hidden;
    uint64_t frame_max;
    uint64_t message_max;
};

/* What the peer said of itself; strings are NUL-terminated, valid UTF-8 and
 * without NUL inside. */
struct hti_hello {
    char name[HTI_NAME_BYTES_MAX + 1];
    char connection_string[HTI_NAME_BYTES_MAX + 1];
    uint64_t connection_id; /* the initiator's; 0: none */
    bool hardtack;          /* the rest is 0 for a ractor node */
    uint32_t version;
    uint64_t capabilities;
    uint8_t instance[HTI_INSTANCE_BYTES];
    uint64_t incarnation;
    uint32_t flags;
    uint64_t frame_max; /* HTI_FRAME_BYTES_MAX for a ractor node */
    uint64_t message_max;
};

struct hti_session_config {
    const struct hti_identity *self;
    bool initiator;
    enum hti_session_mode mode;
    struct hti_keyring *keys;             /* referenced */
    const struct hti_keys *tls_key;       /* HTI_MODE_COOKIE: the PSK's; the MAC
                                           * must be by the same cookie */
    uint8_t exporter[HTI_EXPORTER_BYTES]; /* of TLS, else zeros */
    bool any_peer;                  /* policy peers = any: ractor nodes too */
    const char *expected_name;      /* dialled by name; NULL: any */
    uint64_t connection_id;         /* initiator: not 0, newer is smaller */
    uint8_t nonce[HTI_NONCE_BYTES]; /* random */
    uint32_t challenge;             /* random: ractor's */
    uint64_t ping_seed;             /* random: ping times */
    uint64_t frame_max;             /* taken from the peer, once trusted */
    uint64_t message_max;
    uint32_t handshake_ms;
    uint32_t heartbeat_ms;
    uint32_t silence_ms;
};

enum hti_verdict {
    HTI_VERDICT_OK,
    HTI_VERDICT_OK_SIMULTANEOUS,
    HTI_VERDICT_NOT_OK,
};

/* What the owner implements; all are called on the session's loop, from inside
 * the functions below.  None may free the session. */
struct hti_session_ops {
    /* Append a whole frame to the stream, in order. */
    void (*send)(void *arg, const void *frame, size_t len);
    /* Acceptor: the peer named itself (nothing is proved).  NOT_OK closes with
     * *ret_why. */
    enum hti_verdict (*on_name)(void *arg,
                                const struct hti_hello *peer,
                                ht_err *ret_why);
    /* Before our proof goes to a named peer: HT_OK, or why not to: its
     * certificate lacks the name, it is pinned as Hardtack and came as ractor,
     * we have dialled it and it is connected (HT_EDUPLICATE), its challenge is
     * one we issued ourselves lately (challenge, ractor peers only; also told
     * of those we issue: issued true). */
    ht_err (*check_peer)(void *arg, const struct hti_hello *peer);
    ht_err (*check_challenge)(void *arg, uint32_t challenge, bool issued);
    /* Both sides are proved.  Not HT_OK: close for this reason. */
    ht_err (*on_open)(void *arg, const struct hti_hello *peer);
    /* The peer sent Ready (once). */
    void (*on_ready)(void *arg);
    /* CAST, CALL, REPLY.  owner: see struct hti_payload; may be referenced. It
     * is NULL, too, when the message is a small part of the payload. */
    void (*on_message)(void *arg,
                       const struct hti_envelope *envelope,
                       struct hti_buf *owner);
    /* spawn, terminate, pg_join, pg_leave, enumerate, node_sessions. */
    void (*on_control)(void *arg, const Hardtack__Wire__ControlMessage *m);
    /* Only from Hardtack peers. */
    void (*on_extension)(void *arg, const Hardtack__Wire__Extension *m);
    /* A round trip was measured. */
    void (*on_rtt)(void *arg, uint64_t rtt_us);
    /* A clock that is finer than now_ms, for round trips and nothing else;
     * NULL: there is none. */
    uint64_t (*now_us)(void *arg);
};

enum hti_session_state {
    HTI_SESSION_START,         /* initiator: Name not sent */
    HTI_SESSION_NAME,          /* acceptor: waiting for Name */
    HTI_SESSION_STATUS,        /* initiator: waiting for ServerStatus */
    HTI_SESSION_CHALLENGE,     /* initiator: waiting for Challenge */
    HTI_SESSION_CLIENT_STATUS, /* acceptor, after ALIVE: never entered by us,
                                * kept for the state table of the protocol */
    HTI_SESSION_REPLY,         /* acceptor: waiting for ChallengeReply */
    HTI_SESSION_ACK,           /* initiator: waiting for ChallengeAck */
    HTI_SESSION_OPEN,
    HTI_SESSION_CLOSED,
    HTI_SESSION_STATE_COUNT,
};

struct hti_session;

/* Borrows ops and self, copies the rest; arg is passed to ops. HT_ENOMEM. */
HT_MUSTUSE ht_err hti_session_new(const struct hti_session_config *config,
                                  const struct hti_session_ops *ops,
                                  void *arg,
                                  uint64_t now_ms,
                                  struct hti_session **ret_session);
void hti_session_free(struct hti_session *session); /* NULL is fine */

/* The stream is up: the initiator sends Name. */
HT_MUSTUSE ht_err hti_session_start(struct hti_session *session,
                                    uint64_t now_ms);
/* Bytes came.  Not HT_OK: the session is CLOSED, the link is to be closed, and
 * hti_session_why() says why in words. */
HT_MUSTUSE ht_err hti_session_receive(struct hti_session *session,
                                      uint64_t now_ms,
                                      const void *data,
                                      size_t len);
/* Where the next bytes may be read to directly, in the middle of a large
 * frame; 0 if there is no such place.  Then hti_session_filled(). */
size_t hti_session_target(struct hti_session *session, uint8_t **ret_into);
HT_MUSTUSE ht_err hti_session_filled(struct hti_session *session,
                                     uint64_t now_ms,
                                     size_t n);
/* The stream ended.  Returns the reason to report: HT_ENOCONN at a boundary
 * once open; HT_EAUTH or HT_ENOCONN before (an end after Name is a refusal). */
ht_err hti_session_end(struct hti_session *session);
/* Time passed.  *ret_deadline_ms: when to tick again.  HT_ETIMEDOUT: handshake
 * or peer is dead. */
HT_MUSTUSE ht_err hti_session_tick(struct hti_session *session,
                                   uint64_t now_ms,
                                   uint64_t *ret_deadline_ms);
/* Our own sync block, Ready last, has been queued. */
void hti_session_synced(struct hti_session *session);

enum hti_session_state hti_session_state(const struct hti_session *session);
bool hti_session_is_ready(const struct hti_session *session); /* both Ready */
const struct hti_hello *hti_session_peer(const struct hti_session *session);
/* Why it closed, in words, for the log; "" if it did not. */
const char *hti_session_why(const struct hti_session *session);

#endif /* HTI_SESSION_SESSION_H */
