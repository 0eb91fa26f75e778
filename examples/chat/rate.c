/* SPDX-License-Identifier: Apache-2.0 */
#include "rate.h"

uint32_t rate_take(struct rate *rate, uint64_t now_ms)
{
    uint64_t from = rate->full_ms > now_ms ? rate->full_ms : now_ms;
    uint64_t full = from + rate->interval_ms;
    uint64_t limit = now_ms + (uint64_t)rate->burst * rate->interval_ms;

    if (full > limit) {
        return (uint32_t)(full - limit);
    }
    rate->full_ms = full;
    return 0;
}
