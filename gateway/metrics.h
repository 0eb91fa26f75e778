/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - the node and its gateway in Prometheus' text format. */
#ifndef GW_METRICS_H
#define GW_METRICS_H

#include <stddef.h>

#include "gateway/loop.h"
#include "proto/dashboard.pb-c.h"

/* Of all loops together. Any thread. */
uint64_t gw_counter_sum(const struct ht_gateway *gateway,
                        enum gw_counter counter);
uint64_t gw_gauge_sum(const struct ht_gateway *gateway, enum gw_gauge gauge);

/* store: what the node's member of the replicated store says; NULL: there is
 * none, or it does not answer.  The caller's, by free(). NULL: no memory. Any
 * thread. */
char *gw_metrics(struct ht_gateway *gateway,
                 const Hardtack__Dashboard__StoreAnswer *store,
                 size_t *ret_len);

#endif /* GW_METRICS_H */
