/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - life, states, the receive loop, and who gets which message. */
#include "session/session.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "session/session_internal.h"

#define DEFAULT_HANDSHAKE_MS 5000
#define DEFAULT_HEARTBEAT_MS 1000
#define DEFAULT_SILENCE_MS   5000
#define MESSAGE_MAX          (SIZE_MAX / 4) /* so that sums do not wrap */

#define TO(state)            (1u << HTI_SESSION_##state)

/* Which states may follow which.  A move not listed here is a bug of ours: what
 * a peer sends at the wrong time closes the session before it moves it. */
static const unsigned next_states[HTI_SESSION_STATE_COUNT] = {
    [HTI_SESSION_START] = TO(STATUS) | TO(CLOSED),
    [HTI_SESSION_NAME] = TO(REPLY) | TO(CLOSED),
    [HTI_SESSION_STATUS] = TO(CHALLENGE) | TO(CLOSED),
    [HTI_SESSION_CHALLENGE] = TO(ACK) | TO(CLOSED),
    [HTI_SESSION_CLIENT_STATUS] = TO(REPLY) | TO(CLOSED),
    [HTI_SESSION_REPLY] = TO(OPEN) | TO(CLOSED),
    [HTI_SESSION_ACK] = TO(OPEN) | TO(CLOSED),
    [HTI_SESSION_OPEN] = TO(CLOSED),
    [HTI_SESSION_CLOSED] = 0,
};

/* What a session in each state lacks, for the log. */
static const char *waiting_for(const struct hti_session *s)
{
    switch (s->state) {
    case HTI_SESSION_START:
        return "the start";
    case HTI_SESSION_NAME:
        return "Name";
    case HTI_SESSION_STATUS:
        return "ServerStatus";
    case HTI_SESSION_CHALLENGE:
        return "Challenge";
    case HTI_SESSION_CLIENT_STATUS:
        return "ClientStatus";
    case HTI_SESSION_REPLY:
        return "ChallengeReply";
    case HTI_SESSION_ACK:
        return "ChallengeAck";
    case HTI_SESSION_OPEN:
    case HTI_SESSION_CLOSED:
    case HTI_SESSION_STATE_COUNT:
        break;
    }
    return "nothing";
}

void hti_session_set_state(struct hti_session *s, enum hti_session_state to)
{
    assert(to < HTI_SESSION_STATE_COUNT);
    assert(next_states[s->state] & (1u << to));
    s->state = to;
}

ht_err
hti_session_fail(struct hti_session *s, ht_err err, const char *format, ...)
{
    va_list args;

    assert(err != HT_OK);
    if (s->state == HTI_SESSION_CLOSED) {
        return s->err; /* the first reason is the reason */
    }
    va_start(args, format);
    vsnprintf(s->why, sizeof(s->why), format, args);
    va_end(args);
    s->err = err;
    hti_session_set_state(s, HTI_SESSION_CLOSED);
    return err;
}

const char *hti_session_peer_words(const struct hti_session *s,
                                   char buf[HTI_QUOTE_BYTES])
{
    char quoted[HTI_QUOTE_BYTES - sizeof("peer ")];

    if (s->peer.name[0] == '\0') {
        return "peer";
    }
    hti_quote(quoted, sizeof(quoted), s->peer.name, strlen(s->peer.name));
    snprintf(buf, HTI_QUOTE_BYTES, "peer %s", quoted);
    return buf;
}

/* ---- life ---- */

static void handshake_free(struct hti_handshake *h)
{
    if (h == NULL) {
        return;
    }
    hti_keyring_unref(h->keys);
    free(h->expected_name);
    sodium_memzero(h, sizeof(*h));
    free(h);
}

