/* SPDX-License-Identifier: Apache-2.0 */
/* dashboard.h - the actor "hardtack.dashboard", which looks at the whole
 * cluster again and again (survey/asker.h) and shows it to who asks
 * (proto/dashboard.proto); and the page that does.
 *
 * Who has the last picture waits for the next one.
 */
#ifndef GW_DASHBOARD_H
#define GW_DASHBOARD_H

#include "gateway/gateway_internal.h"

#define GW_DASHBOARD_NAME "hardtack.dashboard"

/* Nothing, if the configuration wants none. */
HT_MUSTUSE ht_err gw_dashboard_start(struct ht_gateway *gateway);

#endif /* GW_DASHBOARD_H */
