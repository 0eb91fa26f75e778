/* SPDX-License-Identifier: Apache-2.0 */
/* rate.h - how often one may speak: a bucket that holds so many at once and
 * fills again with time.  Pure. */
#ifndef CHAT_RATE_H
#define CHAT_RATE_H

#include <stdint.h>

struct rate {
    uint32_t burst;       /* at once */
    uint32_t interval_ms; /* until there is one more */
    uint64_t full_ms;     /* when it is full again; 0: it is */
};

/* Take one. Returns 0, or after how many ms there will be one. */
uint32_t rate_take(struct rate *rate, uint64_t now_ms);

#endif /* CHAT_RATE_H */
