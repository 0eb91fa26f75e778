/* SPDX-License-Identifier: Apache-2.0 */
/* The log on disk: what a crash leaves is repaired, what is damaged is
 * refused, with the place. */
#include "raft/log_format.h"
#include "tests/raft/fixture.h"

#define FILE_BYTES 4096

struct disk {
    char *dir;
    struct hti_disk disk;
};

static struct disk disk_new(void)
{
    struct disk d = {.dir = temp_dir()};

    CHECK_OK(hti_disk_open(d.dir, true, true, &d.disk));
    return d;
}

static void disk_end(struct disk *d)
{
    hti_disk_close(&d->disk);
    remove_dir(d->dir);
}

static struct hti_log *
open_log(struct disk *d, struct hti_cache *cache, struct hti_log_found *found)
{
    struct hti_log *log = NULL;
    char text[200] = "";
    ht_err err = hti_log_open(&d->disk, FILE_BYTES, false, cache, found, text,
                              sizeof(text), &log);

    if (err != HT_OK) {
        print_error("%s\n", text);
    }
    CHECK_OK(err);
    return log;
}

static void append(struct hti_log *log,
                   uint64_t index,
                   uint64_t term,
                   size_t count,
                   size_t len)
{
    for (size_t i = 0; i < count; i++) {
        struct hti_entry *entry = hti_entry_new(term, HTI_ENTRY_COMMAND, len);
        size_t done = 0;

        memset(entry->data, (int)(index + i), len);
        CHECK_OK(hti_log_append(log, index + i, &entry, 1, &done));
        hti_entry_unref(entry);
    }
}

static void expect(struct disk *d, uint64_t first, uint64_t last)
{
    struct hti_cache cache = {0};
    struct hti_log_found found;
    struct hti_log *log = open_log(d, &cache, &found);

    if (last >= first) {
        assert_int_equal(cache.first, first);
    }
    assert_int_equal(cache.first + cache.count - 1, last);
    for (uint64_t i = first; i <= last; i++) {
        const struct hti_entry *entry = hti_cache_get(&cache, i);

        CHECK(entry->len == 0 || entry->data[0] == (uint8_t)i);
    }
    hti_log_free(log);
    hti_cache_fini(&cache);
}

/* Many files; what was written is there, and goes on. */
static void test_append(void **state)
{
    struct disk d = disk_new();
    struct hti_cache cache = {0};
    struct hti_log_found found;
    struct hti_log *log = open_log(&d, &cache, &found);

    (void)state;
    append(log, 1, 1, 100, 200);
    CHECK_OK(hti_log_sync(log));
    hti_log_free(log);
    expect(&d, 1, 100);
    log = open_log(&d, &cache, &found);
    CHECK(found.files > 3);
    append(log, 101, 2, 1, 20000); /* longer than a file */
    append(log, 102, 2, 3, 0);
    CHECK_OK(hti_log_sync(log));
    hti_log_free(log);
    expect(&d, 1, 104);
    hti_cache_fini(&cache);
    disk_end(&d);
}

/* An entry takes the place of that index and of all after it. */
static void test_replaced(void **state)
{
    struct disk d = disk_new();
    struct hti_cache cache = {0};
    struct hti_log_found found;
    struct hti_log *log = open_log(&d, &cache, &found);

    (void)state;
    append(log, 1, 1, 50, 100);
    append(log, 20, 2, 5, 100);
    CHECK_OK(hti_log_sync(log));
    hti_log_free(log);
    log = open_log(&d, &cache, &found);
    assert_int_equal(cache.count, 24);
    assert_int_equal(hti_cache_get(&cache, 19)->term, 1);
    assert_int_equal(hti_cache_get(&cache, 20)->term, 2);
    hti_log_free(log);
    hti_cache_fini(&cache);
    disk_end(&d);
}

static void test_reset_and_trim(void **state)
{
    struct disk d = disk_new();
    struct hti_cache cache = {0};
    struct hti_log_found found;
    struct hti_log *log = open_log(&d, &cache, &found);
    size_t files;

    (void)state;
    append(log, 1, 1, 100, 200);
    CHECK_OK(hti_log_sync(log));
    files = log->files_count;
    CHECK_OK(hti_log_trim(log, 60));
    CHECK(log->files_count < files);
    hti_log_free(log);
    log = open_log(&d, &cache, &found);
    CHECK(cache.first > 1 && cache.first <= 60);
    assert_int_equal(cache.first + cache.count, 101);
    CHECK_OK(hti_log_reset(log, 500));
    append(log, 501, 3, 2, 10);
    CHECK_OK(hti_log_sync(log));
    hti_log_free(log);
    expect(&d, 501, 502);
    hti_cache_fini(&cache);
    disk_end(&d);
}

/* Every bit of a file with several batches: what is damaged is refused, unless
 * it could be the tail of the last batch, which is cut. */