static struct hti_handshake *
handshake_new(const struct hti_session_config *config)
{
    struct hti_handshake *h = aligned_alloc(_Alignof(struct hti_handshake),
                                            sizeof(struct hti_handshake));

    if (h == NULL) {
        return NULL;
    }
    memset(h, 0, sizeof(*h));
    if (config->expected_name != NULL) {
        h->expected_name = strdup(config->expected_name);
        if (h->expected_name == NULL) {
            handshake_free(h);
            return NULL;
        }
    }
    h->keys = hti_keyring_ref(config->keys);
    h->tls_key = config->tls_key;
    h->any_peer = config->any_peer;
    h->connection_id = config->connection_id;
    h->challenge = config->challenge;
    memcpy(h->nonce, config->nonce, sizeof(h->nonce));
    h->timeout_ms = config->handshake_ms == 0 ? DEFAULT_HANDSHAKE_MS
                    : config->handshake_ms == HT_INFINITE
                        ? UINT64_MAX
                        : config->handshake_ms;
    hti_transcript_init(h, config->mode, config->exporter);
    return h;
}

/* a, or else b, or else c: 0 means the default. */
static uint64_t first_of(uint64_t a, uint64_t b, uint64_t c)
{
    return a != 0 ? a : b != 0 ? b : c;
}

static void copy_config(struct hti_session *s,
                        const struct hti_session_config *config)
{
    s->initiator = config->initiator;
    s->mode = config->mode;
    s->self = config->self;
    s->frame_max = first_of(config->frame_max, config->self->frame_max,
                            (uint64_t)HTI_FRAME_BYTES_MAX);
    s->message_max =
        first_of(config->message_max, config->self->message_max, s->frame_max);
    if (s->message_max > MESSAGE_MAX) {
        s->message_max = MESSAGE_MAX;
    }
    s->heartbeat.rng = config->ping_seed;
    s->heartbeat.heartbeat_ms =
        (uint32_t)first_of(config->heartbeat_ms, DEFAULT_HEARTBEAT_MS, 0);
    s->heartbeat.silence_ms =
        (uint32_t)first_of(config->silence_ms, DEFAULT_SILENCE_MS, 0);
}

ht_err hti_session_new(const struct hti_session_config *config,
                       const struct hti_session_ops *ops,
                       void *arg,
                       uint64_t now_ms,
                       struct hti_session **ret_session)
{
    struct hti_session *s;

    assert(config->self != NULL && config->keys != NULL);
    assert(!config->initiator || config->connection_id != 0);
    assert(config->mode != HTI_MODE_COOKIE || config->tls_key != NULL);

    s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return HT_ENOMEM;
    }
    hti_reader_init(&s->reader, HTI_HANDSHAKE_BYTES_MAX);
    copy_config(s, config);
    s->state = s->initiator ? HTI_SESSION_START : HTI_SESSION_NAME;
    s->ops = ops;
    s->arg = arg;
    s->created_ms = now_ms;
    s->received_ms = now_ms;
    s->handshake = handshake_new(config);
    if (s->handshake == NULL) {
        hti_session_free(s);
        return HT_ENOMEM;
    }
    *ret_session = s;
    return HT_OK;
}

void hti_session_free(struct hti_session *session)
{
    if (session == NULL) {
        return;
    }
    handshake_free(session->handshake);
    hti_reassembly_free(session->reassembly);
    hti_reader_fini(&session->reader);
    free(session);
}

ht_err hti_session_start(struct hti_session *session, uint64_t now_ms)
{
    (void)now_ms; /* the handshake's time runs from the session's birth */
    if (session->state == HTI_SESSION_CLOSED) {
        return session->err;
    }
    return session->initiator ? hti_initiator_start(session) : HT_OK;
}

ht_err hti_session_open(struct hti_session *s, uint64_t now_ms)
{
    char words[HTI_QUOTE_BYTES];
    ht_err err;

    hti_session_set_state(s, HTI_SESSION_OPEN);
    handshake_free(s->handshake);
    s->handshake = NULL;
    s->reader.limit = s->frame_max;
    hti_heartbeat_start(s, now_ms);
    err = s->ops->on_open(s->arg, &s->peer);
    if (err != HT_OK) {
        return hti_session_fail(
            s, err, "%s was authenticated, and not kept: %s",
            hti_session_peer_words(s, words), ht_strerror(err));
    }
    return HT_OK;
}

/* ---- sending ---- */

ht_err hti_session_send_frame(struct hti_session *s, struct hti_frame *frame)
{
    if (frame == NULL) {
        return hti_session_fail(s, HT_ENOMEM, "no memory for a frame");
    }
    s->ops->send(s->arg, frame->bytes, frame->len);
    hti_frame_free(frame);
    return HT_OK;
}

