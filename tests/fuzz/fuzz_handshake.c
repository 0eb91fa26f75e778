/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_handshake.c - sessions that are fed whatever comes.
 *
 * byte 0  bits 0     the session under test: acceptor, initiator
 *         bits 1-2   mode
 *         bit  3     policy peers = any
 *         bits 4-5   who is on the other side:
 *                    0  nobody: the input is the peer
 *                    1  a node with another cookie, and the input is between
 *                    2  a node with our cookie; the input comes after OPEN
 *                    3  nobody; the ractor cookie and challenge of the vectors
 * then    pieces: a byte of control, then up to 63 bytes.  Control: bits 0-5
 *         the length, bit 6 a tick, bit 7 (between) flip a byte of the stream
 *         instead of adding to it
 *
 * What must hold: a session opens only for somebody who has its cookie, and
 * only once; what is closed stays closed and says why.
 */
#include <stdlib.h>
#include <string.h>

#include "session/session.h"

#define STREAM_MAX (64 * 1024)

#define MUST(condition)                                                        \
    do {                                                                       \
        if (!(condition)) {                                                    \
            abort();                                                           \
        }                                                                      \
    } while (0)

struct peer {
    struct hti_session *session;
    struct hti_identity self;
    uint8_t out[STREAM_MAX];
    size_t len, at;
    unsigned opens;
};

struct input {
    const uint8_t *data;
    size_t len;
};

enum other { NOBODY, STRANGER, FRIEND, VECTORS };

/* ---- the owner ---- */

static void on_send(void *arg, const void *frame, size_t len)
{
    struct peer *peer = arg;

    /* Answers to a flood are bounded by the flood; drop what is not read. */
    if (peer->len + len <= sizeof(peer->out)) {
        memcpy(peer->out + peer->len, frame, len);
        peer->len += len;
    }
}

static enum hti_verdict
on_name(void *arg, const struct hti_hello *hello, ht_err *ret_why)
{
    (void)arg;
    (void)ret_why;
    MUST(hello->name[0] != '\0' && hello->name[HTI_NAME_BYTES_MAX] == '\0');
    return hello->connection_id == 3   ? HTI_VERDICT_NOT_OK
           : hello->connection_id == 2 ? HTI_VERDICT_OK_SIMULTANEOUS
                                       : HTI_VERDICT_OK;
}

static ht_err check_peer(void *arg, const struct hti_hello *hello)
{
    (void)arg;
    return hello->name[0] == '!' ? HT_EAUTH : HT_OK;
}

static ht_err check_challenge(void *arg, uint32_t challenge, bool issued)
{
    (void)arg;
    return !issued && challenge == 7 ? HT_EAUTH : HT_OK;
}

static ht_err on_open(void *arg, const struct hti_hello *hello)
{
    struct peer *peer = arg;

    MUST(hello->name[0] != '\0');
    peer->opens++;
    hti_session_synced(peer->session);
    return HT_OK;
}

static void on_ready(void *arg)
{
    MUST(((struct peer *)arg)->opens == 1);
}

static void on_message(void *arg,
                       const struct hti_envelope *envelope,
                       struct hti_buf *owner)
{
    (void)owner;
    MUST(((struct peer *)arg)->opens == 1);
    MUST(envelope->kind == HTI_ENVELOPE_CAST ||
         envelope->kind == HTI_ENVELOPE_CALL ||
         envelope->kind == HTI_ENVELOPE_REPLY);
}

static void on_control(void *arg, const Hardtack__Wire__ControlMessage *m)
{
    MUST(((struct peer *)arg)->opens == 1);
    MUST(m->msg_case != HARDTACK__WIRE__CONTROL_MESSAGE__MSG__NOT_SET);
}

static void on_extension(void *arg, const Hardtack__Wire__Extension *m)
{
    (void)m;
    MUST(((struct peer *)arg)->opens == 1);
    MUST(hti_session_peer(((struct peer *)arg)->session)->hardtack);
}

static void on_rtt(void *arg, uint64_t rtt_us)
{
    (void)arg;
    MUST(rtt_us < UINT64_MAX / 2);
}

static const struct hti_session_ops ops = {
    .send = on_send,
    .on_name = on_name,
    .check_peer = check_peer,
    .check_challenge = check_challenge,
    .on_open = on_open,
    .on_ready = on_ready,
    .on_message = on_message,
    .on_control = on_control,
    .on_extension = on_extension,
    .on_rtt = on_rtt,
};

/* ---- sessions ---- */

/* The same for every run; made once. */
static struct hti_keyring *ring_of(const char *cookie, const char *ractor)
{
    struct hti_keyring *ring = NULL;
    ht_bytes c = {cookie, strlen(cookie)};
    ht_bytes r = {ractor, strlen(ractor)};

    MUST(hti_keyring_new(&c, 1, &r, 1, "fuzz", HTI_KDF_FAST, &ring) == HT_OK);
    return ring;
}

static struct hti_keyring *own_ring(enum other other)
{
    static struct hti_keyring *plain, *vectors;

    if (plain == NULL) {
        plain = ring_of("a cookie of ours", "a ractor cookie of ours");
        vectors = ring_of("a cookie of ours", "cookie");
    }
    return other == VECTORS ? vectors : plain;
}

