/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/redial.h"

void hti_redial_init(struct hti_redial *redial,
                     uint32_t min_ms,
                     uint32_t max_ms)
{
    redial->min_ms = min_ms != 0 ? min_ms : 100;
    redial->max_ms = max_ms != 0 ? max_ms : 30000;
    if (redial->max_ms < redial->min_ms) {
        redial->max_ms = redial->min_ms;
    }
    redial->failures = 0;
}

void hti_redial_reset(struct hti_redial *redial)
{
    redial->failures = 0;
}

void hti_redial_slow(struct hti_redial *redial)
{
    redial->failures = 64; /* a doubling each, of a 32-bit number */
}

uint32_t hti_redial_next(struct hti_redial *redial, uint64_t random)
{
    uint64_t base = redial->min_ms;

    for (unsigned i = 0; i < redial->failures && base < redial->max_ms; i++) {
        base *= 2;
    }
    if (base >= redial->max_ms) {
        base = redial->max_ms;
    } else {
        redial->failures++;
    }
    base = base / 2 + random % (base + 1);
    return base < UINT32_MAX ? (uint32_t)base : UINT32_MAX;
}
