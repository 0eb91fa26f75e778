/* SPDX-License-Identifier: Apache-2.0 */
/* hub.h - groups that clients subscribed to.
 *
 * A hub is an actor: one for each group of which a loop has subscribers.  It is
 * a member of the group in HT_GATEWAY_SCOPE on their behalf, so a message to
 * ten thousand subscribers reaches a loop once and is encoded once an encoding.
 * The scope is one of its own, since a member of the group itself would be
 * given a share of its calls.
 *
 * Thread: one loop's.  Lifetime: a hub ends with its last subscriber.
 */
#ifndef GW_HUB_H
#define GW_HUB_H

#include "gateway/messages.h"
#include "gateway/policy.h"

struct gw_hub;

struct gw_sub {
    LIST_ENTRY(gw_sub) of_client;
    LIST_ENTRY(gw_sub) of_hub;
    struct gw_hub *hub; /* NULL: it was killed */
    struct gw_client *client;
    bool members; /* is told who joins and leaves */
};

/* HT_OK also if it is subscribed already. Else failure has words. */
HT_MUSTUSE ht_err gw_hub_join(struct gw_client *client,
                              const char *group,
                              bool members,
                              struct gw_failure *failure);
/* Nothing happens if it is not subscribed. */
void gw_hub_leave(struct gw_client *client, const char *group);
void gw_hub_leave_all(struct gw_messages *messages);

/* Cast a client's message to those who subscribed to a group, wherever they
 * are; returns how many hubs took it. */
size_t gw_publish(struct gw_client *client,
                  const char *group,
                  const struct gw_message *in);

/* HT_OK; HT_EAUTH: not without a token; HT_EDENIED.  target is as in policy.h.
 * Counts. */
HT_MUSTUSE ht_err gw_may(struct gw_client *client,
                         enum gw_verb verb,
                         const char *target,
                         struct gw_failure *failure);

#endif /* GW_HUB_H */