static struct hti_keyring *other_ring(enum other other)
{
    static struct hti_keyring *strange;

    if (strange == NULL) {
        strange = ring_of("a cookie of theirs", "a ractor cookie of theirs");
    }
    return other == STRANGER ? strange : own_ring(other);
}

static void peer_open(struct peer *peer,
                      bool initiator,
                      uint8_t policy,
                      struct hti_keyring *ring)
{
    struct hti_session_config config = {
        .self = &peer->self,
        .initiator = initiator,
        .mode = (enum hti_session_mode)(policy >> 1 & 3),
        .keys = ring,
        .any_peer = policy >> 3 & 1,
        .connection_id = initiator ? 1 : 0,
        .challenge = initiator ? 0xDEADBEEF : 42,
        .ping_seed = 1,
        .frame_max = 1 << 20,
        .message_max = 1 << 16,
        .handshake_ms = 5000,
        .heartbeat_ms = 100,
        .silence_ms = 60000,
    };

    memset(peer, 0, offsetof(struct peer, out));
    peer->len = peer->at = 0;
    peer->opens = 0;
    peer->self.name = initiator ? "node_a@localhost" : "node_b@localhost";
    peer->self.connection_string = initiator ? "localhost:1" : "localhost:2";
    memset(peer->self.instance, initiator ? 1 : 2, HTI_INSTANCE_BYTES);
    memset(config.nonce, initiator ? 3 : 4, HTI_NONCE_BYTES);
    config.tls_key = hti_keyring_at(ring, 0);
    MUST(hti_session_new(&config, &ops, peer, 0, &peer->session) == HT_OK);
    MUST(hti_session_start(peer->session, 0) == HT_OK);
}

static void
feed(struct peer *peer, uint64_t now_ms, const uint8_t *data, size_t len)
{
    bool closed = hti_session_state(peer->session) == HTI_SESSION_CLOSED;
    uint8_t *copy = malloc(len > 0 ? len : 1);
    ht_err err;

    MUST(copy != NULL); /* in a block of its own, to see reads past it */
    memcpy(copy, data, len);
    err = hti_session_receive(peer->session, now_ms, copy, len);
    free(copy);
    if (closed) {
        MUST(err != HT_OK);
    }
    if (err != HT_OK) {
        MUST(hti_session_state(peer->session) == HTI_SESSION_CLOSED);
        MUST(hti_session_why(peer->session)[0] != '\0');
    }
}

static void pass(struct peer *from, struct peer *to, uint64_t now_ms)
{
    size_t at = from->at;

    from->at = from->len;
    if (at < from->len) {
        feed(to, now_ms, from->out + at, from->len - at);
    }
}

static void tick(struct peer *peer, uint64_t now_ms)
{
    uint64_t deadline = 0;

    if (hti_session_tick(peer->session, now_ms, &deadline) == HT_OK) {
        MUST(deadline > now_ms);
    } else {
        MUST(hti_session_state(peer->session) == HTI_SESSION_CLOSED);
    }
}

/* One piece of input, into us. */
static bool piece(struct input *in,
                  enum other other,
                  struct peer *us,
                  struct peer *them,
                  uint64_t *now_ms)
{
    uint8_t control;
    size_t n;

    if (in->len == 0) {
        return false;
    }
    control = in->data[0];
    in->data++;
    in->len--;
    n = control & 63;
    n = n < in->len ? n : in->len;
    if (control & 64) {
        *now_ms += 37;
        tick(us, *now_ms);
    }
    if (other == STRANGER && control & 128 && n >= 2) {
        /* Alter what they said before it arrives. */
        size_t left = them->len - them->at;

        if (left > 0) {
            them->out[them->at + in->data[0] % left] ^= in->data[1];
        }
        n = 2;
    } else {
        feed(us, *now_ms, in->data, n);
    }
    in->data += n;
    in->len -= n;
    if (other == STRANGER) {
        pass(them, us, *now_ms);
        pass(us, them, *now_ms);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct peer us, them;
    struct input in = {data + 1, len - 1};
    bool initiator;
    enum other other;
    uint64_t now_ms = 0;

    if (len == 0) {
        return 0;
    }
    initiator = data[0] & 1;
    other = (enum other)(data[0] >> 4 & 3);
    peer_open(&us, initiator, data[0], own_ring(other));
    peer_open(&them, !initiator, data[0], other_ring(other));
    if (other == FRIEND) {
        for (unsigned i = 0; i < 3; i++) {
            pass(&us, &them, 0);
            pass(&them, &us, 0);
        }
        MUST(us.opens == 1 && them.opens == 1);
    }
    while (piece(&in, other, &us, &them, &now_ms)) {
    }
    (void)hti_session_end(us.session);
    MUST(hti_session_state(us.session) == HTI_SESSION_CLOSED);
    MUST(us.opens <= 1);
    if (other == NOBODY || other == STRANGER) {
        MUST(us.opens == 0 && them.opens == 0);
    }
    hti_session_free(us.session);
    hti_session_free(them.session);
    return 0;
}
