/* SPDX-License-Identifier: Apache-2.0 */
/* door.h - the actor "chat" of every node, to which a client that is logged in
 * says Attach.  Who it is the gateway knows, from its token; the door asks. */
#ifndef CHAT_DOOR_H
#define CHAT_DOOR_H

#include <hardtack.h>

/* world: of the same node. */
HT_MUSTUSE ht_err door_start(ht_node *node, ht_ref world);

#endif /* CHAT_DOOR_H */
