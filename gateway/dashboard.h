/* SPDX-License-Identifier: Apache-2.0 */
/* dashboard.h - the actor "hardtack.dashboard", which looks at the whole
 * cluster again and again (survey.h) and shows it to who asks
 * (proto/dashboard.proto); and the page that does.
 *
 * A round asks our node, then its peers, then theirs through them: each once,
 * at the same time, with a time-out.  Rounds do not overlap.  Who has the last
 * picture waits for the next one.
 */
#ifndef GW_DASHBOARD_H
#define GW_DASHBOARD_H

#include "gateway/gateway_internal.h"

#define GW_DASHBOARD_NAME "hardtack.dashboard"

/* Nothing, if the configuration wants none. */
HT_MUSTUSE ht_err gw_dashboard_start(struct ht_gateway *gateway);

#endif /* GW_DASHBOARD_H */
