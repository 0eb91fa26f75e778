/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - the node and its gateway in Prometheus' text format. */
#ifndef GW_METRICS_H
#define GW_METRICS_H

#include <stddef.h>

struct ht_gateway;

/* The caller's, by free(). NULL: no memory. Any thread. */
char *gw_metrics(struct ht_gateway *gateway, size_t *ret_len);

#endif /* GW_METRICS_H */
