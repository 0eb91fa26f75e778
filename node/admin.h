/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h - the administration service: the actor "hardtack.admin".
 *
 * It answers proto/admin/admin.proto for the hardtack program and for other
 * nodes' administration actors.  The name is not advertised, and a caller that
 * is not a Hardtack peer (or of this node) is denied.
 *
 * It is untyped underneath rather than a generated service, because it must
 * know who called before it unpacks anything.
 *
 * Thread: hti_admin_start(), any.  Lifetime: the actor ends with its node.
 */
#ifndef HTI_NODE_ADMIN_H
#define HTI_NODE_ADMIN_H

#include <hardtack.h>

#define HTI_ADMIN_NAME "hardtack.admin"
/* Names of Hardtack's own actors begin so. */
#define HTI_OWN_PREFIX "hardtack."
/* Entries of one page, whatever is asked for. */
#define HTI_ADMIN_PAGE_MAX 1000
/* Members of one group in a page. */
#define HTI_ADMIN_MEMBERS_MAX 256

/* Start the actor; for nodes that are not hidden, once the cluster is there. */
HT_MUSTUSE ht_err hti_admin_start(ht_node *node);

#endif /* HTI_NODE_ADMIN_H */
