/* SPDX-License-Identifier: Apache-2.0 */
/* config_places.c - where a node listens and whom it dials. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "node/config_internal.h"

#define LISTENERS_MAX 64
#define SEEDS_MAX     4096

/* ---- listeners ---------------------------------------------------------- */

static bool is_ip(const char *text)
{
    struct in6_addr in6;
    struct in_addr in4;

    return inet_pton(AF_INET, text, &in4) == 1 ||
           inet_pton(AF_INET6, text, &in6) == 1;
}

static ht_err listen_address(struct hti_settings *s,
                             const ht_listener_config *from,
                             struct hti_listen_config *to,
                             const struct hti_why *why)
{
    struct sockaddr_un path;
    const char *wrong;
    size_t prefix = sizeof(HTI_UNIX_PREFIX) - 1;

    to->address = from->address;
    if (hti_settings_own(s, &to->address) != HT_OK) {
        return HT_ENOMEM;
    }
    if (to->address != NULL &&
        strncmp(to->address, HTI_UNIX_PREFIX, prefix) == 0) {
        to->is_unix = true;
        to->address += prefix;
        if (hti_address_unix(to->address, &path, &wrong) != HT_OK) {
            return hti_why_say(why, HT_ECONFIG, "listener %s: %s",
                               from->address, wrong);
        }
        return HT_OK;
    }
    if (to->address != NULL && !is_ip(to->address)) {
        return hti_why_say(why, HT_ECONFIG,
                           "listener %s: expected an IP address or unix:/path",
                           from->address);
    }
    if (from->admin) {
        return hti_why_say(why, HT_ECONFIG,
                           "admin is for unix: listeners only");
    }
    if (from->port != HT_PORT_ANY && (from->port < 1 || from->port > 65535)) {
        return hti_why_say(why, HT_ECONFIG,
                           "port %d of a listener is not 1 to 65535",
                           from->port);
    }
    to->port = from->port == HT_PORT_ANY ? 0 : from->port;
    return HT_OK;
}

static ht_err add_listener(struct hti_settings *s,
                           const ht_listener_config *from,
                           const struct hti_why *why)
{
    const unsigned all = HT_ENCRYPT_BIT(HT_ENCRYPT_COOKIE) |
                         HT_ENCRYPT_BIT(HT_ENCRYPT_TLS) |
                         HT_ENCRYPT_BIT(HT_ENCRYPT_NONE);
    struct hti_listen_config *to = &s->listens[s->listens_count];
    ht_err err = listen_address(s, from, to, why);

    if (err != HT_OK) {
        return err;
    }
    if (from->encryption & ~all) {
        return hti_why_say(why, HT_ECONFIG,
                           "encryption of a listener has an unknown bit");
    }
    if ((int)from->peers < HT_PEERS_DEFAULT ||
        (int)from->peers > HT_PEERS_ANY ||
        (int)from->client_cert < HT_CLIENT_CERT_DEFAULT ||
        (int)from->client_cert > HT_CLIENT_CERT_OPTIONAL) {
        return hti_why_say(why, HT_ECONFIG, "a listener has an unknown policy");
    }
    if (from->unix_mode & ~0777u) {
        return hti_why_say(why, HT_ECONFIG, "unix_mode is more than 0777");
    }
    to->encryption = from->encryption;
    /* A socket for administration takes nobody else unless told so. */
    if (to->encryption == 0 && !from->admin) {
        to->encryption = hti_settings_encryption_bits(s);
    }
    if ((to->encryption & HT_ENCRYPT_BIT(HT_ENCRYPT_TLS)) &&
        s->c.tls_cert_file == NULL) {
        return hti_why_say(
            why, HT_ECONFIG,
            "a listener speaks tls, and tls_cert_file is not set");
    }
    to->any_peer =
        (from->peers == HT_PEERS_DEFAULT ? s->c.peers : from->peers) ==
        HT_PEERS_ANY;
    /* Hardtack nodes have certificates: no others are optional's. */
    to->cert_optional =
        from->client_cert == HT_CLIENT_CERT_OPTIONAL && to->any_peer;
    to->unix_mode = from->unix_mode == 0 ? 0600 : from->unix_mode;
    to->admin = from->admin;
    if (to->encryption != 0) {
        s->needs_cookie = true;
    }
    s->listens_count++;
    return HT_OK;
}

ht_err hti_settings_add_listeners(struct hti_settings *s,
                                  const struct hti_why *why)
{
    ht_listener_config all = {.port = s->c.port};
    ht_err err = HT_OK;

    if (s->c.listeners_count > LISTENERS_MAX) {
        return hti_why_say(why, HT_ECONFIG, "more than %d listeners",
                           LISTENERS_MAX);
    }
    s->listens = calloc(s->c.listeners_count + 1, sizeof(*s->listens));
    if (s->listens == NULL) {
        return HT_ENOMEM;
    }
    if (s->c.port != 0) {
        err = add_listener(s, &all, why);
    }
    for (size_t i = 0; i < s->c.listeners_count && err == HT_OK; i++) {
        err = add_listener(s, &s->c.listeners[i], why);
    }
    return err;
}

/* ---- seeds -------------------------------------------------------------- */

static ht_err add_peer(struct hti_settings *s,
                       const ht_peer_config *from,
                       const struct hti_why *why)
{
    ht_peer_config *to = &s->peers[s->peers_count];
    struct hti_address address;
    const char *wrong;

    *to = *from;
    if (to->address == NULL) {
        return hti_why_say(why, HT_ECONFIG, "a peer has no address");
    }
    if (hti_address_parse(to->address, &address, &wrong) != HT_OK) {
        return hti_why_say(why, HT_ECONFIG, "peer %s: %s", to->address, wrong);
    }
    if (!hti_encryption_ok(to->encryption) ||
        (int)to->peers < HT_PEERS_DEFAULT || (int)to->peers > HT_PEERS_ANY) {
        return hti_why_say(why, HT_ECONFIG, "peer %s: unknown policy",
                           to->address);
    }
    if (to->encryption == HT_ENCRYPT_DEFAULT) {
        to->encryption = s->c.encryption;
    }
    if (to->peers == HT_PEERS_DEFAULT) {
        to->peers = s->c.peers;
    }
    if (to->encryption == HT_ENCRYPT_TLS && s->c.tls_cert_file == NULL) {
        return hti_why_say(
            why, HT_ECONFIG,
            "peer %s is dialled with tls, and tls_cert_file is not set",
            to->address);
    }
    s->needs_cookie = true;
    s->peers_count++;
    if (hti_settings_own(s, &to->address) != HT_OK ||
        hti_settings_own(s, &to->name) != HT_OK ||
        hti_settings_own(s, &to->server_name) != HT_OK) {
        return HT_ENOMEM;
    }
    return HT_OK;
}

ht_err hti_settings_add_peers(struct hti_settings *s, const struct hti_why *why)
{
    ht_err err = HT_OK;

    if (s->c.peers_list_count > SEEDS_MAX) {
        return hti_why_say(why, HT_ECONFIG, "more than %d peers", SEEDS_MAX);
    }
    s->peers = calloc(s->c.peers_list_count + 1, sizeof(*s->peers));
    if (s->peers == NULL) {
        return HT_ENOMEM;
    }
    for (size_t i = 0; i < s->c.peers_list_count && err == HT_OK; i++) {
        err = add_peer(s, &s->c.peers_list[i], why);
    }
    return err;
}
