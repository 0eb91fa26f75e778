/* SPDX-License-Identifier: Apache-2.0 */
/* The chat's ids, names, rates and history, alone. */
#include <stdio.h>
#include <stdlib.h>

#include "examples/chat/history.h"
#include "examples/chat/id.h"
#include "examples/chat/rate.h"
#include "examples/chat/text.h"
#include "examples/chat/wire.h"
#include "tests/lib/check.h"

/* ---- ids ----------------------------------------------------------------- */

static void test_ids_as_texts(void **state)
{
    struct id id = {.epoch = 1764172800, .world = 0x5f2a90c1, .number = 17};
    struct id back = {0, 0, 0};
    char text[ID_TEXT_MAX];

    (void)state;
    assert_string_equal(id_format(id, text), "1764172800.5f2a90c1.17");
    CHECK(id_parse(text, &back) && id_compare(id, back) == 0);
    CHECK(id_parse("", &back) && id_is_none(back));
    id = (struct id){
        .epoch = UINT64_MAX, .world = UINT32_MAX, .number = UINT64_MAX};
    CHECK(id_parse(id_format(id, text), &back) && id_compare(id, back) == 0);
}

static void test_what_is_no_id(void **state)
{
    static const char *const texts[] = {
        "1",
        "1.2",
        "1.2.",
        "..",
        ".2.3",
        "1.2.3.4",
        "-1.2.3",
        "1.g.3",
        "1.2.3 ",
        " 1.2.3",
        "1.123456789.3",
        "18446744073709551616.1.1",
        "1.1.99999999999999999999",
        "a.1.1",
        "1.A.1",
    };
    struct id id = {9, 9, 9};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CHECK(!id_parse(texts[i], &id));
        CHECK(id.epoch == 9);
    }
}

static void test_ids_in_order(void **state)
{
    static const struct id sorted[] = {
        {0, 0, 0}, {1, 1, 7}, {1, 1, 8}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        for (size_t k = 0; k < 6; k++) {
            int order = id_compare(sorted[i], sorted[k]);

            CHECK(i == k ? order == 0 : i < k ? order < 0 : order > 0);
        }
    }
    CHECK(id_compare_epoch(sorted[1], sorted[2]) == 0);
}

/* ---- names and texts ----------------------------------------------------- */

static void test_names(void **state)
{
    (void)state;
    CHECK(text_is_name("bob") && text_is_name("B-o_b9"));
    CHECK(text_is_name("J\xc3\xbcrgen"));
    CHECK(!text_is_name("") && !text_is_name("a b") && !text_is_name("a:b"));
    CHECK(!text_is_name("a/b") && !text_is_name("a*") && !text_is_name("a\n"));
    CHECK(!text_is_name("a\xc2\x85"));
    CHECK(text_is_name("12345678901234567890123456789012"));
    CHECK(!text_is_name("123456789012345678901234567890123"));
}

static void test_messages(void **state)
{
    char text[TEXT_BYTES_MAX + 2];

    (void)state;
    CHECK(text_is_message("hello") && text_is_message("two\nlines"));
    CHECK(!text_is_message("") && !text_is_message(" \n\t"));
    CHECK(!text_is_message("\x1b[2J") && !text_is_message("a\x7f"));
    memset(text, 'x', sizeof(text));
    text[TEXT_BYTES_MAX] = '\0';
    CHECK(text_is_message(text));
    text[TEXT_BYTES_MAX] = 'x';
    text[TEXT_BYTES_MAX + 1] = '\0';
    CHECK(!text_is_message(text));
    CHECK(text_is_key("") && text_is_key("a-1_Z") && !text_is_key("a b"));
}

/* ---- rates --------------------------------------------------------------- */

static void test_a_rate(void **state)
{
    struct rate rate = {.burst = 3, .interval_ms = 1000};

    (void)state;
    for (int i = 0; i < 3; i++) {
        CHECK(rate_take(&rate, 5000) == 0);
    }
    CHECK(rate_take(&rate, 5000) == 1000);
    CHECK(rate_take(&rate, 5600) == 400);
    CHECK(rate_take(&rate, 6000) == 0);
    CHECK(rate_take(&rate, 6000) == 1000);
    /* Full again, and not fuller. */
    for (int i = 0; i < 3; i++) {
        CHECK(rate_take(&rate, 60000) == 0);
    }
    CHECK(rate_take(&rate, 60000) == 1000);
}

/* ---- the history --------------------------------------------------------- */

static const struct history_limits small = {
    .channel_entries_max = 3,
    .entries_max = 5,
    .bytes_max = 100000,
    .keys_max = 4,
};

static void
say(struct history *h, const char *channel, uint64_t number, const char *key)
{
    Chat__Entry said = CHAT__ENTRY__INIT;
    Chat__Id id = wire_put_id((struct id){1, 1, number});

    said.id = &id;
    said.channel = (char *)(uintptr_t)channel;
    said.from = (char *)(uintptr_t) "bob";
    said.key = (char *)(uintptr_t)key;
    said.text = (char *)(uintptr_t) "hello";
    CHECK(history_add(h, &said) == HT_OK);
}

