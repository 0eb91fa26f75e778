/* SPDX-License-Identifier: Apache-2.0 */
/* What a member finds on its disk: after a crash in any place, and after
 * somebody took something away. */
#include "tests/lib/check.h"

#include "raft/bytes.h"
#include "raft/log_format.h"
#include "raft/store.h"
#include "tests/sim/raft_disk.h"

#define FILE_BYTES 1024u
#define SLOT_2     4096u /* of the meta file */

static struct rdisk *rdisk;
static struct hti_disk disk;
static struct hti_boot boot;
static struct hti_store *store;
static char text[256];

static void begin(uint64_t seed)
{
    rdisk = rdisk_new(seed);
    disk = rdisk_as_disk(rdisk);
    CHECK_OK(hti_store_create(&disk, 1, 2, "n1", FILE_BYTES));
}

static ht_err open_store(bool read_only)
{
    boot = (struct hti_boot){0};
    return hti_store_open(&disk, FILE_BYTES, read_only, &boot, &store, text,
                          sizeof(text));
}

static void close_store(void)
{
    hti_boot_fini(&boot);
    hti_store_free(store);
    store = NULL;
}

static void end(void)
{
    rdisk_free(rdisk);
}

/* Entries from first on, of term 1. */
static ht_err append(uint64_t first, size_t count)
{
    ht_err err = HT_OK;

    for (uint64_t i = first; err == HT_OK && i < first + count; i++) {
        struct hti_entry *entry = hti_entry_new(1, HTI_ENTRY_COMMAND, 100);
        size_t done = 0;

        memset(entry->data, 0, entry->len);
        err = hti_log_append(store->log, i, &entry, 1, &done);
        hti_entry_unref(entry);
    }
    return err == HT_OK ? hti_log_sync(store->log) : err;
}

static void take_snapshot(uint64_t index)
{
    const struct hti_entry *conf = hti_cache_get(&boot.cache, 1);
    struct hti_snap_info info = {.index = index,
                                 .term = 1,
                                 .conf_index = 1,
                                 .group = 2,
                                 .conf_len = (uint32_t)conf->len,
                                 .conf = (uint8_t *)(uintptr_t)conf->data};
    struct hti_snap_writer writer;
    uint64_t size = 0;

    CHECK_OK(hti_snap_create(&disk, &info, &writer));
    CHECK_OK(hti_snap_write(&disk, &writer, "state", 5));
    CHECK_OK(hti_snap_finish(&disk, &writer, &size));
    CHECK_OK(hti_snap_install(&disk, HTI_SNAP_WRITTEN, index));
}

static void remove_snapshot(uint64_t index)
{
    char name[32];

    hti_snap_name(name, index);
    CHECK(disk.ops->unlink(disk.arg, name) == 0);
}

/* ---- what is missing ----------------------------------------------------- */

/* Its log goes on from a snapshot that is not there. */
static void test_the_snapshot_is_missing(void **state)
{
    (void)state;
    begin(1);
    CHECK_OK(open_store(false));
    CHECK_OK(append(2, 40));
    take_snapshot(30);
    CHECK_OK(hti_log_trim(store->log, 30));
    close_store();
    CHECK_OK(open_store(false));
    CHECK(boot.cache.first > 1 && boot.cache.first <= 30);
    close_store();

    remove_snapshot(30);
    for (int read_only = 0; read_only < 2; read_only++) {
        CHECK_ERR(open_store(read_only != 0), HT_ECORRUPT);
        assert_string_equal(
            text, "log: entries are missing between snapshot and log");
    }
    end();
}

/* The same where the log begins with that snapshot and has nothing yet. */
static void test_the_received_snapshot_is_missing(void **state)
{
    (void)state;
    begin(1);
    CHECK_OK(open_store(false));
    take_snapshot(30);
    CHECK_OK(hti_log_reset(store->log, 30));
    CHECK_OK(hti_log_sync(store->log));
    close_store();
    CHECK_OK(open_store(false));
    CHECK(boot.cache.first == 31 && boot.cache.count == 0);
    close_store();

    remove_snapshot(30);
    CHECK_ERR(open_store(false), HT_ECORRUPT);
    assert_string_equal(text,
                        "log: entries are missing between snapshot and log");
    end();
}

/* What an unfinished creation left is removed, and nothing else. */
static void test_other_files_stay(void **state)
{
    (void)state;
    rdisk = rdisk_new(1);
    disk = rdisk_as_disk(rdisk);
    disk.ops->close(disk.arg,
                    disk.ops->open(disk.arg, "creating", HTI_DISK_CREATE));
    disk.ops->close(disk.arg,
                    disk.ops->open(disk.arg, "meta-new", HTI_DISK_CREATE));
    disk.ops->close(disk.arg,
                    disk.ops->open(disk.arg, "my-thesis", HTI_DISK_CREATE));
    CHECK_ERR(hti_store_exists(&disk, text, sizeof(text)), HT_ENOENT);
    CHECK(disk.ops->open(disk.arg, "meta-new", HTI_DISK_READ) < 0);
    CHECK(disk.ops->open(disk.arg, "my-thesis", HTI_DISK_READ) >= 0);
    end();
}

/* ---- term and vote ------------------------------------------------------- */

/* A crash spoils one copy; the next one the other.  The first must be made good
 * in between. */
static void test_both_copies_of_the_meta_file(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        begin(1);
        CHECK(rdisk_flip(rdisk, "meta", first * SLOT_2 + 40, 3));
        CHECK_OK(open_store(true)); /* looks only */
        close_store();
        CHECK_OK(open_store(false));
        CHECK(boot.meta.id == 1 && boot.meta.group == 2);
        close_store();
        rdisk_crash(rdisk);
        CHECK(rdisk_flip(rdisk, "meta", (1 - first) * SLOT_2 + 40, 3));
        CHECK_OK(open_store(false));
        CHECK(boot.meta.id == 1 && boot.meta.group == 2);
        close_store();
        end();
    }
}

/* ---- names --------------------------------------------------------------- */

/* The process dies somewhere while its log goes on in another file; it comes
 * back and goes on; then the power fails.  What it made durable in its second
 * life is in files whose names must be durable too. */
static void second_life(uint64_t seed, unsigned operations)
{
    uint64_t last;

    begin(seed);
    CHECK_OK(open_store(false));
    CHECK_OK(append(2, 5));
    rdisk_die_after(rdisk, operations);
    (void)!append(7, 12);
    close_store();
    rdisk_close_all(rdisk);

    CHECK_OK(open_store(false));
    last = boot.cache.first + boot.cache.count - 1;
    CHECK_OK(append(last + 1, 1));
    close_store();
    rdisk_crash(rdisk);

    CHECK_OK(open_store(false));
    if (boot.cache.first + boot.cache.count - 1 != last + 1) {
        print_error("seed %u, %u operations: entry %u is lost\n",
                    (unsigned)seed, operations, (unsigned)last + 1);
        fail();
    }
    close_store();
    end();
}

static void test_names_are_durable_in_a_second_life(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        for (unsigned operations = 1; operations <= 40; operations++) {
            second_life(seed, operations);
        }
    }
}

CHECK_MAIN(cmocka_unit_test(test_the_snapshot_is_missing),
           cmocka_unit_test(test_the_received_snapshot_is_missing),
           cmocka_unit_test(test_other_files_stay),
           cmocka_unit_test(test_both_copies_of_the_meta_file),
           cmocka_unit_test(test_names_are_durable_in_a_second_life))