static void test_every_byte(void **state)
{
    struct disk d = disk_new();
    struct hti_log_found found;
    struct hti_log *log = open_log(&d, NULL, &found);
    uint8_t good[FILE_BYTES];
    uint64_t end_of_batch[4];
    int fd;

    (void)state;
    for (uint64_t batch = 0; batch < 4; batch++) {
        append(log, 1 + batch * 3, 1, 3, 40);
        CHECK_OK(hti_log_sync(log));
        end_of_batch[batch] = log->at;
    }
    hti_log_free(log);
    fd = d.disk.ops->open(d.disk.arg, "log-0000000000000001", HTI_DISK_WRITE);
    CHECK(fd >= 0);
    assert_int_equal(d.disk.ops->pread(d.disk.arg, fd, good, FILE_BYTES, 0),
                     FILE_BYTES);
    for (uint64_t at = 0; at < end_of_batch[3]; at++) {
        uint8_t bad = good[at] ^ (uint8_t)(1u << at % 8);
        struct hti_cache cache = {0};
        char text[200] = "";
        char where[32];
        ht_err err;

        CHECK(d.disk.ops->pwrite(d.disk.arg, fd, &bad, 1, at) == 0);
        err = hti_log_open(&d.disk, FILE_BYTES, true, &cache, &found, text,
                           sizeof(text), &log);
        if (err == HT_OK) {
            /* Padding, or the last batch. */
            CHECK(cache.count == 12 ||
                  (at >= end_of_batch[2] && cache.count >= 9 &&
                   found.torn_bytes > 0));
            hti_log_free(log);
        } else {
            CHECK_ERR(err, HT_ECORRUPT);
            snprintf(where, sizeof(where), "offset ");
            CHECK(strstr(text, "log-0000000000000001") != NULL &&
                  strstr(text, where) != NULL);
        }
        CHECK(at >= end_of_batch[2] || at % 8 == 0 || err == HT_ECORRUPT ||
              cache.count == 12);
        hti_cache_fini(&cache);
        CHECK(d.disk.ops->pwrite(d.disk.arg, fd, &good[at], 1, at) == 0);
    }
    d.disk.ops->close(d.disk.arg, fd);
    expect(&d, 1, 12);
    disk_end(&d);
}

/* A write that was cut off at any byte is cleared, and is never seen again. */
static void test_torn(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < 3 * 96; cut += 7) {
        struct disk d = disk_new();
        struct hti_log_found found;
        struct hti_cache cache = {0};
        struct hti_log *log = open_log(&d, NULL, &found);
        static const uint8_t zeros[FILE_BYTES];
        uint64_t at;
        int fd;

        append(log, 1, 1, 2, 40);
        CHECK_OK(hti_log_sync(log));
        at = log->at;
        append(log, 3, 1, 3, 40); /* not synced */
        hti_log_free(log);
        fd = d.disk.ops->open(d.disk.arg, "log-0000000000000001",
                              HTI_DISK_WRITE);
        CHECK(d.disk.ops->pwrite(d.disk.arg, fd, zeros, 8, at + cut) == 0);
        d.disk.ops->close(d.disk.arg, fd);
        log = open_log(&d, &cache, &found);
        CHECK(cache.count >= 2 && cache.count <= 5);
        /* One as long as one that was there: what came after that one must not
         * follow it now. */
        append(log, cache.first + cache.count, 2, 1, 40);
        CHECK_OK(hti_log_sync(log));
        hti_log_free(log);
        expect(&d, 1, cache.count + 1);
        hti_cache_fini(&cache);
        disk_end(&d);
    }
}

static void test_missing_file(void **state)
{
    struct disk d = disk_new();
    struct hti_log_found found;
    struct hti_log *log = open_log(&d, NULL, &found);
    char text[200] = "";

    (void)state;
    append(log, 1, 1, 100, 200);
    CHECK_OK(hti_log_sync(log));
    hti_log_free(log);
    CHECK(d.disk.ops->unlink(d.disk.arg, "log-0000000000000002") == 0);
    CHECK_ERR(hti_log_open(&d.disk, FILE_BYTES, true, NULL, &found, text,
                           sizeof(text), &log),
              HT_ECORRUPT);
    CHECK(strstr(text, "missing") != NULL);
    disk_end(&d);
}

/* A directory is one member's. */
static void test_lock(void **state)
{
    struct disk d = disk_new();
    struct hti_disk other;

    (void)state;
    CHECK_ERR(hti_disk_open(d.dir, false, true, &other), HT_EEXIST);
    CHECK_OK(hti_disk_open(d.dir, false, false, &other));
    hti_disk_close(&other);
    CHECK_ERR(hti_disk_open("/nowhere/at/all", false, true, &other), HT_ENOENT);
    disk_end(&d);
}

CHECK_MAIN(cmocka_unit_test(test_append),
           cmocka_unit_test(test_replaced),
           cmocka_unit_test(test_reset_and_trim),
           cmocka_unit_test(test_every_byte),
           cmocka_unit_test(test_torn),
           cmocka_unit_test(test_missing_file),
           cmocka_unit_test(test_lock))
