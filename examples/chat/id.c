/* SPDX-License-Identifier: Apache-2.0 */
#include "id.h"

#include <inttypes.h>
#include <stdio.h>

int id_compare_epoch(struct id a, struct id b)
{
    if (a.epoch != b.epoch) {
        return a.epoch < b.epoch ? -1 : 1;
    }
    return a.world == b.world ? 0 : a.world < b.world ? -1 : 1;
}

int id_compare(struct id a, struct id b)
{
    int order = id_compare_epoch(a, b);

    if (order != 0) {
        return order;
    }
    return a.number == b.number ? 0 : a.number < b.number ? -1 : 1;
}

bool id_is_none(struct id id)
{
    return id.epoch == 0 && id.world == 0 && id.number == 0;
}

const char *id_format(struct id id, char buf[ID_TEXT_MAX])
{
    snprintf(buf, ID_TEXT_MAX, "%" PRIu64 ".%08" PRIx32 ".%" PRIu64, id.epoch,
             id.world, id.number);
    return buf;
}

/* Digits of base up to the character end; moves *at behind that. */
static bool
number(const char **at, unsigned base, uint64_t max, char end, uint64_t *ret)
{
    const char *p = *at;
    uint64_t value = 0;

    for (; *p != end; p++) {
        unsigned digit = *p >= '0' && *p <= '9'   ? (unsigned)(*p - '0')
                         : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a') + 10
                                                  : base;

        if (digit >= base || value > (max - digit) / base) {
            return false;
        }
        value = value * base + digit;
    }
    if (p == *at) {
        return false;
    }
    *at = p + (end != '\0');
    *ret = value;
    return true;
}

bool id_parse(const char *text, struct id *ret_id)
{
    struct id id = {0, 0, 0};
    uint64_t world = 0;

    if (text[0] != '\0' && (!number(&text, 10, UINT64_MAX, '.', &id.epoch) ||
                            !number(&text, 16, UINT32_MAX, '.', &world) ||
                            !number(&text, 10, UINT64_MAX, '\0', &id.number))) {
        return false;
    }
    id.world = (uint32_t)world;
    *ret_id = id;
    return true;
}
