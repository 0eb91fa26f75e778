/* SPDX-License-Identifier: Apache-2.0 */
/* handshake_initiator.c - the side that dialled.
 *
 *   START      Name, always with our Hello: a ractor node skips it
 *   STATUS     a refusal closes; anything else goes on
 *   CHALLENGE  with a Hello: prove by the transcript; without: a ractor node,
 *              if policy takes one, and prove by its digest
 *   ACK        the acceptor's proof, and only then is the session OPEN
 *
 * Nothing keyed is sent before the peer was met: policy, name, certificate and
 * the relay oracle are asked first.  (ractor-wire, section 3.6; design,
 * "Downgrade".)
 */
#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "session/session_internal.h"

#define CASE(what) HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_##what

ht_err hti_initiator_start(struct hti_session *s)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    Hardtack__Wire__NameMessage name = HARDTACK__WIRE__NAME_MESSAGE__INIT;
    struct hti_own_hello own;
    ht_err err;

    assert(s->state == HTI_SESSION_START);
    hti_own_hello_init(&own, s);
    name.has_name = true;
    name.name = hti_pb_bytes(s->self->name, strlen(s->self->name));
    name.flags = &own.flags;
    name.has_connection_string = s->self->connection_string[0] != '\0';
    name.connection_string = hti_pb_bytes(s->self->connection_string,
                                          strlen(s->self->connection_string));
    name.has_connection_id = true;
    name.connection_id = s->handshake->connection_id;
    name.hello = &own.hello;
    m.msg_case = CASE(NAME);
    m.name = &name;
    err = hti_session_send_auth(s, &m, true);
    if (err == HT_OK) {
        hti_session_set_state(s, HTI_SESSION_STATUS);
    }
    return err;
}

static ht_err send_client_status(struct hti_session *s)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    Hardtack__Wire__ClientStatus status = HARDTACK__WIRE__CLIENT_STATUS__INIT;

    status.has_status = true;
    status.status = true;
    m.msg_case = CASE(CLIENT_STATUS);
    m.client_status = &status;
    return hti_session_send_auth(s, &m, false);
}

static ht_err refused(struct hti_session *s,
                      const Hardtack__Wire__ServerStatus *m)
{
    char quoted[HTI_QUOTE_BYTES];

    if (m->text == NULL || m->text->text.len == 0) {
        return hti_session_fail(s, HT_EDUPLICATE,
                                "peer refused us with status %u", m->status);
    }
    return hti_session_fail(s, HT_EDUPLICATE,
                            "peer refused us with status %u: %s", m->status,
                            hti_quote(quoted, sizeof(quoted),
                                      m->text->text.data, m->text->text.len));
}

static ht_err receive_status(struct hti_session *s,
                             const Hardtack__Wire__ServerStatus *m,
                             const struct hti_payload *payload)
{
    ht_err err = HT_OK;

    hti_transcript_add(s->handshake, payload->data, payload->len);
    switch (m->status) {
    case HTI_STATUS_NOT_OK:
    case HTI_STATUS_NOT_ALLOWED:
        return refused(s, m);
    case HTI_STATUS_ALIVE:
        err = send_client_status(s);
        break;
    case HTI_STATUS_OK:
    case HTI_STATUS_OK_SIMULTANEOUS:
    default: /* unknown numbers are 0 to a proto3 enum */
        break;
    }
    if (err == HT_OK) {
        hti_session_set_state(s, HTI_SESSION_CHALLENGE);
    }
    return err;
}

/* ---- our proof ---- */

/* The keys we dial with: those of TLS, or of the first cookie. */
static const struct hti_keys *own_keys(const struct hti_session *s)
{
    return s->mode == HTI_MODE_COOKIE ? s->handshake->tls_key
                                      : hti_keyring_at(s->handshake->keys, 0);
}

static ht_err send_reply(struct hti_session *s,
                         const Hardtack__Wire__ChallengeReply *reply)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    ht_err err;

    m.msg_case = CASE(CLIENT_CHALLENGE);
    m.client_challenge = (Hardtack__Wire__ChallengeReply *)(uintptr_t)reply;
    err = hti_session_send_auth(s, &m, false);
    if (err == HT_OK) {
        hti_session_set_state(s, HTI_SESSION_ACK);
    }
    return err;
}

