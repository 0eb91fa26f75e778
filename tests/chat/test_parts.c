/* SPDX-License-Identifier: Apache-2.0 */
/* The chat's ids, names, rates and history, alone. */
#include <stdio.h>
#include <stdlib.h>

#include "examples/chat/history.h"
#include "examples/chat/id.h"
#include "examples/chat/letters.h"
#include "examples/chat/rate.h"
#include "examples/chat/roster.h"
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

/* ---- the roster ---------------------------------------------------------- */

/* What a world says; returns who has to let go. */
static uint32_t
is_in(struct roster *r, const char *user, uint32_t world, uint64_t since_ms)
{
    struct person said = {.world = world, .since_ms = since_ms};
    uint32_t lost = 0;

    snprintf(said.user, sizeof(said.user), "%s", user);
    CHECK_OK(roster_put(r, &said, &lost));
    return lost;
}

static void test_one_world_a_user(void **state)
{
    struct roster *r = roster_new();

    (void)state;
    CHECK(is_in(r, "bob", 1, 100) == 0);
    CHECK(is_in(r, "bob", 1, 100) == 0);
    CHECK(roster_count(r) == 1);
    /* The later one stays, whoever is heard first. */
    CHECK(is_in(r, "bob", 2, 200) == 1);
    CHECK(roster_find(r, "bob")->world == 2);
    CHECK(is_in(r, "bob", 1, 100) == 1);
    CHECK(roster_find(r, "bob")->world == 2);
    roster_leave(r, "bob", 1);
    CHECK(roster_count(r) == 1);
    roster_leave(r, "bob", 2);
    CHECK(roster_count(r) == 0 && !roster_find(r, "bob")->present);
    CHECK(is_in(r, "bob", 1, 50) == 0);
    roster_free(r);
}

static void test_a_world_that_goes(void **state)
{
    struct roster *r = roster_new();
    uint64_t before;

    (void)state;
    (void)is_in(r, "alice", 1, 1);
    (void)is_in(r, "bob", 2, 1);
    (void)is_in(r, "carol", 1, 1);
    before = roster_changes(r);
    roster_leave_all(r, 1);
    CHECK(roster_changes(r) > before);
    CHECK(roster_count(r) == 1);
    assert_string_equal(roster_next(r, NULL)->user, "bob");
    CHECK(roster_next(r, roster_next(r, NULL)) == NULL);
    roster_free(r);
}

static void test_a_guild_is_remembered(void **state)
{
    struct roster *r = roster_new();
    struct person said = {
        .world = 1, .user = "bob", .guild = "red", .guild_version = 5};
    uint32_t lost;

    (void)state;
    CHECK_OK(roster_put(r, &said, &lost));
    roster_leave(r, "bob", 1);
    assert_string_equal(roster_find(r, "bob")->guild, "red");
    /* What is older does not count. */
    snprintf(said.guild, sizeof(said.guild), "blue");
    said.guild_version = 4;
    CHECK_OK(roster_put(r, &said, &lost));
    assert_string_equal(roster_find(r, "bob")->guild, "red");
    said.guild_version = 6;
    CHECK_OK(roster_put(r, &said, &lost));
    assert_string_equal(roster_find(r, "bob")->guild, "blue");
    roster_free(r);
}

static void test_a_roster_that_is_full(void **state)
{
    struct roster *r = roster_new();
    struct person said = {.world = 1, .user = "last"};
    char user[16];
    uint32_t lost;

    (void)state;
    for (unsigned i = 0; i < ROSTER_MAX; i++) {
        snprintf(user, sizeof(user), "u%u", i);
        (void)is_in(r, user, 1, 1);
    }
    CHECK_ERR(roster_put(r, &said, &lost), HT_EBUSY);
    /* Who has left makes room. */
    roster_leave(r, "u7", 1);
    CHECK_OK(roster_put(r, &said, &lost));
    CHECK(roster_find(r, "u7") == NULL);
    CHECK(roster_count(r) == ROSTER_MAX);
    roster_free(r);
}

/* ---- letters ------------------------------------------------------------- */

static const struct letter *
write_to(struct letters *l, const char *key, bool *is_new)
{
    Chat__Letter in = CHAT__LETTER__INIT;

    in.from = (char *)(uintptr_t) "bob";
    in.to = (char *)(uintptr_t) "alice";
    in.text = (char *)(uintptr_t) "psst";
    in.key = (char *)(uintptr_t)key;
    return letters_add(l, &in, 1000, is_new);
}

static void test_letters(void **state)
{
    const struct letter *found[LETTERS_MAX];
    struct letters l;
    char id[ID_TEXT_MAX], key[8];
    bool is_new, gap;
    size_t count;

    (void)state;
    letters_init(&l, 77, 0xabc);
    count = letters_after(&l, "", found, &gap);
    CHECK(count == 0 && !gap);
    CHECK(write_to(&l, "a", &is_new)->number == 1 && is_new);
    CHECK(write_to(&l, "a", &is_new)->number == 1 && !is_new);
    assert_string_equal(letters_message(&l, write_to(&l, "b", &is_new), id).id,
                        "77.00000abc.2");
    CHECK(letters_after(&l, "77.00000abc.1", found, &gap) == 1 && !gap);
    assert_string_equal(found[0]->key, "b");
    CHECK(letters_after(&l, "77.00000abc.2", found, &gap) == 0);
    /* Of an earlier actor, or of nobody. */
    CHECK(letters_after(&l, "76.00000abc.2", found, &gap) == 2 && !gap);
    CHECK(letters_after(&l, "nonsense", found, &gap) == 2);
    CHECK(letters_after(&l, "77.00000abc.9", found, &gap) == 2);
    for (unsigned i = 0; i < LETTERS_MAX; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        (void)write_to(&l, key, &is_new);
    }
    CHECK(letters_after(&l, "77.00000abc.1", found, &gap) == LETTERS_MAX &&
          gap);
    assert_string_equal(found[0]->key, "k0");
    letters_fini(&l);
}

CHECK_MAIN(cmocka_unit_test(test_one_world_a_user),
           cmocka_unit_test(test_a_world_that_goes),
           cmocka_unit_test(test_a_guild_is_remembered),
           cmocka_unit_test(test_a_roster_that_is_full),
           cmocka_unit_test(test_letters),
           cmocka_unit_test(test_ids_as_texts),
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
