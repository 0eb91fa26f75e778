/* SPDX-License-Identifier: Apache-2.0 */
/* user.h - a user, from the first login until nobody has been connected for a
 * while.
 *
 *   ATTACHED --connection ends--> AWAY --linger--> (end)
 *      ^  \--Enter: kicks the old--/  \--Enter--> ATTACHED
 *
 * It keeps what must not go with a connection: rates, private messages, guild.
 * What is said in channels it gets from its world, as deliveries that it only
 * hands on.  After an Enter it drops them until the world says Turn: from then
 * on they are what the new connection needs, first what it missed.
 *
 * A client that does not take what it is sent is closed; it comes back and says
 * what it saw last.
 *
 * Only its connection may speak for it, and only worlds may bring something.
 */
#ifndef CHAT_USER_H
#define CHAT_USER_H

#include <hardtack.h>

struct user_config {
    ht_ref world; /* its own */
    const char *user;
    const char *guild; /* "": none */
    uint64_t guild_version;
    uint64_t since_ms;
    uint32_t linger_ms; /* without a connection */
};

/* Copies. In a turn of the world. Errors: those of ht_spawn(). */
HT_MUSTUSE ht_err user_start(ht_node *node,
                             const struct user_config *config,
                             ht_ref *ret_ref);

#endif /* CHAT_USER_H */
