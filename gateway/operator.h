/* SPDX-License-Identifier: Apache-2.0 */
/* operator.h - the actor "hardtack.operator": what a token for that name may
 * do to the cluster.  Each deed is logged with who asked for it.
 */
#ifndef GW_OPERATOR_H
#define GW_OPERATOR_H

#include "gateway/gateway_internal.h"

#define GW_OPERATOR_NAME "hardtack.operator"

HT_MUSTUSE ht_err gw_operator_start(struct ht_gateway *gateway);

#endif /* GW_OPERATOR_H */
