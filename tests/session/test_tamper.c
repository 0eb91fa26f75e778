/* SPDX-License-Identifier: Apache-2.0 */
/* test_tamper.c - somebody between two nodes: whatever is altered of what was
 * said, they do not both open. */
#include <sodium.h>

#include "tests/session/fixture.h"

#define COOKIE "a cookie that is long enough"

static void init_pair(struct side *a, struct side *b)
{
    side_init(a, true, ring_one(COOKIE));
    side_init(b, false, ring_one(COOKIE));
}

static void fini_pair(struct side *a, struct side *b)
{
    side_fini(a);
    side_fini(b);
}

/* ---- the transcript, by its definition ---- */

static size_t
add_message(uint8_t *text, size_t at, const uint8_t *frame) /* len || bytes */
{
    size_t n = frame_len(frame);

    memcpy(text + at, frame, n); /* the head is the length, big-endian */
    return at + n;
}

static void test_proofs_are_as_documented(void **state)
{
    uint8_t text[4096] = "hardtack-transcript-1";
    uint8_t t[64], mac[32];
    const struct hti_keys *keys;
    const uint8_t *status, *ack;
    struct side a, b;
    size_t n = 21;

    (void)state;
    init_pair(&a, &b);
    a.config.mode = b.config.mode = HTI_MODE_TLS;
    memset(a.config.exporter, 0xe7, HTI_EXPORTER_BYTES);
    memset(b.config.exporter, 0xe7, HTI_EXPORTER_BYTES);
    meet(&a, &b, 0);
    CHECK(a.opens == 1 && b.opens == 1);

    text[n++] = HTI_MODE_TLS;
    memset(text + n, 0xe7, HTI_EXPORTER_BYTES);
    n += HTI_EXPORTER_BYTES;
    status = b.out.bytes;
    n = add_message(text, n, a.out.bytes);
    n = add_message(text, n, status);
    n = add_message(text, n, status + frame_len(status));
    keys = hti_keyring_at(a.config.keys, 0);
    crypto_generichash(t, 32, text, n, NULL, 0);
    crypto_generichash(mac, 32, t, 32, keys->mac_initiator, 32);
    CHECK(memcmp(a.out.bytes + a.out.len - 32, mac, 32) == 0);

    memcpy(t + 32, mac, 32);
    crypto_generichash(mac, 32, t, 64, keys->mac_acceptor, 32);
    ack = b.out.bytes + b.out.len - 32;
    CHECK(memcmp(ack, mac, 32) == 0);
    fini_pair(&a, &b);
}

/* ---- fields ---- */

enum field {
    NAME_NAME,
    NAME_FLAGS,
    NAME_ADDRESS,
    NAME_ID,
    CHALLENGE_NAME,
    CHALLENGE_FLAGS,
    CHALLENGE_CHALLENGE,
    CHALLENGE_ADDRESS,
    STATUS_STATUS,
    HELLO_VERSION, /* of Name; again for Challenge below */
    HELLO_CAPABILITIES,
    HELLO_INSTANCE,
    HELLO_INCARNATION,
    HELLO_NONCE,
    HELLO_FLAGS,
    HELLO_ADDRESSES,
    HELLO_FRAME_MAX,
    HELLO_MESSAGE_MAX,
    REPLY_MAC,
    ACK_MAC,
    FIELD_COUNT,
};

static void alter_hello(Hardtack__Wire__Hello *h, enum field field)
{
    if (field == HELLO_VERSION) {
        h->version++;
    } else if (field == HELLO_CAPABILITIES) {
        h->capabilities ^= HTI_CAP_FRAGMENTS;
    } else if (field == HELLO_INSTANCE) {
        h->instance.data[0] ^= 1;
    } else if (field == HELLO_INCARNATION) {
        h->incarnation++;
    } else if (field == HELLO_NONCE) {
        h->nonce.data[31] ^= 0x80;
    } else if (field == HELLO_FLAGS) {
        h->has_flags = true;
        h->flags ^= HTI_HELLO_HIDDEN;
    } else if (field == HELLO_ADDRESSES) {
        h->addresses[0].data[0] ^= 1;
    } else if (field == HELLO_FRAME_MAX) {
        h->frame_max--;
    } else if (field == HELLO_MESSAGE_MAX) {
        h->has_message_max = false;
    }
}

/* Whether it was there to alter. */
static bool alter_name(Hardtack__Wire__NameMessage *m, enum field field)
{
    if (field == NAME_NAME) {
        m->name.data[0] ^= 1;
    } else if (field == NAME_FLAGS) {
        m->flags->version = 2;
    } else if (field == NAME_ADDRESS) {
        m->has_connection_string = false;
    } else if (field == NAME_ID) {
        m->connection_id--;
    } else if (field >= HELLO_VERSION && field <= HELLO_MESSAGE_MAX) {
        alter_hello(m->hello, field);
    } else {
        return false;
    }
    return true;
}

