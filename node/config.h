/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - what a node was told: a checked copy of an ht_config with every
 * default filled in.
 *
 * Lifetime: the node's; nothing in it changes.
 */
#ifndef HTI_NODE_CONFIG_H
#define HTI_NODE_CONFIG_H

#include <hardtack/node.h>
#include <sys/queue.h>

#include "node/address.h"
#include "node/cookie.h"
#include "session/session.h"

/* Somewhere to listen, decided. */
struct hti_listen_config {
    bool is_unix;
    const char *address; /* NULL: all; an IP; a path */
    int port;            /* 0: any */
    unsigned encryption; /* HT_ENCRYPT_BIT()s */
    bool any_peer;
    bool cert_optional;
    unsigned unix_mode;
    bool admin;
};

struct hti_settings {
    ht_config c;     /* defaults filled in; the arrays below instead of its */
    char *full_name; /* name@host */
    struct hti_listen_config *listens;
    size_t listens_count;
    ht_peer_config *peers;
    size_t peers_count;
    unsigned scheds;
    struct hti_cookies cookie, ractor_cookie; /* that were given, not read */
    bool needs_cookie; /* some listener or peer speaks with one */
    STAILQ_HEAD(, hti_settings_string) strings;
};

#define HTI_WHY_BYTES 256

/* HT_EINVAL, HT_ECONFIG, HT_ENOMEM; why says what is wrong, in words. */
HT_MUSTUSE ht_err hti_settings_new(const ht_config *config,
                                   struct hti_settings **ret_settings,
                                   char *why,
                                   size_t why_len);
void hti_settings_free(struct hti_settings *settings); /* NULL is fine */

/* The cookies, from file, environment or configuration, as keys.  Blocks. Also
 * HT_EACCES, HT_ENOENT, HT_EIO. */
HT_MUSTUSE ht_err hti_settings_keys(const struct hti_settings *settings,
                                    struct hti_keyring **ret_keys,
                                    char *why,
                                    size_t why_len);
unsigned hti_settings_encryption_bits(const struct hti_settings *settings);

#endif /* HTI_NODE_CONFIG_H */
