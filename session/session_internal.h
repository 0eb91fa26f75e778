/* SPDX-License-Identifier: Apache-2.0 */
/* session_internal.h - what the files of session/ share.
 *
 * session.c holds life, states, the receive loop and dispatch; handshake_*.c
 * decide when the peer is trusted; transcript.c proves it; heartbeat.c and
 * reassembly.c serve an open session.
 *
 * A function that can fail here calls hti_session_fail() itself, so that the
 * reason is written where it is known, and returns what that returned.
 */
#ifndef HTI_SESSION_SESSION_INTERNAL_H
#define HTI_SESSION_SESSION_INTERNAL_H

#include <sodium.h>

#include "session/session.h"

#define HTI_MAC_BYTES        32
#define HTI_TRANSCRIPT_BYTES 32
#define HTI_DIGEST_BYTES     32 /* ractor's: SHA-256 */
#define HTI_WHY_BYTES        256
#define HTI_QUOTE_BYTES      96

/* Messages other than authentication that are discarded before OPEN. */
#define HTI_EARLY_MAX 64
/* Pings answered in one second; a peer that sends more and reads nothing would
 * fill our outbox with pongs. */
#define HTI_PONGS_PER_S_MAX 128
/* Fragmented messages of one peer in progress at once. */
#define HTI_LANES_MAX          16

#define HTI_RACTOR_PING_MIN_MS 1000
#define HTI_RACTOR_PING_MAX_MS 5000
#define HTI_HELLO_VERSION      1

/* ractor's ServerStatus. */
enum hti_status {
    HTI_STATUS_OK = 0,
    HTI_STATUS_OK_SIMULTANEOUS = 1,
    HTI_STATUS_NOT_OK = 2,
    HTI_STATUS_NOT_ALLOWED = 3,
    HTI_STATUS_ALIVE = 4,
};
/* StatusText.code, for logs. */
enum hti_status_code {
    HTI_STATUS_CODE_OTHER = 0,
    HTI_STATUS_CODE_DUPLICATE = 1,
    HTI_STATUS_CODE_DENIED = 2,
};

/* What is needed only until both sides are proved; wiped and freed then. */
struct hti_handshake {
    crypto_generichash_state transcript; /* 64-byte aligned, by its type */
    uint8_t t[HTI_TRANSCRIPT_BYTES];     /* T, once Challenge has passed */
    uint8_t mac_i[HTI_MAC_BYTES];        /* initiator: as sent */
    uint8_t nonce[HTI_NONCE_BYTES];
    uint32_t challenge;
    uint64_t connection_id;
    bool any_peer;
    char *expected_name; /* NULL: any */
    struct hti_keyring *keys;
    const struct hti_keys *tls_key; /* in keys */
    uint64_t timeout_ms;            /* UINT64_MAX: none */
};

/* Pings, pongs and silence; all times are of the session's clock. */
struct hti_heartbeat {
    uint64_t rng;
    uint64_t next_ping_ms;
    uint64_t last_ping_ms, last_ping_us; /* when the newest ping went out */
    uint64_t due_ms;      /* the next tick, as it was asked for; 0: none yet */
    uint64_t forgiven_ms; /* silence counts from here, after a standstill */
    uint64_t pong_second_ms;
    unsigned pong_count;   /* sent since pong_second_ms */
    uint32_t heartbeat_ms; /* HT_INFINITE: no pings */
    uint32_t silence_ms;   /* HT_INFINITE: never dead */
    bool pinged;
    bool answered; /* a good Pong came */
};

struct hti_reassembly;

struct hti_session {
    enum hti_session_state state;
    bool initiator;
    bool synced;     /* we sent Ready */
    bool peer_ready; /* the peer did */
    enum hti_session_mode mode;
    ht_err err; /* why it is CLOSED */
    const struct hti_identity *self;
    const struct hti_session_ops *ops;
    void *arg;
    struct hti_handshake *handshake; /* NULL once OPEN or CLOSED */
    struct hti_reader reader;
    struct hti_reassembly *reassembly; /* NULL until a fragment came */
    struct hti_heartbeat heartbeat;
    uint64_t created_ms;
    uint64_t received_ms; /* when bytes came last */
    uint64_t frame_max;
    uint64_t message_max;
    unsigned early; /* discarded before OPEN */
    struct hti_hello peer;
    char why[HTI_WHY_BYTES];
};

/* ---- session.c ---- */

