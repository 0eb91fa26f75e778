/* SPDX-License-Identifier: Apache-2.0 */
/* world.h - the world: one actor a node, and all of them are one chat.
 *
 * It knows who is there and who is in which guild (roster.h), starts the users
 * who log in here, keeps the history (history.h), orders with the others what
 * is said (order.h), and hands it to its users.
 *
 * Worlds find each other in the group "chat-worlds".  A world that joins is
 * greeted, and greets back; from then on they are neighbours, until one of them
 * or the link between them ends.
 *
 * A user who logs in may have an actor already, here or elsewhere; only the
 * oldest world lets a new one start, so there are not two.  (Worlds that cannot
 * see each other can start one each; when they meet, the later stays.)
 */
#ifndef CHAT_WORLD_H
#define CHAT_WORLD_H

#include <hardtack.h>

struct world_config {
    const char *gateway; /* host:port for clients, "": not known yet */
    uint32_t linger_ms;  /* how long a user stays without a connection */
};

/* Copies. */
HT_MUSTUSE ht_err world_start(ht_node *node,
                              const struct world_config *config,
                              ht_ref *ret_ref);

#endif /* CHAT_WORLD_H */
