/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"
#include "tests/lib/check.h"

static bool valid(const char *s)
{
    return hti_utf8_valid(s, strlen(s));
}

static void test_well_formed_text_is_taken(void **state)
{
    (void)state;
    CHECK(hti_utf8_valid(NULL, 0));
    CHECK(valid("plain ascii, longer than eight bytes"));
    CHECK(valid("\xc2\x80 \xdf\xbf"));
    CHECK(valid("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf"));
    CHECK(valid("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
    CHECK(hti_utf8_valid("a\0b", 3));
}

static void test_what_rust_refuses_is_refused(void **state)
{
    (void)state;
    CHECK(!valid("\x80"));
    CHECK(!valid("\xc0\x80"));         /* overlong NUL */
    CHECK(!valid("\xc1\xbf"));         /* overlong */
    CHECK(!valid("\xe0\x9f\xbf"));     /* overlong */
    CHECK(!valid("\xf0\x8f\xbf\xbf")); /* overlong */
    CHECK(!valid("\xed\xa0\x80"));     /* a surrogate */
    CHECK(!valid("\xf4\x90\x80\x80")); /* above U+10FFFF */
    CHECK(!valid("\xf5\x80\x80\x80"));
    CHECK(!valid("\xff"));
    CHECK(!valid("\xe2\x82"));     /* cut */
    CHECK(!valid("\xf0\x9f\x98")); /* cut */
    CHECK(!valid("\xc2\x41"));
}

/* The eight-byte path must see a bad byte wherever it stands. */
static void test_a_bad_byte_is_found_at_every_offset(void **state)
{
    (void)state;
    for (size_t at = 0; at < 40; at++) {
        char text[40];

        memset(text, 'x', sizeof text);
        CHECK(hti_utf8_valid(text, sizeof text));
        text[at] = (char)0xff;
        CHECK(!hti_utf8_valid(text, sizeof text));
    }
}

/* Against a decoder written the other way round: decode, then look. */
static bool slow_valid(const unsigned char *p, size_t len)
{
    size_t i = 0;

    while (i < len) {
        unsigned n = p[i] < 0x80   ? 1
                     : p[i] < 0xc0 ? 0
                     : p[i] < 0xe0 ? 2
                     : p[i] < 0xf0 ? 3
                     : p[i] < 0xf8 ? 4
                                   : 0;
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t c;

        if (n == 0 || i + n > len) {
            return false;
        }
        c = n == 1 ? p[i] : p[i] & (0xffu >> (n + 1));
        for (unsigned k = 1; k < n; k++) {
            if ((p[i + k] & 0xc0) != 0x80) {
                return false;
            }
            c = c << 6 | (p[i + k] & 0x3f);
        }
        if ((n > 1 && c < least[n]) || c > 0x10ffff ||
            (c >= 0xd800 && c <= 0xdfff)) {
            return false;
        }
        i += n;
    }
    return true;
}

static void test_every_three_bytes_agree_with_a_decoder(void **state)
{
    (void)state;
    for (uint32_t v = 0; v < 1u << 24; v += 7) {
        unsigned char b[4] = {(unsigned char)(v >> 16), (unsigned char)(v >> 8),
                              (unsigned char)v, 0x80};

        CHECK(hti_utf8_valid(b, 3) == slow_valid(b, 3));
        CHECK(hti_utf8_valid(b, 4) == slow_valid(b, 4));
    }
}

CHECK_MAIN(cmocka_unit_test(test_well_formed_text_is_taken),
           cmocka_unit_test(test_what_rust_refuses_is_refused),
           cmocka_unit_test(test_a_bad_byte_is_found_at_every_offset),
           cmocka_unit_test(test_every_three_bytes_agree_with_a_decoder))
