/* SPDX-License-Identifier: Apache-2.0 */
/* msg_ids: what comes again is answered again, within bounds. */
#include "gateway/book.h"
#include "gateway/dedupe.h"
#include "tests/lib/check.h"

static enum gw_seen seen(struct gw_dedupe *d, const char *id)
{
    enum gw_seen what = GW_SEEN_NEVER;
    struct gw_frame *answer = NULL;

    CHECK_OK(gw_dedupe_note(d, id, &what, &answer));
    CHECK((what == GW_SEEN_ANSWERED) == (answer != NULL));
    return what;
}

static void answer(struct gw_dedupe *d, const char *id, size_t len)
{
    struct gw_frame *frame = gw_frame_new(GW_JSON, "{}", 2);

    assert_non_null(frame);
    gw_dedupe_answer(d, id, frame, len);
    gw_frame_unref(frame);
}

static void test_an_id_goes_from_new_to_answered(void **state)
{
    struct gw_dedupe *d = gw_dedupe_new();

    (void)state;
    assert_int_equal(seen(d, "a"), GW_SEEN_NEVER);
    assert_int_equal(seen(d, "a"), GW_SEEN_UNDERWAY);
    assert_int_equal(seen(d, "b"), GW_SEEN_NEVER);
    answer(d, "a", 2);
    assert_int_equal(seen(d, "a"), GW_SEEN_ANSWERED);
    assert_int_equal(seen(d, "b"), GW_SEEN_UNDERWAY);
    gw_dedupe_forget(d, "b");
    assert_int_equal(seen(d, "b"), GW_SEEN_NEVER);
    gw_dedupe_forget(d, "a");
    assert_int_equal(seen(d, "a"), GW_SEEN_NEVER);
    gw_dedupe_forget(d, "never");
    answer(d, "never", 2);
    gw_dedupe_free(d);
    gw_dedupe_free(NULL);
}

static void test_the_oldest_answers_are_forgotten(void **state)
{
    struct gw_dedupe *d = gw_dedupe_new();
    char id[16];

    (void)state;
    assert_int_equal(seen(d, "under way"), GW_SEEN_NEVER);
    for (unsigned i = 0; i < GW_DEDUPE_IDS_MAX + 10; i++) {
        snprintf(id, sizeof(id), "%u", i);
        assert_int_equal(seen(d, id), GW_SEEN_NEVER);
        answer(d, id, 2);
    }
    assert_int_equal(seen(d, "10"), GW_SEEN_ANSWERED);
    assert_int_equal(seen(d, id), GW_SEEN_ANSWERED);
    assert_int_equal(seen(d, "9"), GW_SEEN_NEVER);
    assert_int_equal(seen(d, "under way"), GW_SEEN_UNDERWAY);
    gw_dedupe_free(d);
}

static void test_large_answers_are_forgotten_sooner(void **state)
{
    struct gw_dedupe *d = gw_dedupe_new();

    (void)state;
    for (const char *id = "abc"; *id != '\0'; id++) {
        (void)seen(d, id);
        answer(d, id, GW_DEDUPE_BYTES_MAX / 2);
    }
    assert_int_equal(seen(d, "c"), GW_SEEN_ANSWERED);
    assert_int_equal(seen(d, "bc"), GW_SEEN_ANSWERED);
    assert_int_equal(seen(d, "abc"), GW_SEEN_NEVER);
    /* One that is larger than all there is room for is kept until the next. */
    (void)seen(d, "large");
    answer(d, "large", GW_DEDUPE_BYTES_MAX * 2);
    assert_int_equal(seen(d, "large"), GW_SEEN_ANSWERED);
    assert_int_equal(seen(d, "c"), GW_SEEN_NEVER);
    gw_dedupe_free(d);
}

/* ---- book.h -------------------------------------------------------------- */

static void test_a_place_is_believed_for_a_while(void **state)
{
    struct gw_book *book = gw_book_new();
    const ht_ref here = {.node = 1, .pid = 2};
    ht_ref ref = {0, 0};

    (void)state;
    assert_int_equal(gw_book_find(book, "x", 0, &ref), GW_BOOK_UNKNOWN);
    gw_book_note(book, "x", here, 100);
    assert_int_equal(gw_book_find(book, "x", 100, &ref), GW_BOOK_FOUND);
    CHECK(ht_ref_equal(ref, here));
    assert_int_equal(gw_book_find(book, "x", 100 + GW_BOOK_FOUND_MS, &ref),
                     GW_BOOK_UNKNOWN);
    gw_book_note(book, "x", (ht_ref){0, 0}, 100);
    assert_int_equal(gw_book_find(book, "x", 100, &ref), GW_BOOK_MISSED);
    assert_int_equal(gw_book_find(book, "x", 100 + GW_BOOK_MISSED_MS, &ref),
                     GW_BOOK_UNKNOWN);
    gw_book_note(book, "x", here, 100);
    gw_book_forget(book, "x");
    assert_int_equal(gw_book_find(book, "x", 100, &ref), GW_BOOK_UNKNOWN);
    gw_book_free(book);
}

static void test_a_book_is_bounded(void **state)
{
    struct gw_book *book = gw_book_new();
    struct gw_service *service = gw_service_new(NULL);
    char name[16];
    ht_ref ref;

    (void)state;
    for (unsigned i = 0; i < GW_BOOK_NAMES_MAX + 5; i++) {
        snprintf(name, sizeof(name), "%u", i);
        gw_book_note(book, name, (ht_ref){1, i + 1}, 0);
        gw_book_note_service(book, (ht_ref){1, i + 1}, service);
    }
    assert_int_equal(gw_book_find(book, "4", 0, &ref), GW_BOOK_UNKNOWN);
    assert_int_equal(gw_book_find(book, "5", 0, &ref), GW_BOOK_FOUND);
    assert_null(gw_book_service(book, (ht_ref){1, 1}));
    assert_non_null(gw_book_service(book, (ht_ref){1, GW_BOOK_NAMES_MAX + 5}));
    assert_int_equal(service->refs, GW_BOOK_SERVICES_MAX + 1);
    gw_book_free(book);
    assert_int_equal(service->refs, 1);
    assert_null(gw_service_unref(service));
}

CHECK_MAIN(cmocka_unit_test(test_an_id_goes_from_new_to_answered),
           cmocka_unit_test(test_the_oldest_answers_are_forgotten),
           cmocka_unit_test(test_large_answers_are_forgotten_sooner),
           cmocka_unit_test(test_a_place_is_believed_for_a_while),
           cmocka_unit_test(test_a_book_is_bounded))
