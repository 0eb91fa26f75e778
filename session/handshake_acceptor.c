/* SPDX-License-Identifier: Apache-2.0 */
/* handshake_acceptor.c - the side that was dialled.
 *
 *   NAME   with a Hello: a Hardtack node; without: a ractor node, if policy
 *          takes one.  The owner gives a verdict; Status and Challenge follow
 *   REPLY  the initiator's proof; then ours, and the session is OPEN
 *
 * Nothing keyed is sent before the initiator's proof is right, so a stranger
 * learns nothing that depends on the cookie.  (ractor-wire, section 3.5.)
 */
#include <assert.h>
#include <string.h>

#include "session/session_internal.h"

#define CASE(what) HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_##what

/* ---- Status and Challenge ---- */

static uint32_t status_code(ht_err why)
{
    return why == HT_EDUPLICATE                   ? HTI_STATUS_CODE_DUPLICATE
           : why == HT_EDENIED || why == HT_EAUTH ? HTI_STATUS_CODE_DENIED
                                                  : HTI_STATUS_CODE_OTHER;
}

/* why: HT_OK unless it is a refusal. */
static ht_err send_status(struct hti_session *s, uint32_t number, ht_err why)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    Hardtack__Wire__ServerStatus status = HARDTACK__WIRE__SERVER_STATUS__INIT;
    Hardtack__Wire__StatusText text = HARDTACK__WIRE__STATUS_TEXT__INIT;

    status.has_status = number != 0;
    status.status = number;
    if (why != HT_OK && s->peer.hardtack) {
        text.code = status_code(why);
        text.has_code = text.code != 0;
        text.has_text = true;
        text.text = hti_pb_bytes(ht_strerror(why), strlen(ht_strerror(why)));
        status.text = &text;
    }
    m.msg_case = CASE(SERVER_STATUS);
    m.server_status = &status;
    return hti_session_send_auth(s, &m, true);
}

static ht_err send_challenge(struct hti_session *s)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    Hardtack__Wire__Challenge challenge = HARDTACK__WIRE__CHALLENGE__INIT;
    struct hti_own_hello own;

    hti_own_hello_init(&own, s);
    challenge.has_name = true;
    challenge.name = hti_pb_bytes(s->self->name, strlen(s->self->name));
    challenge.flags = &own.flags;
    challenge.has_connection_string = s->self->connection_string[0] != '\0';
    challenge.connection_string = hti_pb_bytes(
        s->self->connection_string, strlen(s->self->connection_string));
    if (s->peer.hardtack) {
        challenge.hello = &own.hello;
    } else {
        challenge.has_challenge = s->handshake->challenge != 0;
        challenge.challenge = s->handshake->challenge;
    }
    m.msg_case = CASE(SERVER_CHALLENGE);
    m.server_challenge = &challenge;
    return hti_session_send_auth(s, &m, true);
}

/* ---- Name ---- */

static ht_err refuse(struct hti_session *s, ht_err why)
{
    char words[HTI_QUOTE_BYTES];
    ht_err err = send_status(s, HTI_STATUS_NOT_OK, why);

    if (err != HT_OK) {
        return err;
    }
    return hti_session_fail(s, why, "%s was refused: %s",
                            hti_session_peer_words(s, words), ht_strerror(why));
}

static ht_err welcome(struct hti_session *s, bool simultaneous)
{
    ht_err err = send_status(
        s, simultaneous ? HTI_STATUS_OK_SIMULTANEOUS : HTI_STATUS_OK, HT_OK);

    if (err == HT_OK && !s->peer.hardtack) {
        err = s->ops->check_challenge(s->arg, s->handshake->challenge, true);
        if (err != HT_OK) {
            return hti_session_fail(s, err, "our challenge was not recorded");
        }
    }
    if (err == HT_OK) {
        err = send_challenge(s);
    }
    if (err == HT_OK) {
        hti_transcript_end(s->handshake);
        hti_session_set_state(s, HTI_SESSION_REPLY);
    }
    return err;
}

