/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "base/mem.h"
#include "base/mpsc.h"
#include "base/table.h"
#include "tests/lib/check.h"

static void test_blocks_of_every_size_are_aligned_and_whole(void **state)
{
    enum { STEP = 61 };
    void *blocks[400];

    (void)state;
    for (size_t i = 0; i < 400; i++) {
        size_t size = i * STEP;

        blocks[i] = hti_alloc(size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, size);
    }
    for (size_t i = 0; i < 400; i++) {
        const unsigned char *p = blocks[i];

        for (size_t k = 0; k < i * STEP; k++) {
            CHECK(p[k] == (unsigned char)i);
        }
        hti_free(blocks[i]);
    }
    hti_free(NULL);
}

static void test_a_freed_block_comes_back_zeroed_when_asked(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        unsigned char *p = hti_zalloc(100);

        assert_non_null(p);
        for (size_t k = 0; k < 100; k++) {
            CHECK(p[k] == 0);
        }
        memset(p, 0xaa, 100);
        hti_free(p);
    }
}

static void test_an_impossible_size_is_refused(void **state)
{
    (void)state;
    assert_null(hti_alloc(SIZE_MAX - 4));
    assert_null(hti_buf_new(SIZE_MAX - 4));
}

static void test_the_nth_allocation_fails(void **state)
{
    void *a, *b;

    (void)state;
    hti_alloc_fail_after(2);
    a = hti_alloc(8);
    b = hti_alloc(8);
    assert_non_null(a);
    assert_null(b);
    b = hti_alloc(8);
    assert_non_null(b);
    hti_free(a);
    hti_free(b);
    hti_alloc_fail_after(1);
    assert_null(hti_buf_new(8));
    hti_alloc_fail_after(0);
}

static void test_a_buffer_lives_until_its_last_reference(void **state)
{
    struct hti_buf *buf = hti_buf_new(100);

    (void)state;
    assert_non_null(buf);
    assert_int_equal(buf->cap, 100);
    hti_buf_ref(buf);
    assert_null(hti_buf_unref(buf));
    memset(buf->data, 1, 100);
    assert_null(hti_buf_unref(buf));
    assert_null(hti_buf_unref(NULL));
}

/* One thread makes, another frees, through a queue: what messages do. */
struct note {
    struct hti_mpsc_node node; /* first */
    unsigned producer;
    unsigned number;
    unsigned char fill[];
};

#define PRODUCERS 3
#define NOTES     20000

static struct hti_mpsc queue;

static void *produce(void *arg)
{
    unsigned producer = *(const unsigned *)arg;

    for (unsigned i = 0; i < NOTES; i++) {
        size_t size = (i * 37) % 600;
        struct note *note = hti_alloc(sizeof *note + size);

        if (note == NULL) {
            abort();
        }
        note->producer = producer;
        note->number = i;
        memset(note->fill, (int)i, size);
        hti_mpsc_push(&queue, &note->node);
    }
    return NULL;
}

static void test_blocks_cross_threads_in_order(void **state)
{
    unsigned ids[PRODUCERS], next[PRODUCERS] = {0}, got = 0;
    pthread_t threads[PRODUCERS];

    (void)state;
    hti_mpsc_init(&queue);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &ids[i]),
                         0);
    }
    while (got < PRODUCERS * NOTES) {
        struct note *note = (struct note *)(void *)hti_mpsc_pop(&queue);
        size_t size;

        if (note == NULL) {
            continue;
        }
        size = (note->number * 37) % 600;
        CHECK(note->number == next[note->producer]++);
        CHECK(size == 0 || note->fill[size - 1] == (unsigned char)note->number);
        hti_free(note);
        got++;
    }
    CHECK(hti_mpsc_is_empty(&queue));
    for (unsigned i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
    }
}

struct entry {
    UT_hash_handle hh;
    unsigned key;
};

static void test_a_table_keeps_its_order_under_a_keyed_hash(void **state)
{
    struct entry *table = NULL, *entry, *next;
    unsigned want = 0;

    (void)state;
    CHECK(hti_hash("abc", 3) == hti_hash("abc", 3));
    for (unsigned i = 0; i < 1000; i++) {
        entry = calloc(1, sizeof *entry);
        assert_non_null(entry);
        entry->key = i * 7919;
        HASH_ADD(hh, table, key, sizeof entry->key, entry);
        CHECK(hti_in_table(&entry->hh));
    }
    HASH_ITER(hh, table, entry, next)
    {
        assert_int_equal(entry->key, want++ * 7919);
        HASH_DEL(table, entry);
        free(entry);
    }
}

CHECK_MAIN(cmocka_unit_test(test_blocks_of_every_size_are_aligned_and_whole),
           cmocka_unit_test(test_a_freed_block_comes_back_zeroed_when_asked),
           cmocka_unit_test(test_an_impossible_size_is_refused),
           cmocka_unit_test(test_the_nth_allocation_fails),
           cmocka_unit_test(test_a_buffer_lives_until_its_last_reference),
           cmocka_unit_test(test_blocks_cross_threads_in_order),
           cmocka_unit_test(test_a_table_keeps_its_order_under_a_keyed_hash))
