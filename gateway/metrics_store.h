/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_store.h - this node's member of the replicated store in Prometheus'
 * text format.  Pure. */
#ifndef GW_METRICS_STORE_H
#define GW_METRICS_STORE_H

#include <stdio.h>

#include "proto/dashboard.pb-c.h"

void gw_metrics_store(FILE *out, const Hardtack__Dashboard__StoreAnswer *store);

#endif /* GW_METRICS_STORE_H */