static bool alter_challenge(Hardtack__Wire__Challenge *m, enum field field)
{
    if (field == CHALLENGE_NAME) {
        m->name.data[0] ^= 1;
    } else if (field == CHALLENGE_FLAGS) {
        m->flags->version = 0;
    } else if (field == CHALLENGE_CHALLENGE) {
        m->has_challenge = true;
        m->challenge = 1;
    } else if (field == CHALLENGE_ADDRESS) {
        m->connection_string.data[0] ^= 1;
    } else if (field >= HELLO_VERSION && field <= HELLO_MESSAGE_MAX) {
        alter_hello(m->hello, field);
    } else {
        return false;
    }
    return true;
}

static bool alter(Hardtack__Wire__AuthenticationMessage *m,
                  enum field field,
                  bool of_challenge)
{
    switch (m->msg_case) {
    case PB(NAME):
        return !of_challenge && alter_name(m->name, field);
    case PB(SERVER_STATUS):
        m->server_status->has_status |= field == STATUS_STATUS;
        m->server_status->status += field == STATUS_STATUS;
        return field == STATUS_STATUS;
    case PB(SERVER_CHALLENGE):
        return of_challenge && alter_challenge(m->server_challenge, field);
    case PB(CLIENT_CHALLENGE):
        m->client_challenge->mac.data[5] ^= field == REPLY_MAC;
        return field == REPLY_MAC;
    case PB(SERVER_ACK):
        m->server_ack->mac.data[5] ^= field == ACK_MAC;
        return field == ACK_MAC;
    case PB(CLIENT_STATUS):
    case HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG__NOT_SET:
    case _HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG__CASE_IS_INT_SIZE:
        break;
    }
    return false;
}

/* Deliver one frame, altered if it has the field. */
static bool pass(struct side *from,
                 struct side *to,
                 enum field field,
                 bool of_challenge,
                 unsigned *altered)
{
    const uint8_t *frame = from->out.bytes + from->out.at;
    Hardtack__Wire__NetworkMessage *m;
    bool ok;

    if (from->out.at == from->out.len || side_is(to, HTI_SESSION_CLOSED)) {
        return false;
    }
    m = hardtack__wire__network_message__unpack(NULL, frame_len(frame) - 8,
                                                frame + 8);
    CHECK(m != NULL && m->auth != NULL);
    if (alter(m->auth, field, of_challenge)) {
        (*altered)++;
        from->out.at += frame_len(frame);
        ok = feed_frame(to, 0, hti_frame_auth(m->auth)) == HT_OK;
    } else {
        ok = deliver(from, to, 0, frame_len(frame));
    }
    hardtack__wire__network_message__free_unpacked(m, NULL);
    return ok;
}

static void check_field(enum field field, bool of_challenge)
{
    struct side a, b;
    unsigned altered = 0;
    bool more = true;

    init_pair(&a, &b);
    side_open(&a, 0);
    side_open(&b, 0);
    while (more) {
        more = pass(&a, &b, field, of_challenge, &altered);
        more = pass(&b, &a, field, of_challenge, &altered) || more;
    }
    if (altered == 0) { /* Challenge has no id, Name no challenge */
        CHECK(a.opens == 1 && b.opens == 1);
    } else if (field == ACK_MAC) {
        /* The acceptor was convinced, rightly; the initiator is not. */
        CHECK(a.opens == 0 && a.err == HT_EAUTH && b.opens == 1);
        CHECK(why_has(&a, "proved a wrong cookie"));
    } else {
        CHECK(a.opens == 0 && b.opens == 0 && b.err == HT_EAUTH);
        CHECK(why_has(&b, "proved a wrong cookie"));
        CHECK(hti_session_end(a.session) == HT_EAUTH);
    }
    CHECK(altered <= 1);
    fini_pair(&a, &b);
}

static void test_every_field(void **state)
{
    (void)state;
    for (unsigned field = 0; field < FIELD_COUNT; field++) {
        check_field((enum field)field, false);
        check_field((enum field)field, true);
    }
}

/* ---- what is not a field ---- */

static void check_appended(unsigned which) /* 0 Name, 1 Status, 2 Challenge */
{
    struct side a, b;
    struct side *from;
    uint8_t frame[HTI_HANDSHAKE_BYTES_MAX];
    const uint8_t *p;
    size_t n;

    init_pair(&a, &b);
    from = which == 0 ? &a : &b;
    side_open(&a, 0);
    side_open(&b, 0);
    if (which > 0) {
        CHECK(deliver(&a, &b, 0, SIZE_MAX));
    }
    if (which == 2) {
        CHECK(deliver(&b, &a, 0, frame_len(b.out.bytes)));
    }
    p = from->out.bytes + from->out.at;
    n = frame_len(p);
    memcpy(frame, p, n);
    frame[n] = 0x78; /* field 15, a varint: unknown to both */
    frame[n + 1] = 1;
    CHECK(frame[7] < 0xfe);
    frame[7] = (uint8_t)(frame[7] + 2);
    from->out.at += n;
    CHECK_OK(side_feed(from == &a ? &b : &a, 0, frame, n + 2));
    converse(&a, &b, 0, SIZE_MAX);
    CHECK(a.opens == 0 && b.opens == 0 && b.err == HT_EAUTH);
    fini_pair(&a, &b);
}

