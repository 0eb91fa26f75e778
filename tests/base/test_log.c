/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "tests/lib/check.h"

struct line {
    unsigned count;
    ht_log_level level;
    char id[32];
    char text[4096];
};

static void
on_line(ht_log_level level, const char *id, const char *text, void *arg)
{
    struct line *line = arg;

    line->count++;
    line->level = level;
    snprintf(line->id, sizeof line->id, "%s", id);
    snprintf(line->text, sizeof line->text, "%s", text);
}

static void test_a_line_reaches_the_function(void **state)
{
    struct line line = {0};
    struct hti_log log;

    (void)state;
    hti_log_init(&log, on_line, &line, 0);
    hti_log(&log, HT_LOG_WARN, "HT-TEST", "peer=%s n=%d", "b", 7);
    assert_int_equal(line.count, 1);
    assert_int_equal(line.level, HT_LOG_WARN);
    assert_string_equal(line.id, "HT-TEST");
    assert_string_equal(line.text, "peer=b n=7");
}

static void test_lines_below_the_level_are_left_out(void **state)
{
    struct line line = {0};
    struct hti_log log;

    (void)state;
    hti_log_init(&log, on_line, &line, 0);
    hti_log(&log, HT_LOG_DEBUG, "HT-TEST", "x");
    assert_int_equal(line.count, 0);
    hti_log_init(&log, on_line, &line, HT_LOG_DEBUG);
    hti_log(&log, HT_LOG_DEBUG, "HT-TEST", "x");
    assert_int_equal(line.count, 1);
}

static void test_a_long_line_is_cut_and_marked(void **state)
{
    static char big[8192];
    struct line line = {0};
    struct hti_log log;

    (void)state;
    memset(big, 'x', sizeof big - 1);
    hti_log_init(&log, on_line, &line, 0);
    hti_log(&log, HT_LOG_INFO, "HT-TEST", "%s", big);
    CHECK(strlen(line.text) < 4096);
    assert_string_equal(line.text + strlen(line.text) - 3, "...");
}

static void check_quote(const void *s, size_t len, const char *want)
{
    char buf[64];

    assert_string_equal(hti_quote(buf, sizeof buf, s, len), want);
}

static void test_what_a_peer_chose_stays_on_its_line(void **state)
{
    (void)state;
    check_quote("", 0, "\"\"");
    check_quote("b@host", 6, "\"b@host\"");
    check_quote("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
    check_quote("a\nb\x1b[0m", 7, "\"a\\x0ab\\x1b[0m\"");
    check_quote("a\0b", 3, "\"a\\x00b\"");
    check_quote("\xc3\xa9", 2, "\"\xc3\xa9\"");
    check_quote("\xff\xc3", 2, "\"\\xff\\xc3\"");
    check_quote("\xc2\x9b", 2, "\"\\xc2\\x9b\""); /* CSI of C1 */
}

static void test_a_long_string_is_cut_within_its_quotes(void **state)
{
    char buf[16];

    (void)state;
    assert_string_equal(hti_quote(buf, sizeof buf, "0123456789abcdef", 16),
                        "\"0123456789...\"");
    assert_string_equal(hti_quote(buf, sizeof buf, "0123456789abc", 13),
                        "\"0123456789abc\"");
    /* Never half an escape, and never beyond the buffer. */
    for (size_t n = 0; n < sizeof buf; n++) {
        char guarded[17];

        memset(guarded, '!', sizeof guarded);
        hti_quote(guarded, n, "\n\n\n\n\n\n\n\n", 8);
        CHECK(guarded[n] == '!');
        CHECK(n == 0 || memchr(guarded, '\0', n) != NULL);
    }
}

static void test_a_flood_is_counted_not_written(void **state)
{
    struct hti_log_limit limit = {0};
    unsigned suppressed = 99;

    (void)state;
    CHECK(hti_log_allow(&limit, 5, 2, &suppressed));
    assert_int_equal(suppressed, 0);
    CHECK(hti_log_allow(&limit, 6, 2, &suppressed));
    CHECK(!hti_log_allow(&limit, 7, 2, &suppressed));
    CHECK(!hti_log_allow(&limit, 4 + HTI_LOG_PERIOD_MS, 2, &suppressed));
    CHECK(hti_log_allow(&limit, 5 + HTI_LOG_PERIOD_MS, 2, &suppressed));
    assert_int_equal(suppressed, 2);
    CHECK(hti_log_allow(&limit, 6 + HTI_LOG_PERIOD_MS, 2, &suppressed));
    assert_int_equal(suppressed, 0);
}

CHECK_MAIN(cmocka_unit_test(test_a_line_reaches_the_function),
           cmocka_unit_test(test_lines_below_the_level_are_left_out),
           cmocka_unit_test(test_a_long_line_is_cut_and_marked),
           cmocka_unit_test(test_what_a_peer_chose_stays_on_its_line),
           cmocka_unit_test(test_a_long_string_is_cut_within_its_quotes),
           cmocka_unit_test(test_a_flood_is_counted_not_written))