static ht_err reply_hardtack(struct hti_session *s)
{
    Hardtack__Wire__ChallengeReply reply =
        HARDTACK__WIRE__CHALLENGE_REPLY__INIT;
    struct hti_handshake *h = s->handshake;

    hti_transcript_end(h);
    hti_prove_initiator(h, own_keys(s), h->mac_i);
    reply.has_mac = true;
    reply.mac = hti_pb_bytes(h->mac_i, sizeof(h->mac_i));
    return send_reply(s, &reply);
}

static ht_err reply_ractor(struct hti_session *s, uint32_t challenge)
{
    Hardtack__Wire__ChallengeReply reply =
        HARDTACK__WIRE__CHALLENGE_REPLY__INIT;
    struct hti_handshake *h = s->handshake;
    uint8_t digest[HTI_DIGEST_BYTES];
    char words[HTI_QUOTE_BYTES];
    ht_err err = s->ops->check_challenge(s->arg, challenge, false);

    if (err != HT_OK) {
        return hti_session_fail(s, err,
                                "%s sent a challenge that we issued ourselves",
                                hti_session_peer_words(s, words));
    }
    err = s->ops->check_challenge(s->arg, h->challenge, true);
    if (err != HT_OK) {
        return hti_session_fail(s, err, "our challenge was not recorded");
    }
    hti_prove_ractor(h->keys, 0, challenge, digest);
    reply.has_challenge = h->challenge != 0;
    reply.challenge = h->challenge;
    reply.has_digest = true;
    reply.digest = hti_pb_bytes(digest, sizeof(digest));
    return send_reply(s, &reply);
}

static ht_err receive_challenge(struct hti_session *s,
                                const Hardtack__Wire__Challenge *m,
                                const struct hti_payload *payload)
{
    struct hti_handshake *h = s->handshake;
    char words[HTI_QUOTE_BYTES];
    ht_err err;

    hti_transcript_add(h, payload->data, payload->len);
    err = hti_session_meet(s, &m->name, &m->connection_string, h->connection_id,
                           m->hello);
    if (err != HT_OK) {
        return err;
    }
    err = s->ops->check_peer(s->arg, &s->peer);
    if (err == HT_EDUPLICATE) {
        return hti_session_fail(s, err, "%s is connected already",
                                hti_session_peer_words(s, words));
    }
    if (err != HT_OK) {
        return hti_session_fail(
            s, err, "%s does not fit what is known of it: %s",
            hti_session_peer_words(s, words), ht_strerror(err));
    }
    return s->peer.hardtack ? reply_hardtack(s) : reply_ractor(s, m->challenge);
}

/* ---- the peer's proof ---- */

static ht_err receive_ack(struct hti_session *s,
                          uint64_t now_ms,
                          const Hardtack__Wire__ChallengeAck *m)
{
    const struct hti_handshake *h = s->handshake;
    uint8_t want[HTI_MAC_BYTES];
    char words[HTI_QUOTE_BYTES];
    bool good;

    if (s->peer.hardtack) {
        hti_prove_acceptor(h, own_keys(s), h->mac_i, want);
        good = hti_proof_equal(&m->mac, want);
    } else {
        hti_prove_ractor(h->keys, 0, h->challenge, want);
        good = hti_proof_equal(&m->digest, want);
    }
    sodium_memzero(want, sizeof(want));
    if (!good) {
        return hti_session_fail(s, HT_EAUTH, "%s proved a wrong cookie",
                                hti_session_peer_words(s, words));
    }
    return hti_session_open(s, now_ms);
}

ht_err hti_initiator_receive(struct hti_session *s,
                             uint64_t now_ms,
                             const Hardtack__Wire__AuthenticationMessage *m,
                             const struct hti_payload *payload)
{
    if (s->state == HTI_SESSION_STATUS && m->msg_case == CASE(SERVER_STATUS)) {
        return receive_status(s, m->server_status, payload);
    }
    if (s->state == HTI_SESSION_CHALLENGE &&
        m->msg_case == CASE(SERVER_CHALLENGE)) {
        return receive_challenge(s, m->server_challenge, payload);
    }
    if (s->state == HTI_SESSION_ACK && m->msg_case == CASE(SERVER_ACK)) {
        return receive_ack(s, now_ms, m->server_ack);
    }
    return hti_session_unexpected(s, m);
}
