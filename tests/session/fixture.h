/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h - two sessions in memory, and everything they did.
 *
 * A side records what it was told; its stream is kept whole, so that a test can
 * deliver it in any pieces, alter it, or play it again. */
#ifndef TESTS_SESSION_FIXTURE_H
#define TESTS_SESSION_FIXTURE_H

#include "session/session.h"
#include "tests/lib/check.h"

#define UNUSED   __attribute__((unused))

#define PB(what) HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_##what

struct stream {
    uint8_t *bytes;
    size_t len, cap;
    size_t at; /* delivered so far */
};

struct side {
    struct hti_session *session;
    struct hti_identity self;
    struct hti_session_config config;
    struct stream out;
    ht_err err; /* of the last call that failed */
    /* verdicts to give */
    enum hti_verdict verdict;
    ht_err verdict_why, check_peer, check_challenge, on_open;
    bool sync_on_open;
    /* what was seen */
    unsigned names, opens, readies, messages, controls, extensions, rtts;
    unsigned peers_checked, challenges_seen, challenges_issued;
    size_t sent_at_open;
    uint64_t rtt_us;
    struct hti_hello opened;
    struct hti_envelope last; /* views are gone; for kind and numbers */
    size_t last_what_len;
    uint64_t last_what_sum;
    bool last_owned;
    uint32_t last_control;
};

static inline void
stream_put(struct stream *stream, const void *data, size_t len)
{
    if (stream->len + len > stream->cap) {
        stream->cap = (stream->len + len) * 2;
        stream->bytes = realloc(stream->bytes, stream->cap);
        CHECK(stream->bytes != NULL);
    }
    memcpy(stream->bytes + stream->len, data, len);
    stream->len += len;
}

/* ---- what the owner of a session does ---- */

static inline void side_send(void *arg, const void *frame, size_t len)
{
    struct side *side = arg;

    stream_put(&side->out, frame, len);
}

static inline enum hti_verdict
side_on_name(void *arg, const struct hti_hello *peer, ht_err *ret_why)
{
    struct side *side = arg;

    CHECK(peer->name[0] != '\0');
    side->names++;
    *ret_why = side->verdict_why;
    return side->verdict;
}

static inline ht_err side_check_peer(void *arg, const struct hti_hello *peer)
{
    struct side *side = arg;

    CHECK(peer->name[0] != '\0');
    side->peers_checked++;
    return side->check_peer;
}

static inline ht_err
side_check_challenge(void *arg, uint32_t challenge, bool issued)
{
    struct side *side = arg;

    (void)challenge;
    side->challenges_seen += !issued;
    side->challenges_issued += issued;
    return issued ? HT_OK : side->check_challenge;
}

static inline ht_err side_on_open(void *arg, const struct hti_hello *peer)
{
    struct side *side = arg;

    side->opens++;
    side->opened = *peer;
    side->sent_at_open = side->out.len;
    if (side->sync_on_open) {
        struct hti_frame *ready = hti_frame_ready();

        CHECK(ready != NULL);
        stream_put(&side->out, ready->bytes, ready->len);
        hti_frame_free(ready);
        hti_session_synced(side->session);
    }
    return side->on_open;
}

static inline void side_on_ready(void *arg)
{
    ((struct side *)arg)->readies++;
}

static inline void side_on_message(void *arg,
                                   const struct hti_envelope *envelope,
                                   struct hti_buf *owner)
{
    struct side *side = arg;
    ht_bytes what = envelope->kind == HTI_ENVELOPE_REPLY
                        ? envelope->u.reply.what
                        : envelope->u.cast.what;
    const uint8_t *bytes = what.data;

    side->messages++;
    side->last = *envelope;
    side->last_what_len = what.len;
    side->last_what_sum = 0;
    for (size_t i = 0; i < what.len; i++) {
        side->last_what_sum = side->last_what_sum * 31 + bytes[i];
    }
    side->last_owned = owner != NULL;
}

static inline void side_on_control(void *arg,
                                   const Hardtack__Wire__ControlMessage *m)
{
    struct side *side = arg;

    side->controls++;
    side->last_control = (uint32_t)m->msg_case;
}

