/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the log, as text and as JSON; columns of the tables. */
#include "tests/lib/check.h"

#include <jansson.h>

#include "cli/log.h"
#include "cli/table.h"

static const char *line(enum log_format format, const char *text)
{
    static char buf[512];
    size_t n = logger_format(buf, sizeof(buf), format, 1700000000, 7,
                             HT_LOG_WARN, "HT-X", text);

    CHECK(n > 0 && n < sizeof(buf) && buf[n - 1] == '\n');
    buf[n - 1] = '\0';
    return buf;
}

static void test_text(void **state)
{
    (void)state;
    assert_string_equal(
        line(LOG_FORMAT_TEXT, "a=1 b=\"x y\""),
        "time=2023-11-14T22:13:20.007Z level=warn event=HT-X a=1 b=\"x y\"");
    assert_string_equal(line(LOG_FORMAT_TEXT, ""),
                        "time=2023-11-14T22:13:20.007Z level=warn event=HT-X");
}

static void test_json(void **state)
{
    json_t *o = json_loads(
        line(LOG_FORMAT_JSON, "peer=b@h why=\"say \\\"x\\\" = y\" rest"), 0,
        NULL);

    (void)state;
    CHECK(o != NULL);
    assert_string_equal(json_string_value(json_object_get(o, "event")), "HT-X");
    assert_string_equal(json_string_value(json_object_get(o, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(o, "peer")), "b@h");
    assert_string_equal(json_string_value(json_object_get(o, "why")),
                        "say \"x\" = y");
    assert_string_equal(json_string_value(json_object_get(o, "text")), "rest");
    json_decref(o);
}

/* A line that is too long is cut, or as JSON replaced: it stays one line. */
static void test_long_lines(void **state)
{
    static char text[4000];
    char buf[300];
    size_t n;
    json_t *o;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "k=", 2);
    n = logger_format(buf, sizeof(buf), LOG_FORMAT_TEXT, 0, 0, HT_LOG_INFO,
                      "HT-X", text);
    CHECK(n <= sizeof(buf) && buf[n - 1] == '\n');
    n = logger_format(buf, sizeof(buf), LOG_FORMAT_JSON, 0, 0, HT_LOG_INFO,
                      "HT-X", text);
    CHECK(n <= sizeof(buf) && buf[n - 1] == '\n');
    o = json_loadb(buf, n, 0, NULL);
    CHECK(o != NULL);
    assert_string_equal(json_string_value(json_object_get(o, "event")), "HT-X");
    json_decref(o);
}

static void test_quote(void **state)
{
    char buf[32];

    (void)state;
    assert_string_equal(logger_quote(buf, sizeof(buf), "a \"b\"\n"),
                        "\"a \\\"b\\\"\\x0a\"");
    CHECK(strlen(logger_quote(buf, sizeof(buf),
                              "0123456789012345678901234567890123456789")) <
          sizeof(buf));
}

static void test_table(void **state)
{
    struct table table;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    table_init(&table, "NAME|>N|WHAT");
    table_text(&table, "h\xc3\xa9");
    table_number(&table, 5);
    table_text(&table, "x\x1b[2J");
    table_text(&table, "longer");
    table_bytes(&table, 1536);
    table_duration(&table, 90000);
    table_print(&table, out);
    (void)fclose(out);
    assert_string_equal(text, "NAME          N  WHAT\n"
                              "h\xc3\xa9            5  x?[2J\n"
                              "longer  1.5 KiB  90 s\n");
    free(text);
    table_fini(&table);
}

CHECK_MAIN(cmocka_unit_test(test_text),
           cmocka_unit_test(test_json),
           cmocka_unit_test(test_long_lines),
           cmocka_unit_test(test_quote),
           cmocka_unit_test(test_table))