void hti_session_set_state(struct hti_session *s, enum hti_session_state to);
/* Close, for err and a reason in words; returns err. */
ht_err
hti_session_fail(struct hti_session *s, ht_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Send a frame and free it.  NULL, for a frame that could not be made, closes
 * with HT_ENOMEM. */
ht_err hti_session_send_frame(struct hti_session *s, struct hti_frame *frame);
/* As above, and enter its payload into the transcript. */
ht_err hti_session_send_auth(struct hti_session *s,
                             const Hardtack__Wire__AuthenticationMessage *m,
                             bool in_transcript);
/* Both sides are proved. */
ht_err hti_session_open(struct hti_session *s, uint64_t now_ms);
/* A whole NetworkMessage of an open session. */
ht_err hti_session_dispatch(struct hti_session *s,
                            uint64_t now_ms,
                            const struct hti_payload *payload,
                            bool reassembled);
/* "peer \"b@h\"", or "peer" while it has no name. */
const char *hti_session_peer_words(const struct hti_session *s,
                                   char buf[HTI_QUOTE_BYTES]);

/* ---- handshake_*.c ---- */

ht_err hti_initiator_start(struct hti_session *s);
ht_err hti_initiator_receive(struct hti_session *s,
                             uint64_t now_ms,
                             const Hardtack__Wire__AuthenticationMessage *m,
                             const struct hti_payload *payload);
ht_err hti_acceptor_receive(struct hti_session *s,
                            uint64_t now_ms,
                            const Hardtack__Wire__AuthenticationMessage *m,
                            const struct hti_payload *payload);

/* ---- hello.c: what each side says of itself ---- */

/* A Hello and the places that its pointers lead to. */
struct hti_own_hello {
    Hardtack__Wire__Hello hello;
    Hardtack__Wire__NodeFlags flags;
    ProtobufCBinaryData address;
};
void hti_own_hello_init(struct hti_own_hello *own, const struct hti_session *s);
/* Check what the peer says and keep it in s->peer.  hello NULL: a ractor node.
 * Also decides whether such a peer may be spoken to at all. */
ht_err hti_session_meet(struct hti_session *s,
                        const ProtobufCBinaryData *name,
                        const ProtobufCBinaryData *connection_string,
                        uint64_t connection_id,
                        const Hardtack__Wire__Hello *hello);
/* Close for a message that has no place in this state. */
ht_err hti_session_unexpected(struct hti_session *s,
                              const Hardtack__Wire__AuthenticationMessage *m);

/* ---- transcript.c ---- */

void hti_transcript_init(struct hti_handshake *h,
                         enum hti_session_mode mode,
                         const uint8_t exporter[HTI_EXPORTER_BYTES]);
void hti_transcript_add(struct hti_handshake *h, const void *data, size_t len);
void hti_transcript_end(struct hti_handshake *h); /* T is in h->t */
/* The initiator's proof, by the key it dials with. */
void hti_prove_initiator(struct hti_handshake *h,
                         const struct hti_keys *keys,
                         uint8_t ret_mac[HTI_MAC_BYTES]);
void hti_prove_acceptor(const struct hti_handshake *h,
                        const struct hti_keys *keys,
                        const uint8_t mac_i[HTI_MAC_BYTES],
                        uint8_t ret_mac[HTI_MAC_BYTES]);
bool hti_proof_equal(const ProtobufCBinaryData *got, const uint8_t want[32]);
/* The keys by which mac is the initiator's proof; NULL: none. */
const struct hti_keys *hti_find_prover(struct hti_handshake *h,
                                       enum hti_session_mode mode,
                                       const ProtobufCBinaryData *mac);
/* The same for ractor's digest of challenge: which cookie, -1: none. */
int hti_find_ractor_prover(const struct hti_keyring *ring,
                           uint32_t challenge,
                           const ProtobufCBinaryData *digest);
void hti_prove_ractor(const struct hti_keyring *ring,
                      size_t i,
                      uint32_t challenge,
                      uint8_t ret_digest[HTI_DIGEST_BYTES]);

/* ---- heartbeat.c ---- */

void hti_heartbeat_start(struct hti_session *s, uint64_t now_ms);
/* Send what is due; HT_ETIMEDOUT: the peer is dead. */
ht_err hti_heartbeat_tick(struct hti_session *s,
                          uint64_t now_ms,
                          uint64_t *ret_deadline_ms);
ht_err hti_heartbeat_ping(struct hti_session *s,
                          uint64_t now_ms,
                          const Hardtack__Wire__Ping *ping);
void hti_heartbeat_pong(struct hti_session *s,
                        uint64_t now_ms,
                        const Hardtack__Wire__Pong *pong);

/* ---- reassembly.c ---- */

void hti_reassembly_free(struct hti_reassembly *r);
/* A piece came.  Dispatches the message when it was the last one. */
ht_err hti_session_fragment(struct hti_session *s,
                            uint64_t now_ms,
                            const struct hti_wire_fragment *fragment);

#endif /* HTI_SESSION_SESSION_INTERNAL_H */
