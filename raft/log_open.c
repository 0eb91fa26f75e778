/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the log: see log.h for what is repaired and what is refused. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/log_format.h"

struct reading {
    struct hti_log *log;
    struct hti_cache *cache; /* NULL: check only */
    struct hti_log_found found;
    uint64_t first; /* of the entries that are there now; 0: unknown */
    uint64_t count;
    uint64_t *numbers; /* of the files on the disk */
    size_t numbers_count;
    bool failed; /* out of memory */
    bool read_only;
    char *text;
    size_t text_len;
};

static ht_err
corrupt(struct reading *reading, uint64_t number, uint64_t at, const char *what)
{
    (void)snprintf(reading->text, reading->text_len,
                   "log-%016" PRIx64 ", offset %" PRIu64 ": %s", number, at,
                   what);
    return HT_ECORRUPT;
}

static void see_file(const char *name, uint64_t size, void *arg)
{
    struct reading *reading = arg;
    uint64_t number = 0;
    uint64_t *more;
    char again[32];

    (void)size;
    if (strcmp(name, HTI_LOG_SPARE) == 0 && !reading->read_only) {
        /* Maybe not whole. */
        (void)reading->log->disk.ops->unlink(reading->log->disk.arg, name);
        return;
    }
    if (sscanf(name, "log-%16" SCNx64, &number) != 1) {
        return;
    }
    hti_log_name(again, number);
    if (strcmp(again, name) != 0) {
        return;
    }
    more = realloc(reading->numbers,
                   (reading->numbers_count + 1) * sizeof(uint64_t));
    if (more == NULL) {
        reading->failed = true;
        return;
    }
    reading->numbers = more;
    more[reading->numbers_count++] = number;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static ht_err read_file(const struct hti_disk *disk,
                        uint64_t number,
                        int *ret_fd,
                        uint8_t **ret_buf,
                        size_t *ret_len,
                        bool read_only)
{
    size_t cap = 1u << 20;
    uint8_t *buf = NULL;
    size_t len = 0;
    ssize_t got = 0;
    char name[32];
    int fd;

    hti_log_name(name, number);
    fd = disk->ops->open(disk->arg, name,
                         read_only ? HTI_DISK_READ : HTI_DISK_WRITE);
    if (fd < 0) {
        return hti_disk_err(fd);
    }
    do {
        uint8_t *more = realloc(buf, cap);

        if (more == NULL) {
            got = -ENOMEM;
            break;
        }
        buf = more;
        got = disk->ops->pread(disk->arg, fd, buf + len, cap - len, len);
        len += got > 0 ? (size_t)got : 0;
        cap *= 2;
    } while (got > 0 && len == cap / 2);
    if (got < 0) {
        free(buf);
        disk->ops->close(disk->arg, fd);
        return hti_disk_err((int)got);
    }
    *ret_fd = fd;
    *ret_buf = buf;
    *ret_len = len;
    return HT_OK;
}

static ht_err take_entry(struct reading *reading,
                         const struct hti_log_record *record,
                         uint64_t number,
                         uint64_t at)
{
    struct hti_entry *entry;

    if (record->index == 0 || record->index > HTI_NUMBER_MAX ||
        record->term == 0 || record->term > HTI_NUMBER_MAX ||
        record->type < HTI_ENTRY_COMMAND || record->type > HTI_ENTRY_CHANGE) {
        return corrupt(reading, number, at, "an entry that cannot be");
    }
    /* Or one that took the place of entries whose own predecessors are in
     * files that were removed since. */
    if (reading->first == 0 || record->index < reading->first) {
        reading->first = record->index;
        reading->count = 0;
        if (reading->cache != NULL) {
            hti_cache_reset(reading->cache, record->index);
        }
    }
    if (record->index > reading->first + reading->count) {
        return corrupt(reading, number, at,
                       "an entry that does not follow the one before");
    }
    reading->count = record->index - reading->first + 1;
    if (reading->cache == NULL) {
        return HT_OK;
    }
    hti_cache_cut(reading->cache, record->index);
    entry = hti_entry_new(record->term, record->type, record->len);
    if (entry == NULL) {
        return HT_ENOMEM;
    }
    if (record->len > 0) {
        memcpy(entry->data, record->data, record->len);
    }
    if (hti_cache_push(reading->cache, entry) != HT_OK) {
        hti_entry_unref(entry);
        return HT_ENOMEM;
    }
    return HT_OK;
}

static ht_err take_record(struct reading *reading,
                          const struct hti_log_record *record,
                          uint64_t number,
                          uint64_t at)
{
    ht_err err = HT_OK;

    switch (record->kind) {
    case HTI_LOG_ENTRY:
        err = take_entry(reading, record, number, at);
        break;
    case HTI_LOG_RESET:
        if (record->index > HTI_NUMBER_MAX) {
            return corrupt(reading, number, at, "a record that cannot be");
        }
        reading->first = record->index + 1;
        reading->count = 0;
        if (reading->cache != NULL) {
            hti_cache_reset(reading->cache, record->index + 1);
        }
        break;
    default:
        return corrupt(reading, number, at, "a record of an unknown kind");
    }
    if (err == HT_OK) {
        reading->log->seq = record->seq;
        hti_log_holds(reading->log, record->index);
    }
    return err;
}

/* Whether a record after at says that the one at at was durable. */
static bool was_durable(const struct hti_log *log,
                        const uint8_t *buf,
                        size_t len,
                        size_t at)
{
    for (size_t i = at + 8; i + HTI_LOG_HEAD <= len; i += 8) {
        struct hti_log_record record;

        if (hti_of_le64(buf + i + 8) > log->seq &&
            hti_of_le64(buf + i + 16) > log->seq &&
            hti_log_record_read(buf + i, len - i, &record)) {
            return true;
        }
    }
    return false;
}

/* Nothing of a torn tail may be left: a later record that ends where an old one
 * begins would bring that one back. */
static ht_err
clear_tail(struct reading *reading, int fd, uint8_t *buf, size_t len, size_t at)
{
    const struct hti_disk *disk = &reading->log->disk;
    size_t end = len;
    int err;

    while (end > at && buf[end - 1] == 0) {
        end--;
    }
    reading->found.torn_bytes += end - at;
    if (end == at || reading->read_only) {
        return HT_OK;
    }
    memset(buf + at, 0, end - at);
    err = disk->ops->pwrite(disk->arg, fd, buf + at, end - at, at);
    if (err == 0) {
        err = disk->ops->sync(disk->arg, fd);
    }
    return hti_disk_err(err);
}

static ht_err check_head(struct reading *reading,
                         uint64_t number,
                         const uint8_t *buf,
                         size_t len)
{
    if (len < HTI_LOG_FILE_OVERHEAD || hti_of_le64(buf) != HTI_LOG_MAGIC ||
        hti_of_le32(buf + 12) !=
            hti_crc(buf + 16, HTI_LOG_FILE_OVERHEAD - 16) ||
        hti_of_le64(buf + 16) != number ||
        hti_of_le64(buf + 24) > HTI_NUMBER_MAX) {
        return corrupt(reading, number, 0, "the head of the file is damaged");
    }
    if (hti_of_le32(buf + 8) != HTI_LOG_VERSION) {
        return corrupt(reading, number, 8, "a format of another version");
    }
    if (reading->log->files_count == 0) {
        reading->log->seq = hti_of_le64(buf + 24);
    } else if (hti_of_le64(buf + 24) != reading->log->seq) {
        return corrupt(reading, number, 24,
                       "records are missing before this file");
    }
    return HT_OK;
}

static ht_err scan(struct reading *reading,
                   uint64_t number,
                   int fd,
                   uint8_t *buf,
                   size_t len,
                   bool last)
{
    size_t at = HTI_LOG_FILE_OVERHEAD;
    struct hti_log_record record;
    ht_err err = check_head(reading, number, buf, len);

    if (err == HT_OK) {
        err = hti_log_add_file(reading->log, number);
    }
    while (err == HT_OK && hti_log_record_read(buf + at, len - at, &record) &&
           record.seq == reading->log->seq + 1) {
        err = take_record(reading, &record, number, at);
        at += record.size;
        at = at < len ? at : len;
    }
    if (err != HT_OK) {
        return err;
    }
    if (was_durable(reading->log, buf, len, at)) {
        return corrupt(reading, number, at,
                       "a record is damaged that was durable");
    }
    if (last) {
        reading->log->at = at;
        reading->log->size = len;
        return clear_tail(reading, fd, buf, len, at);
    }
    return HT_OK;
}

static ht_err scan_all(struct reading *reading)
{
    struct hti_log *log = reading->log;
    ht_err err = HT_OK;

    for (size_t i = 0; err == HT_OK && i < reading->numbers_count; i++) {
        uint64_t number = reading->numbers[i];
        bool last = i + 1 == reading->numbers_count;
        uint8_t *buf = NULL;
        size_t len = 0;
        int fd = -1;

        if (i > 0 && number != reading->numbers[i - 1] + 1) {
            return corrupt(reading, number, 0,
                           "the file before this one is missing");
        }
        err =
            read_file(&log->disk, number, &fd, &buf, &len, reading->read_only);
        if (err == HT_OK) {
            err = scan(reading, number, fd, buf, len, last);
        }
        free(buf);
        if (fd >= 0 && last && err == HT_OK) {
            log->fd = fd;
        } else if (fd >= 0) {
            log->disk.ops->close(log->disk.arg, fd);
        }
    }
    return err;
}

ht_err hti_log_open(const struct hti_disk *disk,
                    uint32_t file_bytes,
                    bool read_only,
                    struct hti_cache *cache,
                    struct hti_log_found *ret_found,
                    char *text,
                    size_t text_len,
                    struct hti_log **ret_log)
{
    struct hti_log *log = calloc(1, sizeof(*log));
    struct reading reading = {.log = log,
                              .cache = cache,
                              .read_only = read_only,
                              .text = text,
                              .text_len = text_len};
    ht_err err;

    if (log == NULL) {
        return HT_ENOMEM;
    }
    log->disk = *disk;
    log->file_bytes = file_bytes;
    log->fd = -1;
    err = hti_disk_err(disk->ops->list(disk->arg, see_file, &reading));
    if (reading.failed) {
        err = HT_ENOMEM;
    }
    if (err == HT_OK && reading.numbers_count > 0) {
        qsort(reading.numbers, reading.numbers_count, sizeof(uint64_t),
              by_number);
        err = scan_all(&reading);
    }
    free(reading.numbers);
    /* What was read may be in the system's memory only. */
    if (err == HT_OK && !read_only) {
        err = hti_log_sync(log);
    }
    if (err != HT_OK) {
        hti_log_free(log);
        return err;
    }
    reading.found.entries = reading.count;
    reading.found.files = (uint32_t)reading.numbers_count;
    *ret_found = reading.found;
    *ret_log = log;
    return HT_OK;
}
