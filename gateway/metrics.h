/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - the node and its gateway in Prometheus' text format. */
#ifndef GW_METRICS_H
#define GW_METRICS_H

#include <stddef.h>

#include "gateway/loop.h"

/* Of all loops together. Any thread. */
uint64_t gw_counter_sum(const struct ht_gateway *gateway,
                        enum gw_counter counter);
uint64_t gw_gauge_sum(const struct ht_gateway *gateway, enum gw_gauge gauge);

/* The caller's, by free(). NULL: no memory. Any thread. */
char *gw_metrics(struct ht_gateway *gateway, size_t *ret_len);

#endif /* GW_METRICS_H */
