/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"

static const ht_err all[] = {
#define VALUE(name, value, text) name,
    HT_ERR_LIST(VALUE)
#undef VALUE
};
#define COUNT (sizeof all / sizeof all[0])

static void test_every_error_has_a_name_and_a_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        assert_string_not_equal(ht_errname(all[i]), "HT_E?");
        assert_string_not_equal(ht_strerror(all[i]), "unknown error");
    }
    assert_string_equal(ht_errname(HT_EBUSY), "HT_EBUSY");
    assert_string_equal(ht_errname(HT_OK), "HT_OK");
    assert_string_equal(ht_strerror(HT_OK), "success");
}

static void test_no_two_errors_share_a_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(all[i] < 0);
        for (size_t j = 0; j < i; j++) {
            CHECK(all[i] != all[j]);
        }
    }
}

static void test_an_unknown_error_is_named_so(void **state)
{
    (void)state;
    assert_string_equal(ht_errname((ht_err)-77777), "HT_E?");
    assert_string_equal(ht_strerror((ht_err)-77777), "unknown error");
}

static void test_exits_have_names(void **state)
{
    (void)state;
    assert_string_equal(ht_exit_name(HT_EXIT_NORMAL), "normal");
    assert_string_equal(ht_exit_name(HT_EXIT_NOCONNECTION), "noconnection");
    assert_string_equal(ht_exit_name((ht_exit_kind)99), "unknown");
}

static void test_version_is_set(void **state)
{
    (void)state;
    assert_string_equal(ht_version(), HT_VERSION);
}

CHECK_MAIN(cmocka_unit_test(test_every_error_has_a_name_and_a_text),
           cmocka_unit_test(test_no_two_errors_share_a_value),
           cmocka_unit_test(test_an_unknown_error_is_named_so),
           cmocka_unit_test(test_exits_have_names),
           cmocka_unit_test(test_version_is_set))
