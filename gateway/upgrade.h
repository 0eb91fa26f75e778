/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade.h - from an HTTP request to a WebSocket (RFC 6455, section 4.2). */
#ifndef GW_UPGRADE_H
#define GW_UPGRADE_H

#include "gateway/conn.h"

#define GW_PROTOCOL_JSON "hardtack.json.v1"
#define GW_PROTOCOL_PB   "hardtack.pb.v1"

/* conn->http asks for one, and its origin is allowed.  Upgrades, or answers why
 * not. */
void gw_upgrade(struct gw_conn *conn);

#endif /* GW_UPGRADE_H */
