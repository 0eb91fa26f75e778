/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - cmocka, and what our tests add to it.
 *
 * A test is a function `static void test_x(void **state)` and a line in the
 * table at the foot of its file:
 *
 *   CHECK_MAIN(cmocka_unit_test(test_x), cmocka_unit_test(test_y))
 */
#ifndef TESTS_LIB_CHECK_H
#define TESTS_LIB_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <hardtack.h>

#define CHECK(condition)      assert_true(condition)
#define CHECK_OK(call)        check_err_(call, HT_OK, #call, __FILE__, __LINE__)
#define CHECK_ERR(call, want) check_err_(call, want, #call, __FILE__, __LINE__)

static inline void check_err_(
    ht_err got, ht_err want, const char *call, const char *file, int line)
{
    if (got != want) {
        print_error("%s: %s, expected %s\n", call, ht_errname(got),
                    ht_errname(want));
        _fail(file, line);
    }
}

#define CHECK_MAIN(...)                                                        \
    int main(void)                                                             \
    {                                                                          \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                       \
        return cmocka_run_group_tests(tests, NULL, NULL);                      \
    }

#endif /* TESTS_LIB_CHECK_H */
