/* SPDX-License-Identifier: Apache-2.0 */
/* policy.h - who may reach what.  Nothing that no rule allows.
 *
 *   name              an actor of that name, on whatever node
 *   node@host:name    the one on that node
 *   group:name        the members of a group, and those who subscribed to it
 *
 * A rule's target may begin with `send` or `subscribe` and a space, and is then
 * about that only; it may end in `*`.  What is Hardtack's own ("hardtack.") is
 * matched by no `*`.
 *
 * Thread: any; immutable once made.
 */
#ifndef GW_POLICY_H
#define GW_POLICY_H

#include "gateway/gateway_internal.h"

#define GW_RULES_MAX 4096

enum gw_verb {
    GW_SEND = 1,
    GW_SUBSCRIBE = 2,
};

/* identity NULL: nobody; one whose token has expired is nobody too. */
bool gw_policy_allows(const struct gw_policy *policy,
                      const struct gw_identity *identity,
                      enum gw_verb verb,
                      const char *target,
                      uint64_t now_s);

#endif /* GW_POLICY_H */
