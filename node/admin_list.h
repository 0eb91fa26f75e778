/* SPDX-License-Identifier: Apache-2.0 */
/* admin_list.h - pages of what a node knows: peers, groups, actors.
 *
 * A page is collected by copying under the node's locks, then sorted, cut and
 * formatted outside them.  Each function returns a message that the caller
 * frees with its free_unpacked(); NULL: no memory.
 *
 * Thread: any.
 */
#ifndef HTI_NODE_ADMIN_LIST_H
#define HTI_NODE_ADMIN_LIST_H

#include <hardtack.h>

#include "proto/admin/admin.pb-c.h"

uint64_t hti_admin_count_groups(ht_node *node);
void hti_admin_count_nodes(ht_node *node,
                           uint64_t *ret_known,
                           uint64_t *ret_ready);

Hardtack__Admin__NodesReply *
hti_admin_nodes(ht_node *node, const Hardtack__Admin__PageRequest *request);
Hardtack__Admin__GroupsReply *
hti_admin_groups(ht_node *node, const Hardtack__Admin__GroupsRequest *request);
Hardtack__Admin__ActorsReply *
hti_admin_actors(ht_node *node, const Hardtack__Admin__PageRequest *request);

/* An actor as it is listed, free with hti_admin_message_free(); name as
 * info->name. NULL: no memory. */
Hardtack__Admin__Actor *hti_admin_actor(ht_node *node,
                                        const ht_actor_info *info);

#endif /* HTI_NODE_ADMIN_LIST_H */