ht_err hti_session_send_auth(struct hti_session *s,
                             const Hardtack__Wire__AuthenticationMessage *m,
                             bool in_transcript)
{
    struct hti_frame *frame = hti_frame_auth(m);

    if (frame != NULL && in_transcript) {
        hti_transcript_add(s->handshake, hti_frame_payload(frame),
                           frame->len - HTI_FRAME_HEAD);
    }
    return hti_session_send_frame(s, frame);
}

/* ---- dispatch ---- */

static const char *
auth_name(Hardtack__Wire__AuthenticationMessage__MsgCase what)
{
    switch (what) {
    case HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_NAME:
        return "Name";
    case HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_SERVER_STATUS:
        return "ServerStatus";
    case HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_CLIENT_STATUS:
        return "ClientStatus";
    case HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_SERVER_CHALLENGE:
        return "Challenge";
    case HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_CLIENT_CHALLENGE:
        return "ChallengeReply";
    case HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_SERVER_ACK:
        return "ChallengeAck";
    case HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG__NOT_SET:
    case _HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG__CASE_IS_INT_SIZE:
        break;
    }
    return "an empty AuthenticationMessage";
}

ht_err hti_session_unexpected(struct hti_session *s,
                              const Hardtack__Wire__AuthenticationMessage *m)
{
    char words[HTI_QUOTE_BYTES];

    return hti_session_fail(s, HT_EPROTO, "%s sent %s, while we wait for %s",
                            hti_session_peer_words(s, words),
                            auth_name(m->msg_case), waiting_for(s));
}

static ht_err decode_failed(struct hti_session *s, ht_err err, const char *what)
{
    if (err == HT_EPROTO) {
        return hti_session_fail(s, err, "%s does not decode", what);
    }
    return hti_session_fail(s, err, "no memory to decode %s", what);
}

static ht_err receive_auth(struct hti_session *s,
                           uint64_t now_ms,
                           ht_bytes body,
                           const struct hti_payload *payload)
{
    struct hti_decoded d;
    ht_err err = hti_decode(&hardtack__wire__authentication_message__descriptor,
                            body, &d);

    if (err != HT_OK) {
        return decode_failed(s, err, "AuthenticationMessage");
    }
    if (s->state == HTI_SESSION_OPEN) {
        err = HT_OK; /* too late to matter, as ractor has it */
    } else if (s->initiator) {
        err = hti_initiator_receive(s, now_ms, d.m.auth, payload);
    } else {
        err = hti_acceptor_receive(s, now_ms, d.m.auth, payload);
    }
    hti_decoded_fini(&d);
    return err;
}

static ht_err control_known(struct hti_session *s,
                            uint64_t now_ms,
                            const Hardtack__Wire__ControlMessage *m)
{
    switch (m->msg_case) {
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PING:
        return hti_heartbeat_ping(s, now_ms, m->ping);
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PONG:
        hti_heartbeat_pong(s, now_ms, m->pong);
        return HT_OK;
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_READY:
        if (!s->peer_ready) {
            s->peer_ready = true;
            s->ops->on_ready(s->arg);
        }
        return HT_OK;
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_SPAWN:
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_TERMINATE:
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PG_JOIN:
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PG_LEAVE:
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_ENUMERATE_NODE_SESSIONS:
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_NODE_SESSIONS:
        s->ops->on_control(s->arg, m);
        return HT_OK;
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG__NOT_SET:
    case _HARDTACK__WIRE__CONTROL_MESSAGE__MSG__CASE_IS_INT_SIZE:
        break;
    }
    return HT_OK; /* of a later version */
}

static ht_err
receive_control(struct hti_session *s, uint64_t now_ms, ht_bytes body)
{
    struct hti_decoded d;
    ht_err err =
        hti_decode(&hardtack__wire__control_message__descriptor, body, &d);

    if (err != HT_OK) {
        return decode_failed(s, err, "ControlMessage");
    }
    err = control_known(s, now_ms, d.m.control);
    hti_decoded_fini(&d);
    return err;
}