static inline void side_on_extension(void *arg,
                                     const Hardtack__Wire__Extension *m)
{
    (void)m;
    ((struct side *)arg)->extensions++;
}

static inline void side_on_rtt(void *arg, uint64_t rtt_us)
{
    struct side *side = arg;

    side->rtts++;
    side->rtt_us = rtt_us;
}

static const struct hti_session_ops side_ops UNUSED = {
    .send = side_send,
    .on_name = side_on_name,
    .check_peer = side_check_peer,
    .check_challenge = side_check_challenge,
    .on_open = side_on_open,
    .on_ready = side_on_ready,
    .on_message = side_on_message,
    .on_control = side_on_control,
    .on_extension = side_on_extension,
    .on_rtt = side_on_rtt,
};

/* ---- sides ---- */

/* cookies and ractor: NULL-terminated lists, or NULL. */
static inline struct hti_keyring *ring_of(const char *const *cookies,
                                          const char *const *ractor)
{
    ht_bytes c[HTI_KEYS_MAX + 1] = {{0}}, r[HTI_KEYS_MAX + 1] = {{0}};
    struct hti_keyring *ring = NULL;
    size_t nc = 0, nr = 0;

    for (; cookies != NULL && cookies[nc] != NULL; nc++) {
        c[nc] = (ht_bytes){cookies[nc], strlen(cookies[nc])};
    }
    for (; ractor != NULL && ractor[nr] != NULL; nr++) {
        r[nr] = (ht_bytes){ractor[nr], strlen(ractor[nr])};
    }
    CHECK_OK(hti_keyring_new(c, nc, r, nr, "test", HTI_KDF_FAST, &ring));
    return ring;
}

static inline struct hti_keyring *ring_one(const char *cookie)
{
    const char *const cookies[] = {cookie, NULL};

    return ring_of(cookies, NULL);
}

/* Node a dials, node b is dialled; as in the vectors of the specification.
 * Takes the ring. */
static inline void
side_init(struct side *side, bool initiator, struct hti_keyring *ring)
{
    memset(side, 0, sizeof(*side));
    side->self.name = initiator ? "node_a@localhost" : "node_b@localhost";
    side->self.connection_string =
        initiator ? "localhost:8198" : "localhost:8199";
    memset(side->self.instance, initiator ? 0xa1 : 0xb2, HTI_INSTANCE_BYTES);
    side->self.incarnation = initiator ? 11 : 22;
    side->self.frame_max = HTI_FRAME_BYTES_MAX;
    side->self.message_max = 64 << 20;
    side->config.self = &side->self;
    side->config.initiator = initiator;
    side->config.keys = ring;
    side->config.connection_id = initiator ? UINT64_C(0x0102030405060708) : 0;
    side->config.challenge = initiator ? 0xDEADBEEF : 42;
    memset(side->config.nonce, initiator ? 0x17 : 0x2b, HTI_NONCE_BYTES);
    side->config.ping_seed = initiator ? 1 : 2;
    side->config.handshake_ms = 5000;
    side->config.heartbeat_ms = 1000;
    side->config.silence_ms = 5000;
    side->config.frame_max = HTI_FRAME_BYTES_MAX;
    side->config.message_max = 64 << 20;
}

static inline void side_open(struct side *side, uint64_t now_ms)
{
    CHECK_OK(hti_session_new(&side->config, &side_ops, side, now_ms,
                             &side->session));
    CHECK_OK(hti_session_start(side->session, now_ms));
}

static inline void side_fini(struct side *side)
{
    hti_session_free(side->session);
    hti_keyring_unref(side->config.keys);
    free(side->out.bytes);
    memset(side, 0, sizeof(*side));
}

static inline ht_err
side_feed(struct side *side, uint64_t now_ms, const void *data, size_t len)
{
    ht_err err = hti_session_receive(side->session, now_ms, data, len);

    if (err != HT_OK) {
        CHECK(hti_session_state(side->session) == HTI_SESSION_CLOSED);
        CHECK(hti_session_why(side->session)[0] != '\0');
        side->err = err;
    }
    return err;
}

