/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - the actor "hardtack.gateway": what the dashboards of other nodes
 * ask of this gateway.  Hardtack nodes reach it, ractor nodes and clients do
 * not.
 */
#ifndef GW_STATUS_H
#define GW_STATUS_H

#include "gateway/gateway_internal.h"

/* Another gateway of the node may have the name: then that one tells. */
HT_MUSTUSE ht_err gw_status_start(struct ht_gateway *gateway);

#endif /* GW_STATUS_H */