static ht_err receive_extension(struct hti_session *s, ht_bytes body)
{
    struct hti_decoded d;
    ht_err err;

    if ((s->peer.capabilities & HTI_CAP_EXTENSIONS) == 0) {
        return HT_OK; /* to a ractor node this is an unknown field */
    }
    err = hti_decode(&hardtack__wire__extension__descriptor, body, &d);
    if (err != HT_OK) {
        return decode_failed(s, err, "Extension");
    }
    s->ops->on_extension(s->arg, d.m.ext);
    hti_decoded_fini(&d);
    return HT_OK;
}

/* Before OPEN, what is not authentication is discarded, as ractor has it, but
 * not for ever: nobody honest sends more than a few. */
static ht_err receive_early(struct hti_session *s)
{
    if (++s->early > HTI_EARLY_MAX) {
        return hti_session_fail(
            s, HT_EPROTO,
            "over %d messages before authentication, waiting for %s",
            HTI_EARLY_MAX, waiting_for(s));
    }
    return HT_OK;
}

static const struct hti_wire_cast *message_of(const struct hti_envelope *e)
{
    return e->kind == HTI_ENVELOPE_CALL ? &e->u.call.m : &e->u.cast;
}

/* Who keeps a message's bytes keeps all of the payload, but what it counts them
 * by is their own length.  Were the rest of a payload fields that nobody knows,
 * a mailbox of 1 MiB could hold thousands of times as much; so a small part of
 * a payload is not given away, but copied. */
static struct hti_buf *lasting(const struct hti_envelope *e,
                               const struct hti_payload *payload)
{
    size_t body = e->kind == HTI_ENVELOPE_REPLY
                      ? e->u.reply.what.len
                      : message_of(e)->what.len + message_of(e)->metadata.len;

    return body >= payload->len / 2 ? payload->owner : NULL;
}

ht_err hti_session_dispatch(struct hti_session *s,
                            uint64_t now_ms,
                            const struct hti_payload *payload,
                            bool reassembled)
{
    struct hti_envelope envelope;
    ht_err err = hti_envelope_decode(payload->data, payload->len, &envelope);

    if (err != HT_OK) {
        return hti_session_fail(s, err,
                                "payload of %zu bytes is not a NetworkMessage",
                                payload->len);
    }
    if (envelope.kind == HTI_ENVELOPE_AUTH) {
        return receive_auth(s, now_ms, envelope.body, payload);
    }
    if (s->state != HTI_SESSION_OPEN) {
        return receive_early(s);
    }
    switch (envelope.kind) {
    case HTI_ENVELOPE_CAST:
    case HTI_ENVELOPE_CALL:
    case HTI_ENVELOPE_REPLY:
        s->ops->on_message(s->arg, &envelope, lasting(&envelope, payload));
        return HT_OK;
    case HTI_ENVELOPE_CONTROL:
        return receive_control(s, now_ms, envelope.body);
    case HTI_ENVELOPE_EXT:
        return receive_extension(s, envelope.body);
    case HTI_ENVELOPE_FRAGMENT:
        if (reassembled) {
            return hti_session_fail(s, HT_EPROTO,
                                    "fragment inside a fragmented message");
        }
        return hti_session_fragment(s, now_ms, &envelope.u.fragment);
    case HTI_ENVELOPE_AUTH:
    case HTI_ENVELOPE_EMPTY:
        break;
    }
    return HT_OK;
}

/* ---- receiving ---- */

/* Dispatch and drop one payload. */
static ht_err
take_payload(struct hti_session *s, uint64_t now_ms, struct hti_payload *p)
{
    ht_err err = hti_session_dispatch(s, now_ms, p, false);

    hti_buf_unref(p->owner);
    return err;
}

static ht_err read_failed(struct hti_session *s, int code)
{
    if (code == HT_ETOOBIG) {
        return hti_session_fail(
            s, HT_ETOOBIG,
            "frame of %" PRIu64 " bytes is over the limit of %" PRIu64 "%s",
            s->reader.want, s->reader.limit,
            s->state == HTI_SESSION_OPEN ? "" : " before authentication");
    }
    return hti_session_fail(s, HT_ENOMEM,
                            "no memory for a frame of %" PRIu64 " bytes",
                            s->reader.want);
}

