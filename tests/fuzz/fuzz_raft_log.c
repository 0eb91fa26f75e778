/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_raft_log.c - no bytes in the log's files or the meta file harm a start:
 * they are refused with words, or the log can be appended to and read again.
 *
 * Input: a byte whose lowest bit says whether checksums are put right; two
 * bytes of the meta file's length; the meta file; then the log's only file.
 */
#include "raft/bytes.h"
#include "raft/log_format.h"
#include "raft/store.h"
#include "tests/fuzz/raft_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* So that more than checksums is tried. */
static void put_right(uint8_t *log, size_t len)
{
    size_t at = HTI_LOG_FILE_OVERHEAD;

    if (len < at) {
        return;
    }
    hti_le64(log, HTI_LOG_MAGIC);
    hti_le32(log + 8, HTI_LOG_VERSION);
    hti_le64(log + 16, 1);
    hti_le32(log + 12, hti_crc(log + 16, HTI_LOG_FILE_OVERHEAD - 16));
    while (len - at >= HTI_LOG_HEAD) {
        size_t data_len = hti_of_le32(log + at + 4) % 200;

        if (data_len > len - at - HTI_LOG_HEAD) {
            return;
        }
        hti_le32(log + at + 4, (uint32_t)data_len);
        hti_le32(log + at, hti_crc(log + at + 4, HTI_LOG_HEAD - 4 + data_len));
        at += hti_log_record_size(data_len);
        at = at < len ? at : len;
    }
}

static void append_and_reopen(struct hti_disk *disk)
{
    struct hti_cache cache = {0};
    struct hti_log_found found;
    struct hti_entry *entry = hti_entry_new(9, HTI_ENTRY_COMMAND, 8);
    struct hti_log *log = NULL;
    char text[200];
    size_t done = 0;
    uint64_t next;

    require(hti_log_open(disk, 4096, false, &cache, &found, text, sizeof(text),
                         &log) == HT_OK);
    next = cache.first + cache.count;
    next = next != 0 ? next : 1;
    memset(entry->data, 7, 8);
    require(hti_log_append(log, next, &entry, 1, &done) == HT_OK);
    require(hti_log_sync(log) == HT_OK);
    hti_log_free(log);
    require(hti_log_open(disk, 4096, true, &cache, &found, text, sizeof(text),
                         &log) == HT_OK);
    require(hti_cache_get(&cache, next) != NULL &&
            hti_cache_get(&cache, next)->term == 9);
    hti_log_free(log);
    hti_entry_unref(entry);
    hti_cache_fini(&cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_disk files = {0};
    struct hti_disk disk = {.ops = &fuzz_disk_ops, .arg = &files};
    struct hti_boot boot = {0};
    struct hti_store *store = NULL;
    char text[200] = "";
    size_t meta;
    ht_err err;

    if (size < 3) {
        return 0;
    }
    meta = (size_t)(data[1] | data[2] << 8) % (size - 2);
    fuzz_disk_put(&files, 0, "meta", data + 3, meta);
    fuzz_disk_put(&files, 1, "log-0000000000000001", data + 3 + meta,
                  size - 3 - meta);
    if (data[0] & 1) {
        struct hti_meta good = {.id = 1, .group = 1, .term = 1u << 20};

        put_right(files.files[1].bytes, files.files[1].len);
        require(hti_meta_create(&disk, &good) == HT_OK);
    }
    err = hti_store_open(&disk, 4096, false, &boot, &store, text, sizeof(text));
    require(err != HT_ECORRUPT || text[0] != '\0');
    hti_boot_fini(&boot);
    hti_store_free(store);
    if (err == HT_OK) {
        append_and_reopen(&disk);
    }
    fuzz_disk_fini(&files);
    return 0;
}
