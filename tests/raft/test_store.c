/* SPDX-License-Identifier: Apache-2.0 */
/* Term and vote, snapshots, messages: what is stored is read again, what is
 * damaged is refused. */
#include "raft/store.h"
#include "raft/wire.h"
#include "tests/raft/fixture.h"

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

static void flip(struct disk *d, const char *name, uint64_t at)
{
    uint8_t byte = 0;
    int fd = d->disk.ops->open(d->disk.arg, name, HTI_DISK_WRITE);

    CHECK(fd >= 0);
    CHECK(d->disk.ops->pread(d->disk.arg, fd, &byte, 1, at) == 1);
    byte ^= 4;
    CHECK(d->disk.ops->pwrite(d->disk.arg, fd, &byte, 1, at) == 0);
    d->disk.ops->close(d->disk.arg, fd);
}

/* One copy may be lost, both may not. */
static void test_meta(void **state)
{
    struct disk d = disk_new();
    struct hti_meta meta = {.id = 5, .group = 6, .term = 7, .vote = 8};
    struct hti_meta read = {0};
    uint64_t fsyncs = 0;
    bool uneven;
    char text[100] = "";

    (void)state;
    CHECK_ERR(hti_meta_read(&d.disk, &read, &uneven, text, 100), HT_ENOENT);
    CHECK_OK(hti_meta_create(&d.disk, &meta));
    meta.term = 70;
    CHECK_OK(hti_meta_write(&d.disk, &meta, &fsyncs));
    assert_int_equal(fsyncs, 2);
    for (uint64_t slot = 0; slot < 2; slot++) {
        for (uint64_t at = 0; at < 64; at++) {
            flip(&d, "meta", slot * 4096 + at);
            CHECK_OK(hti_meta_read(&d.disk, &read, &uneven, text, 100));
            assert_memory_equal(&read, &meta, sizeof(meta));
            CHECK(uneven);
            flip(&d, "meta", slot * 4096 + at);
        }
    }
    flip(&d, "meta", 20);
    flip(&d, "meta", 4096 + 30);
    CHECK_ERR(hti_meta_read(&d.disk, &read, &uneven, text, 100), HT_ECORRUPT);
    CHECK(strstr(text, "meta") != NULL);
    disk_end(&d);
}

static void write_snapshot(struct disk *d, uint64_t index)
{
    struct hti_boot boot;
    struct hti_store *store = NULL;
    struct hti_snap_info info = {0};
    struct hti_snap_writer writer;
    uint64_t size = 0;
    char text[200] = "";

    /* A configuration from a group's own first entry. */
    CHECK_OK(hti_store_create(&d->disk, 1, 9, "a@b", 65536));
    CHECK_OK(hti_store_open(&d->disk, 65536, true, &boot, &store, text, 200));
    info = (struct hti_snap_info){
        .index = index,
        .term = 1,
        .conf_index = 1,
        .group = 9,
        .conf_len = (uint32_t)hti_cache_get(&boot.cache, 1)->len,
        .conf = hti_cache_get(&boot.cache, 1)->data};
    CHECK_OK(hti_snap_create(&d->disk, &info, &writer));
    CHECK_OK(hti_snap_write(&d->disk, &writer, "first block", 11));
    CHECK_OK(hti_snap_write(&d->disk, &writer, "second", 6));
    CHECK_OK(hti_snap_finish(&d->disk, &writer, &size));
    CHECK_OK(hti_snap_install(&d->disk, HTI_SNAP_WRITTEN, index));
    hti_boot_fini(&boot);
    hti_store_free(store);
}

static ht_err collect(void *arg, ht_bytes data)
{
    struct hti_wbuf *buf = arg;

    hti_put_bytes(buf, data.data, data.len);
    return HT_OK;
}

static void test_snapshot(void **state)
{
    struct disk d = disk_new();
    struct hti_wbuf buf = {0};
    struct hti_snap_info info;
    char text[200] = "";
    char name[32];
    uint64_t newest = 0;

    (void)state;
    write_snapshot(&d, 1);
    CHECK_OK(hti_snap_newest(&d.disk, &newest));
    assert_int_equal(newest, 1);
    hti_snap_name(name, 1);
    CHECK_OK(hti_snap_check(&d.disk, name, collect, &buf, text, 200));
    assert_int_equal(buf.len, 17);
    assert_memory_equal(buf.data, "first blocksecond", 17);
    CHECK_OK(hti_snap_head(&d.disk, name, &info, text, 200));
    assert_int_equal(info.index, 1);
    for (uint64_t at = 0; at < info.size; at++) {
        if (at >= 20 && at < 24) {
            continue; /* of no use yet */
        }
        flip(&d, name, at);
        text[0] = '\0';
        CHECK_ERR(hti_snap_check(&d.disk, name, NULL, NULL, text, 200),
                  HT_ECORRUPT);
        CHECK(strstr(text, "snap-") != NULL && strstr(text, "offset") != NULL);
        flip(&d, name, at);
    }
    hti_snap_info_fini(&info);
    hti_wbuf_fini(&buf);
    disk_end(&d);
}