ht_err hti_session_receive(struct hti_session *session,
                           uint64_t now_ms,
                           const void *data,
                           size_t len)
{
    const uint8_t *bytes = data;
    struct hti_payload payload;
    ht_err err = HT_OK;
    int found;

    if (session->state == HTI_SESSION_CLOSED) {
        return session->err;
    }
    if (len > 0) {
        session->received_ms = now_ms;
    }
    while (err == HT_OK) {
        found = hti_reader_next(&session->reader, &bytes, &len, &payload);
        if (found == 0) {
            return HT_OK;
        }
        if (found < 0) {
            return read_failed(session, found);
        }
        err = take_payload(session, now_ms, &payload);
    }
    return err;
}

size_t hti_session_target(struct hti_session *session, uint8_t **ret_into)
{
    if (session->state == HTI_SESSION_CLOSED) {
        return 0;
    }
    return hti_reader_target(&session->reader, ret_into);
}

ht_err
hti_session_filled(struct hti_session *session, uint64_t now_ms, size_t n)
{
    struct hti_payload payload;
    int found;

    if (session->state == HTI_SESSION_CLOSED) {
        return session->err;
    }
    if (n > 0) {
        session->received_ms = now_ms;
    }
    found = hti_reader_filled(&session->reader, n, &payload);
    if (found < 0) {
        return read_failed(session, found);
    }
    return found == 0 ? HT_OK : take_payload(session, now_ms, &payload);
}

/* ---- ends ---- */

ht_err hti_session_end(struct hti_session *session)
{
    char words[HTI_QUOTE_BYTES];
    const char *peer = hti_session_peer_words(session, words);

    switch (session->state) {
    case HTI_SESSION_STATUS:
    case HTI_SESSION_CHALLENGE:
        /* ractor says why to nobody, and may lose its last words. */
        return hti_session_fail(session, HT_EAUTH,
                                "%s closed instead of sending %s: our name or "
                                "our kind is not wanted there",
                                peer, waiting_for(session));
    case HTI_SESSION_ACK:
        return hti_session_fail(session, HT_EAUTH,
                                "%s does not know our cookie", peer);
    case HTI_SESSION_START:
    case HTI_SESSION_NAME:
    case HTI_SESSION_CLIENT_STATUS:
    case HTI_SESSION_REPLY:
        return hti_session_fail(session, HT_ENOCONN,
                                "%s closed before sending %s", peer,
                                waiting_for(session));
    case HTI_SESSION_OPEN:
        return hti_session_fail(session, HT_ENOCONN,
                                hti_reader_at_boundary(&session->reader)
                                    ? "%s closed the connection"
                                    : "connection to %s was cut inside a frame",
                                peer);
    case HTI_SESSION_CLOSED:
    case HTI_SESSION_STATE_COUNT:
        break;
    }
    return session->err;
}

ht_err hti_session_tick(struct hti_session *session,
                        uint64_t now_ms,
                        uint64_t *ret_deadline_ms)
{
    const struct hti_handshake *h = session->handshake;
    uint64_t deadline;
    char words[HTI_QUOTE_BYTES];

    if (session->state == HTI_SESSION_CLOSED) {
        return session->err;
    }
    if (session->state == HTI_SESSION_OPEN) {
        return hti_heartbeat_tick(session, now_ms, ret_deadline_ms);
    }
    deadline = h->timeout_ms == UINT64_MAX
                   ? UINT64_MAX
                   : session->created_ms + h->timeout_ms;
    if (now_ms >= deadline) {
        return hti_session_fail(session, HT_ETIMEDOUT,
                                "handshake with %s took over %" PRIu64
                                " ms, waiting for %s",
                                hti_session_peer_words(session, words),
                                h->timeout_ms, waiting_for(session));
    }
    *ret_deadline_ms = deadline;
    return HT_OK;
}

void hti_session_synced(struct hti_session *session)
{
    session->synced = true;
}

/* ---- questions ---- */

enum hti_session_state hti_session_state(const struct hti_session *session)
{
    return session->state;
}

bool hti_session_is_ready(const struct hti_session *session)
{
    return session->state == HTI_SESSION_OPEN && session->synced &&
           session->peer_ready;
}

const struct hti_hello *hti_session_peer(const struct hti_session *session)
{
    return &session->peer;
}

const char *hti_session_why(const struct hti_session *session)
{
    return session->why;
}
