/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - what each side says of itself: ours is filled in, the peer's is
 * checked before anything else looks at it.
 *
 * Nothing here is proved.  It is refused when it cannot be true, or must not be
 * spoken to; the proof covers the rest, since both Hellos are in the
 * transcript. */
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "session/session_internal.h"

#define CAPABILITIES (HTI_CAP_EXTENSIONS | HTI_CAP_FRAGMENTS)

/* ---- ours ---- */

static void set_address(struct hti_own_hello *own, const char *address)
{
    own->address = hti_pb_bytes(address, strlen(address));
    own->hello.n_addresses = 1;
    own->hello.addresses = &own->address;
}

void hti_own_hello_init(struct hti_own_hello *own, const struct hti_session *s)
{
    const struct hti_identity *self = s->self;
    Hardtack__Wire__Hello *hello = &own->hello;

    hardtack__wire__node_flags__init(&own->flags);
    own->flags.has_version = true;
    own->flags.version = 1;

    hardtack__wire__hello__init(hello);
    hello->has_version = true;
    hello->version = HTI_HELLO_VERSION;
    hello->has_capabilities = true;
    hello->capabilities = CAPABILITIES;
    hello->has_instance = true;
    hello->instance = hti_pb_bytes(self->instance, HTI_INSTANCE_BYTES);
    hello->has_incarnation = self->incarnation != 0;
    hello->incarnation = self->incarnation;
    hello->has_nonce = true;
    hello->nonce = hti_pb_bytes(s->handshake->nonce, HTI_NONCE_BYTES);
    hello->has_flags = self->hidden;
    hello->flags = self->hidden ? HTI_HELLO_HIDDEN : 0;
    hello->has_frame_max = true;
    hello->frame_max = s->frame_max;
    hello->has_message_max = true;
    hello->message_max = s->message_max;
    if (!self->hidden && self->connection_string[0] != '\0') {
        set_address(own, self->connection_string);
    }
}

/* ---- the peer's ---- */

static ht_err take_text(struct hti_session *s,
                        const char *what,
                        const ProtobufCBinaryData *text,
                        char ret[HTI_NAME_BYTES_MAX + 1])
{
    char quoted[HTI_QUOTE_BYTES];

    if (text->len > HTI_NAME_BYTES_MAX) {
        return hti_session_fail(s, HT_EPROTO,
                                "peer's %s has %zu bytes, over %d", what,
                                text->len, HTI_NAME_BYTES_MAX);
    }
    if (!hti_utf8_printable(text->data, text->len)) {
        return hti_session_fail(
            s, HT_EPROTO, "peer's %s %s is not printable UTF-8", what,
            hti_quote(quoted, sizeof(quoted), text->data, text->len));
    }
    if (text->len > 0) {
        memcpy(ret, text->data, text->len);
    }
    ret[text->len] = '\0';
    return HT_OK;
}

/* Whether ours may talk to such a kind of peer. */
static ht_err check_policy(struct hti_session *s, bool hardtack)
{
    const struct hti_handshake *h = s->handshake;
    char words[HTI_QUOTE_BYTES];
    const char *peer = hti_session_peer_words(s, words);

    if (hardtack) {
        /* A ring whose key everybody knows proves nothing to anybody whom the
         * kernel does not vouch for. */
        bool secret =
            s->mode == HTI_MODE_PEERCRED || !hti_keyring_is_public(h->keys);

        return hti_keyring_count(h->keys) > 0 && secret
                   ? HT_OK
                   : hti_session_fail(s, HT_EAUTH,
                                      "%s is a Hardtack node, and no cookie is "
                                      "configured",
                                      peer);
    }
    if (!h->any_peer) {
        return hti_session_fail(
            s, HT_EAUTH,
            "%s is a plain ractor node, and policy is peers = hardtack", peer);
    }
    /* Only a Hardtack node can hold the cookie's TLS key or be vouched for by
     * the kernel as one: this is somebody between us and it. */
    if (s->mode == HTI_MODE_COOKIE || s->mode == HTI_MODE_PEERCRED) {
        return hti_session_fail(s, HT_EAUTH,
                                "%s is a plain ractor node, on a link that is "
                                "only for Hardtack nodes",
                                peer);
    }
    if (hti_keyring_ractor_count(h->keys) == 0) {
        return hti_session_fail(
            s, HT_EAUTH,
            "%s is a plain ractor node, and no ractor cookie is configured",
            peer);
    }
    return HT_OK;
}