static void test_unknown_fields_count(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 3; which++) {
        check_appended(which);
    }
}

static void test_another_channel(void **state)
{
    static const enum hti_session_mode modes[] = {
        HTI_MODE_NONE, HTI_MODE_COOKIE, HTI_MODE_TLS, HTI_MODE_PEERCRED};
    struct side a, b;

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        init_pair(&a, &b);
        a.config.mode = modes[i & 3];
        b.config.mode = modes[i >> 2];
        a.config.tls_key = hti_keyring_at(a.config.keys, 0);
        b.config.tls_key = hti_keyring_at(b.config.keys, 0);
        meet(&a, &b, 0);
        CHECK(a.opens == ((i & 3) == i >> 2) && a.opens == b.opens);
        fini_pair(&a, &b);
    }
    /* Two TLS connections with somebody between have two exporters. */
    init_pair(&a, &b);
    a.config.exporter[31] = 1;
    meet(&a, &b, 0);
    CHECK(a.opens == 0 && b.opens == 0 && b.err == HT_EAUTH);
    fini_pair(&a, &b);
}

/* ---- any bit, from a seed ---- */

static uint64_t rnd(uint64_t *seed)
{
    uint64_t x = *seed;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *seed = x;
}

/* Deliver up to n bytes, now and then with a bit flipped. */
static bool deliver_noisy(struct side *from,
                          struct side *to,
                          uint64_t *seed,
                          struct stream *got)
{
    struct stream *out = &from->out;
    size_t left = out->len - out->at;
    size_t n = 1 + rnd(seed) % 64;
    uint8_t piece[64];

    n = n < left ? n : left;
    if (n == 0 || side_is(to, HTI_SESSION_CLOSED)) {
        return false;
    }
    memcpy(piece, out->bytes + out->at, n);
    out->at += n;
    if (rnd(seed) % 12 == 0) {
        piece[rnd(seed) % n] ^= (uint8_t)(1u << rnd(seed) % 8);
    }
    stream_put(got, piece, n);
    (void)side_feed(to, 0, piece, n);
    return true;
}

static bool
same_prefix(const struct stream *sent, const struct stream *got, size_t n)
{
    return sent->len >= n && got->len >= n &&
           memcmp(sent->bytes, got->bytes, n) == 0;
}

static unsigned check_seed(uint64_t number)
{
    uint64_t seed = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
    struct stream to_a = {0}, to_b = {0};
    struct side a, b;
    bool more = true;
    unsigned opened;

    init_pair(&a, &b);
    a.sync_on_open = b.sync_on_open = true;
    a.config.any_peer = number & 1;
    b.config.any_peer = number >> 1 & 1;
    side_open(&a, 0);
    side_open(&b, 0);
    while (more) {
        more = deliver_noisy(&a, &b, &seed, &to_b);
        more = deliver_noisy(&b, &a, &seed, &to_a) || more;
    }
    opened = a.opens + b.opens;
    if (opened > 0) {
        /* Whoever opened saw what the other said, and the other saw what it
         * said: Name one way, Status and Challenge the other. */
        size_t status = frame_len(b.out.bytes);
        bool same = same_prefix(&a.out, &to_b, frame_len(a.out.bytes)) &&
                    same_prefix(&b.out, &to_a,
                                status + frame_len(b.out.bytes + status));

        if (!same) {
            print_error("seed %llu opened\n", (unsigned long long)number);
        }
        CHECK(same);
        CHECK(b.opens == 1); /* the initiator never alone */
    }
    free(to_a.bytes);
    free(to_b.bytes);
    fini_pair(&a, &b);
    return opened;
}

static void test_bits_flipped_anywhere(void **state)
{
    unsigned opened[3] = {0};

    (void)state;
    for (uint64_t number = 0; number < 2000; number++) {
        opened[check_seed(number)]++;
    }
    /* The noise is such that both happen. */
    CHECK(opened[0] > 100 && opened[2] > 100);
}

CHECK_MAIN(cmocka_unit_test(test_proofs_are_as_documented),
           cmocka_unit_test(test_every_field),
           cmocka_unit_test(test_unknown_fields_count),
           cmocka_unit_test(test_another_channel),
           cmocka_unit_test(test_bits_flipped_anywhere))
