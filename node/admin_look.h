/* SPDX-License-Identifier: Apache-2.0 */
/* admin_look.h - a node in numbers, and the actors that are worth a look.
 *
 * Thread: any.
 */
#ifndef HTI_NODE_ADMIN_LOOK_H
#define HTI_NODE_ADMIN_LOOK_H

#include <hardtack.h>

#include "proto/admin/admin.pb-c.h"

/* Actors in each list of a look. */
#define HTI_ADMIN_LOOK_ACTORS_MAX 100

/* The node in numbers; free with hti_admin_message_free(). NULL: no memory. */
Hardtack__Admin__StatusReply *hti_admin_status(ht_node *node,
                                               uint64_t started_ns);
/* The same, and lists. */
Hardtack__Admin__LookReply *
hti_admin_look(ht_node *node,
               uint64_t started_ns,
               const Hardtack__Admin__LookRequest *request);

#endif /* HTI_NODE_ADMIN_LOOK_H */