/* The keys that are there, "a b c". */
static const char *keys(const struct history *h)
{
    static char text[200];
    const struct entry *e;

    text[0] = '\0';
    TAILQ_FOREACH (e, history_entries(h), all) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at, "%s%s", at > 0 ? " " : "",
                 e->key);
    }
    return text;
}

static void test_history_in_order(void **state)
{
    struct history *h = history_new(&small);
    struct entry *e;
    struct id id;

    (void)state;
    say(h, "normal", 5, "b");
    say(h, "world", 2, "a");
    say(h, "normal", 9, "c");
    assert_string_equal(keys(h), "a b c");
    CHECK(history_top(h).number == 9);
    CHECK(history_find(h, "bob", "a", &id, &e) && id.number == 2);
    assert_string_equal(e->text, "hello");
    CHECK(!history_find(h, "bo", "ba", &id, NULL));
    history_move(h, e, (struct id){2, 1, 1});
    assert_string_equal(keys(h), "b c a");
    history_free(h);
}

static void test_what_is_forgotten(void **state)
{
    struct history *h = history_new(&small);
    struct entry *e;
    struct id id;

    (void)state;
    say(h, "normal", 1, "a");
    say(h, "normal", 2, "b");
    say(h, "world", 3, "w");
    say(h, "normal", 4, "c");
    CHECK(id_is_none(history_forgotten(h, "normal")));
    say(h, "normal", 5, "d");
    assert_string_equal(keys(h), "b w c d");
    CHECK(history_forgotten(h, "normal").number == 1);
    CHECK(id_is_none(history_forgotten(h, "world")));
    /* It is known that it was said. */
    CHECK(history_find(h, "bob", "a", &id, &e) && e == NULL && id.number == 1);
    say(h, "guild:x", 6, "x");
    say(h, "guild:y", 7, "y");
    assert_string_equal(keys(h), "w c d x y");
    say(h, "guild:y", 8, "z");
    assert_string_equal(keys(h), "c d x y z");
    /* The channel is gone, what was forgotten of it is not. */
    CHECK(history_forgotten(h, "world").number == 3);
    CHECK(history_forgotten(h, "guild:new").number == 3);
    CHECK(history_forgotten(h, "guild:x").number == 0);
    history_free(h);
}

static void test_keys_are_forgotten_too(void **state)
{
    struct history *h = history_new(&small);
    char key[8];
    struct id id;

    (void)state;
    for (uint64_t i = 1; i <= 20; i++) {
        snprintf(key, sizeof(key), "k%u", (unsigned)i);
        say(h, "normal", i, key);
    }
    assert_string_equal(keys(h), "k18 k19 k20");
    CHECK(history_find(h, "bob", "k14", &id, NULL));
    CHECK(!history_find(h, "bob", "k13", &id, NULL));
    history_free(h);
}

static void test_bytes_are_bounded(void **state)
{
    const struct history_limits limits = {100, 100, 2000, 10};
    struct history *h = history_new(&limits);
    char key[8];

    (void)state;
    for (uint64_t i = 1; i <= 50; i++) {
        snprintf(key, sizeof(key), "k%u", (unsigned)i);
        say(h, "normal", i, key);
    }
    CHECK(strlen(keys(h)) > 0 && strlen(keys(h)) < 60);
    CHECK(history_top(h).number == 50);
    history_free(h);
}

static void test_undelivered(void **state)
{
    struct history *h = history_new(&small);

    (void)state;
    CHECK(history_undelivered(h) == NULL);
    say(h, "normal", 1, "a");
    say(h, "normal", 2, "b");
    say(h, "normal", 3, "c");
    history_deliver(h, history_undelivered(h));
    assert_string_equal(history_undelivered(h)->key, "b");
    say(h, "normal", 4, "d");
    say(h, "normal", 5, "e"); /* b is forgotten */
    assert_string_equal(history_undelivered(h)->key, "c");
    history_deliver(h, history_undelivered(h));
    history_deliver(h, history_undelivered(h));
    history_deliver(h, history_undelivered(h));
    CHECK(history_undelivered(h) == NULL);
    history_free(h);
}

CHECK_MAIN(cmocka_unit_test(test_ids_as_texts),
           cmocka_unit_test(test_what_is_no_id),
           cmocka_unit_test(test_ids_in_order),
           cmocka_unit_test(test_names),
           cmocka_unit_test(test_messages),
           cmocka_unit_test(test_a_rate),
           cmocka_unit_test(test_history_in_order),
           cmocka_unit_test(test_what_is_forgotten),
           cmocka_unit_test(test_keys_are_forgotten_too),
           cmocka_unit_test(test_bytes_are_bounded),
           cmocka_unit_test(test_undelivered))