static inline bool side_is(const struct side *side,
                           enum hti_session_state state)
{
    return hti_session_state(side->session) == state;
}

/* ---- between two ---- */

/* Move up to n bytes; false: there were none, or they were refused. */
static inline bool
deliver(struct side *from, struct side *to, uint64_t now_ms, size_t n)
{
    struct stream *out = &from->out;
    size_t left = out->len - out->at;
    uint8_t *piece;
    ht_err err;

    n = n < left ? n : left;
    if (n == 0 || side_is(to, HTI_SESSION_CLOSED)) {
        return false;
    }
    /* In a block of its own, so that reading past it is seen. */
    piece = malloc(n);
    CHECK(piece != NULL);
    memcpy(piece, out->bytes + out->at, n);
    out->at += n;
    err = side_feed(to, now_ms, piece, n);
    free(piece);
    return err == HT_OK;
}

/* Until both are quiet; when one closes the other sees the end. */
static inline void
converse(struct side *a, struct side *b, uint64_t now_ms, size_t piece)
{
    bool more = true;

    while (more) {
        more = deliver(a, b, now_ms, piece);
        more = deliver(b, a, now_ms, piece) || more;
    }
    if (side_is(a, HTI_SESSION_CLOSED) != side_is(b, HTI_SESSION_CLOSED)) {
        struct side *other = side_is(a, HTI_SESSION_CLOSED) ? b : a;

        other->err = hti_session_end(other->session);
    }
}

static inline void meet(struct side *a, struct side *b, uint64_t now_ms)
{
    side_open(a, now_ms);
    side_open(b, now_ms);
    converse(a, b, now_ms, SIZE_MAX);
}

/* Two of a cluster with one cookie, open. */
static inline void pair_open(struct side *a, struct side *b)
{
    side_init(a, true, ring_one("a cookie that is long enough"));
    side_init(b, false, ring_one("a cookie that is long enough"));
    meet(a, b, 0);
    CHECK(side_is(a, HTI_SESSION_OPEN) && side_is(b, HTI_SESSION_OPEN));
    a->out.at = a->out.len;
    b->out.at = b->out.len;
}

/* ---- frames ---- */

static inline size_t from_hex(const char *hex, uint8_t *ret, size_t cap)
{
    size_t n = strlen(hex) / 2;

    CHECK(n <= cap);
    for (size_t i = 0; i < n; i++) {
        unsigned byte;

        CHECK(sscanf(hex + 2 * i, "%2x", &byte) == 1);
        ret[i] = (uint8_t)byte;
    }
    return n;
}

static inline ht_err
feed_hex(struct side *side, uint64_t now_ms, const char *hex)
{
    uint8_t bytes[512];
    size_t n = from_hex(hex, bytes, sizeof(bytes));

    return side_feed(side, now_ms, bytes, n);
}

/* What the side has sent since the last call is this. */
static inline void expect_hex(struct side *side, const char *hex)
{
    uint8_t bytes[512];
    size_t n = from_hex(hex, bytes, sizeof(bytes));
    struct stream *out = &side->out;

    CHECK(out->len - out->at == n);
    CHECK(n == 0 || memcmp(out->bytes + out->at, bytes, n) == 0);
    out->at = out->len;
}

/* The length of the frame at p. */
static inline size_t frame_len(const uint8_t *p)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < 8; i++) {
        n = n << 8 | p[i];
    }
    return (size_t)n + 8;
}

static inline ht_err
feed_frame(struct side *side, uint64_t now_ms, struct hti_frame *frame)
{
    ht_err err;

    CHECK(frame != NULL);
    err = side_feed(side, now_ms, frame->bytes, frame->len);
    hti_frame_free(frame);
    return err;
}

static inline bool why_has(const struct side *side, const char *text)
{
    bool has = strstr(hti_session_why(side->session), text) != NULL;

    if (!has) {
        print_error("why is: %s\n", hti_session_why(side->session));
    }
    return has;
}

#endif /* TESTS_SESSION_FIXTURE_H */