/* What a crash in hti_store_create() leaves is begun again; a log without its
 * meta file is not. */
static void test_unfinished(void **state)
{
    struct disk d = disk_new();
    char text[200] = "";
    int fd;

    (void)state;
    CHECK_ERR(hti_store_exists(&d.disk, text, 200), HT_ENOENT);
    CHECK_OK(hti_store_create(&d.disk, 1, 9, "a@b", 65536));
    CHECK_OK(hti_store_exists(&d.disk, text, 200));
    CHECK(d.disk.ops->unlink(d.disk.arg, "meta") == 0);
    CHECK_ERR(hti_store_exists(&d.disk, text, 200), HT_ECORRUPT);
    CHECK(strstr(text, "meta") != NULL);
    fd = d.disk.ops->open(d.disk.arg, "creating", HTI_DISK_CREATE);
    d.disk.ops->close(d.disk.arg, fd);
    CHECK_ERR(hti_store_exists(&d.disk, text, 200), HT_ENOENT);
    CHECK_OK(hti_store_create(&d.disk, 1, 9, "a@b", 65536));
    CHECK_OK(hti_store_exists(&d.disk, text, 200));
    disk_end(&d);
}

/* A snapshot was installed, and the log did not hear of it. */
static void test_snapshot_before_the_log(void **state)
{
    struct disk d = disk_new();
    struct hti_boot boot;
    struct hti_store *store = NULL;
    char text[200] = "";

    (void)state;
    write_snapshot(&d, 40);
    CHECK_OK(hti_store_open(&d.disk, 65536, false, &boot, &store, text, 200));
    assert_int_equal(boot.snap.index, 40);
    assert_int_equal(boot.cache.first, 41);
    assert_int_equal(boot.cache.count, 0);
    hti_boot_fini(&boot);
    hti_store_free(store);
    disk_end(&d);
}

static void test_wire(void **state)
{
    struct hti_wbuf entries = {0};
    struct hti_wbuf buf = {0};
    struct hti_wire wire = {
        .kind = HTI_WIRE_APPEND, .group = 1, .from = 2, .to = 3, .term = 9};
    struct hti_wire read;
    struct hti_wire_entry first;
    struct hti_entry *entry = hti_entry_new(8, HTI_ENTRY_COMMAND, 12);
    struct hti_rbuf list;

    (void)state;
    memset(entry->data, 5, 12);
    hti_wire_put_entry(&entries, entry);
    wire.u.append.prev_index = 4;
    wire.u.append.prev_term = 7;
    wire.u.append.count = 1;
    wire.u.append.entries = entries.data;
    wire.u.append.entries_len = entries.len;
    hti_wire_encode(&buf, &wire);
    CHECK_OK(hti_wire_decode((ht_bytes){buf.data, buf.len}, &read));
    list = (struct hti_rbuf){.data = read.u.append.entries,
                             .len = read.u.append.entries_len};
    CHECK(hti_wire_next_entry(&list, &first));
    CHECK(first.term == 8 && first.data.len == 12);
    /* Cut anywhere it is no message. */
    for (size_t len = 0; len < buf.len; len++) {
        CHECK_ERR(hti_wire_decode((ht_bytes){buf.data, len}, &read), HT_EPROTO);
    }
    /* A term that goes back. */
    buf.len = 0;
    wire.u.append.prev_term = 9;
    hti_wire_encode(&buf, &wire);
    CHECK_ERR(hti_wire_decode((ht_bytes){buf.data, buf.len}, &read), HT_EPROTO);
    hti_entry_unref(entry);
    hti_wbuf_fini(&entries);
    hti_wbuf_fini(&buf);
}

CHECK_MAIN(cmocka_unit_test(test_meta),
           cmocka_unit_test(test_snapshot),
           cmocka_unit_test(test_unfinished),
           cmocka_unit_test(test_snapshot_before_the_log),
           cmocka_unit_test(test_wire))