static ht_err receive_name(struct hti_session *s,
                           const Hardtack__Wire__NameMessage *m,
                           const struct hti_payload *payload)
{
    ht_err why = HT_OK;
    char words[HTI_QUOTE_BYTES];
    ht_err err;

    hti_transcript_add(s->handshake, payload->data, payload->len);
    err = hti_session_meet(s, &m->name, &m->connection_string, m->connection_id,
                           m->hello);
    if (err != HT_OK) {
        return err;
    }
    err = s->ops->check_peer(s->arg, &s->peer);
    if (err != HT_OK) {
        return hti_session_fail(
            s, err, "%s does not fit what is known of it: %s",
            hti_session_peer_words(s, words), ht_strerror(err));
    }
    switch (s->ops->on_name(s->arg, &s->peer, &why)) {
    case HTI_VERDICT_OK:
        return welcome(s, false);
    case HTI_VERDICT_OK_SIMULTANEOUS:
        return welcome(s, true);
    case HTI_VERDICT_NOT_OK:
        break;
    }
    return refuse(s, why != HT_OK ? why : HT_EDUPLICATE);
}

/* ---- ChallengeReply ---- */

static ht_err
send_ack(struct hti_session *s, const uint8_t *mac, const uint8_t *digest)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    Hardtack__Wire__ChallengeAck ack = HARDTACK__WIRE__CHALLENGE_ACK__INIT;

    ack.has_mac = mac != NULL;
    ack.mac = hti_pb_bytes(mac, mac != NULL ? HTI_MAC_BYTES : 0);
    ack.has_digest = digest != NULL;
    ack.digest = hti_pb_bytes(digest, digest != NULL ? HTI_DIGEST_BYTES : 0);
    m.msg_case = CASE(SERVER_ACK);
    m.server_ack = &ack;
    return hti_session_send_auth(s, &m, false);
}

static ht_err wrong_cookie(struct hti_session *s)
{
    char words[HTI_QUOTE_BYTES];

    return hti_session_fail(s, HT_EAUTH, "%s proved a wrong cookie",
                            hti_session_peer_words(s, words));
}

static ht_err answer_hardtack(struct hti_session *s,
                              const Hardtack__Wire__ChallengeReply *m)
{
    uint8_t mac_r[HTI_MAC_BYTES];
    const struct hti_keys *keys =
        hti_find_prover(s->handshake, s->mode, &m->mac);

    if (keys == NULL) {
        return wrong_cookie(s);
    }
    hti_prove_acceptor(s->handshake, keys, m->mac.data, mac_r);
    return send_ack(s, mac_r, NULL);
}

static ht_err answer_ractor(struct hti_session *s,
                            const Hardtack__Wire__ChallengeReply *m)
{
    const struct hti_handshake *h = s->handshake;
    uint8_t digest[HTI_DIGEST_BYTES];
    char words[HTI_QUOTE_BYTES];
    int cookie = hti_find_ractor_prover(h->keys, h->challenge, &m->digest);
    ht_err err;

    if (cookie < 0) {
        return wrong_cookie(s);
    }
    err = s->ops->check_challenge(s->arg, m->challenge, false);
    if (err != HT_OK) {
        return hti_session_fail(s, err,
                                "%s sent a challenge that we issued ourselves",
                                hti_session_peer_words(s, words));
    }
    hti_prove_ractor(h->keys, (size_t)cookie, m->challenge, digest);
    return send_ack(s, NULL, digest);
}

/* The Ack goes out before on_open, and so before the sync block. */
static ht_err receive_reply(struct hti_session *s,
                            uint64_t now_ms,
                            const Hardtack__Wire__ChallengeReply *m)
{
    ht_err err = s->peer.hardtack ? answer_hardtack(s, m) : answer_ractor(s, m);

    return err == HT_OK ? hti_session_open(s, now_ms) : err;
}

ht_err hti_acceptor_receive(struct hti_session *s,
                            uint64_t now_ms,
                            const Hardtack__Wire__AuthenticationMessage *m,
                            const struct hti_payload *payload)
{
    if (s->state == HTI_SESSION_NAME && m->msg_case == CASE(NAME)) {
        return receive_name(s, m->name, payload);
    }
    if (s->state == HTI_SESSION_REPLY &&
        m->msg_case == CASE(CLIENT_CHALLENGE)) {
        return receive_reply(s, now_ms, m->client_challenge);
    }
    return hti_session_unexpected(s, m);
}
