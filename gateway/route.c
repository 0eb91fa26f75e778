/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/route.h"

#include <string.h>

#define GROUP "group:"

const char *gw_route_parse(struct gw_route *route, const char *to)
{
    size_t len = strlen(to);
    char *colon;

    if (len > GW_TO_MAX) {
        return "is too long";
    }
    memcpy(route->text, to, len + 1);
    route->kind = GW_ROUTE_NAME;
    route->node = "";
    route->name = route->text;
    if (strncmp(to, GROUP, strlen(GROUP)) == 0) {
        route->kind = GW_ROUTE_GROUP;
        route->name = route->text + strlen(GROUP);
        return route->name[0] != '\0' ? NULL : "names no group";
    }
    /* A node's name has an @ in it; an actor's may have a colon. */
    colon = strchr(route->text, ':');
    if (colon != NULL &&
        memchr(route->text, '@', (size_t)(colon - route->text)) != NULL) {
        *colon = '\0';
        route->kind = GW_ROUTE_NODE;
        route->node = route->text;
        route->name = colon + 1;
    }
    return route->name[0] != '\0' ? NULL : "names no actor";
}
