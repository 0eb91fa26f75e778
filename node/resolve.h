/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.h - host names to addresses, without holding up a loop.
 *
 * getaddrinfo() blocks for as long as it likes and cannot be cancelled, so it
 * runs in threads of its own, started when first needed, at most
 * HTI_RESOLVERS_MAX.  They are detached: a node that is freed does not wait for
 * a name server; what they hold is reference-counted.
 *
 * Thread: any, unless said otherwise.
 */
#ifndef HTI_NODE_RESOLVE_H
#define HTI_NODE_RESOLVE_H

#include <netdb.h>

#include "node/loop.h"

#define HTI_RESOLVERS_MAX 4
#define HTI_LOOKUPS_MAX   1024 /* waiting */

struct hti_resolver;
struct hti_lookup;

/* HT_ENOMEM. */
HT_MUSTUSE ht_err hti_resolver_new(struct hti_resolver **ret_resolver);
void hti_resolver_free(struct hti_resolver *resolver); /* NULL is fine */

/* done runs on loop, exactly once, unless the lookup is cancelled: addresses
 * are lent, NULL with gai's error code if there is none.
 * HT_ENOMEM; HT_EBUSY: too many wait. */
HT_MUSTUSE ht_err hti_lookup_start(struct hti_resolver *resolver,
                                   struct hti_loop *loop,
                                   const char *host,
                                   int port,
                                   void (*done)(void *arg,
                                                const struct addrinfo *found,
                                                int gai_error),
                                   void *arg,
                                   struct hti_lookup **ret_lookup);
/* On its loop, before done has run.  False: too late, done is on its way and
 * will run. */
bool hti_lookup_cancel(struct hti_lookup *lookup);

#endif /* HTI_NODE_RESOLVE_H */