static ht_err take_hello(struct hti_session *s, const Hardtack__Wire__Hello *m)
{
    struct hti_hello *peer = &s->peer;
    char words[HTI_QUOTE_BYTES];

    if (m->version == 0 || m->instance.len != HTI_INSTANCE_BYTES ||
        m->nonce.len != HTI_NONCE_BYTES ||
        (m->has_frame_max && m->frame_max < HTI_HANDSHAKE_BYTES_MAX)) {
        return hti_session_fail(s, HT_EPROTO,
                                "Hello of %s lacks a version, an instance, a "
                                "nonce or a sane frame limit",
                                hti_session_peer_words(s, words));
    }
    peer->hardtack = true;
    peer->version = m->version;
    peer->capabilities = m->capabilities;
    peer->incarnation = m->incarnation;
    peer->flags = m->flags;
    peer->frame_max =
        m->frame_max != 0 ? m->frame_max : (uint64_t)HTI_FRAME_BYTES_MAX;
    peer->message_max = m->message_max != 0 ? m->message_max : peer->frame_max;
    memcpy(peer->instance, m->instance.data, HTI_INSTANCE_BYTES);
    return HT_OK;
}

static ht_err check_self(struct hti_session *s)
{
    const struct hti_identity *self = s->self;
    const struct hti_hello *peer = &s->peer;
    const char *same = NULL;

    if (peer->hardtack &&
        memcmp(peer->instance, self->instance, HTI_INSTANCE_BYTES) == 0) {
        same = "instance";
    } else if (strcmp(peer->name, self->name) == 0) {
        same = "name";
    } else if (!peer->hardtack && peer->connection_string[0] != '\0' &&
               strcmp(peer->connection_string, self->connection_string) == 0) {
        /* A ractor node takes this for itself; so would it us. */
        same = "address";
    }
    if (same != NULL) {
        char quoted[HTI_QUOTE_BYTES];

        return hti_session_fail(
            s, HT_ESELF, "peer %s has our own %s",
            hti_quote(quoted, sizeof(quoted), peer->name, strlen(peer->name)),
            same);
    }
    return HT_OK;
}

static ht_err check_dialled(struct hti_session *s)
{
    const char *want = s->handshake->expected_name;
    char words[HTI_QUOTE_BYTES];
    char quoted[HTI_QUOTE_BYTES];

    if (want == NULL || strcmp(want, s->peer.name) == 0) {
        return HT_OK;
    }
    return hti_session_fail(
        s, HT_ENAME, "%s is not %s, which was dialled",
        hti_session_peer_words(s, words),
        hti_quote(quoted, sizeof(quoted), want, strlen(want)));
}

ht_err hti_session_meet(struct hti_session *s,
                        const ProtobufCBinaryData *name,
                        const ProtobufCBinaryData *connection_string,
                        uint64_t connection_id,
                        const Hardtack__Wire__Hello *hello)
{
    struct hti_hello *peer = &s->peer;
    ht_err err;

    err = take_text(s, "name", name, peer->name);
    if (err == HT_OK && name->len == 0) {
        err = hti_session_fail(s, HT_EPROTO, "peer's name is empty");
    }
    if (err == HT_OK) {
        err =
            take_text(s, "address", connection_string, peer->connection_string);
    }
    if (err != HT_OK) {
        return err;
    }
    peer->connection_id = connection_id;
    peer->frame_max = (uint64_t)HTI_FRAME_BYTES_MAX;
    err = hello != NULL ? take_hello(s, hello) : HT_OK;
    if (err == HT_OK) {
        err = check_self(s);
    }
    if (err == HT_OK) {
        err = check_policy(s, peer->hardtack);
    }
    return err == HT_OK ? check_dialled(s) : err;
}
