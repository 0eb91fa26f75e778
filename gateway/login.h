/* SPDX-License-Identifier: Apache-2.0 */
/* login.h - who a client is: the token that it gave, and the keys that open it,
 * which a reload may replace.
 *
 * Thread: keys any; an identity that of its client.
 */
#ifndef GW_LOGIN_H
#define GW_LOGIN_H

#include <hardtack/token.h>

#include "gateway/gateway_internal.h"

struct gw_identity {
    ht_token token;
};

/* Seconds since 1970. */
uint64_t gw_now_s(void);

#endif /* GW_LOGIN_H */
