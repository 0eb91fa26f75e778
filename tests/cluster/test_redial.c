/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"

#include "cluster/redial.h"

static void test_doubles_up_to_the_most(void **state)
{
    const uint32_t bases[] = {100,  200,   400,   800,   1600, 3200,
                              6400, 12800, 25600, 30000, 30000};
    struct hti_redial least, most;

    (void)state;
    hti_redial_init(&least, 0, 0);
    hti_redial_init(&most, 0, 0);
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        /* random 0 is the least, base the most. */
        assert_int_equal(hti_redial_next(&least, 0), bases[i] / 2);
        assert_int_equal(hti_redial_next(&most, bases[i]),
                         bases[i] / 2 + bases[i]);
    }
}

static void test_jitter_stays_within_half(void **state)
{
    struct hti_redial redial;

    (void)state;
    for (uint64_t random = 0; random < 5000; random++) {
        uint32_t ms;

        hti_redial_init(&redial, 0, 0);
        ms = hti_redial_next(&redial, random * UINT64_C(0x9e3779b97f4a7c15));
        CHECK(ms >= 50 && ms <= 150);
    }
}

static void test_reset_starts_over(void **state)
{
    struct hti_redial redial;

    (void)state;
    hti_redial_init(&redial, 10, 1000);
    for (unsigned i = 0; i < 100; i++) {
        CHECK(hti_redial_next(&redial, i) <= 1500);
    }
    hti_redial_reset(&redial);
    CHECK(hti_redial_next(&redial, 10) <= 15);
}

static void test_extreme_settings_do_not_wrap(void **state)
{
    struct hti_redial redial;

    (void)state;
    hti_redial_init(&redial, UINT32_MAX, UINT32_MAX);
    CHECK(hti_redial_next(&redial, UINT64_MAX) >= UINT32_MAX / 2);
    hti_redial_init(&redial, 500, 100);
    CHECK(hti_redial_next(&redial, 0) == 250);
    hti_redial_init(&redial, 1, 1);
    CHECK(hti_redial_next(&redial, 0) <= 1);
}

CHECK_MAIN(cmocka_unit_test(test_doubles_up_to_the_most),
           cmocka_unit_test(test_jitter_stays_within_half),
           cmocka_unit_test(test_reset_starts_over),
           cmocka_unit_test(test_extreme_settings_do_not_wrap))
