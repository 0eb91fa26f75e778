/* SPDX-License-Identifier: Apache-2.0 */
/* The calculator example's expressions, and the words for those that are none.
 */
#include "tests/lib/check.h"

#include "examples/calculator/eval.h"

static void value_is(const char *text, double want)
{
    struct eval e;
    double got = 0;
    const char *error = evaluate(text, &got, &e);

    if (error != NULL || got != want) {
        fail_msg("%s: %g %s", text, got, error != NULL ? error : "");
    }
}

static void error_is(const char *text, const char *want)
{
    struct eval e;
    double got = 0;
    const char *error = evaluate(text, &got, &e);

    CHECK(error != NULL);
    assert_string_equal(error, want);
}

static void test_values(void **state)
{
    (void)state;
    value_is("10 + 5", 15);
    value_is("10-5-2", 3);
    value_is("2 + 3 * 4", 14);
    value_is("(2 + 3) * 4", 20);
    value_is("20 / 4 / 5", 1);
    value_is(" -3 - -4 ", 1);
    value_is("--2", 2);
    value_is(".5 * 1e3", 500);
}

static void test_errors(void **state)
{
    (void)state;
    error_is("", "expression ends where a number is expected");
    error_is("10 +", "expression ends where a number is expected");
    error_is("10 % 5", "unknown operator '%'");
    error_is("10 5", "unknown operator '5'");
    error_is("1)", "unknown operator ')'");
    error_is("(1", "a parenthesis is not closed");
    error_is("x", "expected a number, not 'x'");
    error_is("inf", "expected a number, not 'i'");
    error_is("0x10", "numbers are decimal");
    error_is("1 / 0", "division by zero");
    error_is("1 / (2 - 2)", "division by zero");
    error_is("1 \xc3\xa9", "unknown operator");
    error_is(".", "expected a number, not '.'");
}

/* It is called over the network: no expression may use up the stack. */
static void test_depth(void **state)
{
    static char deep[100001];

    (void)state;
    memset(deep, '(', sizeof(deep) - 1);
    error_is(deep, "too many parentheses or signs");
    memset(deep, '-', sizeof(deep) - 1);
    error_is(deep, "too many parentheses or signs");
}

CHECK_MAIN(cmocka_unit_test(test_values),
           cmocka_unit_test(test_errors),
           cmocka_unit_test(test_depth))
