/* SPDX-License-Identifier: Apache-2.0 */
/* route.h - what `to` means.
 *
 *   group:NAME       the members of a process group
 *   NODE@HOST:NAME   the actor of that name on that node
 *   NAME             the actor of that name: here, or wherever there is one
 *
 * Pure.
 */
#ifndef GW_ROUTE_H
#define GW_ROUTE_H

#include <hardtack/base.h>

#include "gateway/message.h"

enum gw_route_kind {
    GW_ROUTE_NAME,
    GW_ROUTE_NODE,
    GW_ROUTE_GROUP,
};

struct gw_route {
    enum gw_route_kind kind;
    const char *node; /* of GW_ROUTE_NODE, else "" */
    const char *name; /* of the actor or the group */
    char text[GW_TO_MAX + 1];
};

/* NULL, or what is wrong. */
const char *gw_route_parse(struct gw_route *route, const char *to);

#endif /* GW_ROUTE_H */
