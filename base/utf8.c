/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* The rows of Unicode's table 3-7, "Well-Formed UTF-8 Byte Sequences": only the
 * second byte has a range that depends on the first. */
size_t hti_utf8_next(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint8_t low = 0x80, high = 0xbf;
    size_t n;

    if (len == 0) {
        return 0;
    }
    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        n = 3;
        low = p[0] == 0xe0 ? 0xa0 : low;   /* overlong */
        high = p[0] == 0xed ? 0x9f : high; /* surrogates */
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;
        low = p[0] == 0xf0 ? 0x90 : low;   /* overlong */
        high = p[0] == 0xf4 ? 0x8f : high; /* above U+10FFFF */
    } else {
        return 0;
    }
    if (len < n || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

bool hti_utf8_valid(const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > 0) {
        size_t n;

        /* Most strings here are names: eight ASCII bytes at a time. */
        while (len >= 8) {
            uint64_t word;

            memcpy(&word, p, 8);
            if ((word & UINT64_C(0x8080808080808080)) != 0) {
                break;
            }
            p += 8;
            len -= 8;
        }
        if (len == 0) {
            break;
        }
        n = hti_utf8_next(p, len);
        if (n == 0) {
            return false;
        }
        p += n;
        len -= n;
    }
    return true;
}

/* What ends a line, or turns the direction of what follows, in General
 * Punctuation: U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069. */
static bool is_unruly(const uint8_t c[3])
{
    return c[0] == 0xe2 &&
           ((c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f ||
                              (c[2] >= 0xa8 && c[2] <= 0xae))) ||
            (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
}

/* Control characters of ASCII, of Latin 1 and of Unicode.  text is UTF-8. */
static bool has_control(const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] == 0x7f) {
            return true;
        }
        if (text[i] == 0xc2 && i + 1 < len && text[i + 1] < 0xa0) {
            return true;
        }
        if (len - i >= 3 && is_unruly(text + i)) {
            return true;
        }
    }
    return false;
}

bool hti_utf8_printable(const void *data, size_t len)
{
    return hti_utf8_valid(data, len) && !has_control(data, len);
}
