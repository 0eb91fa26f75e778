/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/log_format.h"

/* Zeros are written in pieces of this. */
#define ZEROS_BYTES (256u << 10)
/* One write, at most, unless a single record is longer. */
#define BATCH_BYTES (1u << 20)

void hti_log_name(char name[32], uint64_t number)
{
    (void)snprintf(name, 32, "log-%016" PRIx64, number);
}

bool hti_log_record_read(const uint8_t *buf,
                         size_t len,
                         struct hti_log_record *ret_record)
{
    uint32_t data_len;

    if (len < HTI_LOG_HEAD) {
        return false;
    }
    data_len = hti_of_le32(buf + 4);
    if (data_len > HTI_LOG_ENTRY_MAX || data_len > len - HTI_LOG_HEAD ||
        hti_of_le64(buf + 8) == 0 ||
        hti_of_le32(buf) !=
            hti_crc(buf + 4, HTI_LOG_HEAD - 4 + (size_t)data_len)) {
        return false;
    }
    *ret_record = (struct hti_log_record){
        .seq = hti_of_le64(buf + 8),
        .durable = hti_of_le64(buf + 16),
        .index = hti_of_le64(buf + 24),
        .term = hti_of_le64(buf + 32),
        .kind = buf[40],
        .type = buf[41],
        .data = buf + HTI_LOG_HEAD,
        .len = data_len,
        .size = hti_log_record_size(data_len),
    };
    return true;
}

void hti_log_record_write(uint8_t *buf, const struct hti_log_record *record)
{
    memset(buf, 0, HTI_LOG_HEAD);
    hti_le32(buf + 4, (uint32_t)record->len);
    hti_le64(buf + 8, record->seq);
    hti_le64(buf + 16, record->durable);
    hti_le64(buf + 24, record->index);
    hti_le64(buf + 32, record->term);
    buf[40] = record->kind;
    buf[41] = record->type;
    if (record->len > 0) {
        memcpy(buf + HTI_LOG_HEAD, record->data, record->len);
    }
    memset(buf + HTI_LOG_HEAD + record->len, 0,
           hti_log_record_size(record->len) - HTI_LOG_HEAD - record->len);
    hti_le32(buf, hti_crc(buf + 4, HTI_LOG_HEAD - 4 + record->len));
}

ht_err hti_log_add_file(struct hti_log *log, uint64_t number)
{
    if (log->files_count == log->files_cap) {
        size_t cap = log->files_cap != 0 ? log->files_cap * 2 : 8;
        struct hti_log_file *more =
            realloc(log->files, cap * sizeof(log->files[0]));

        if (more == NULL) {
            return HT_ENOMEM;
        }
        log->files = more;
        log->files_cap = cap;
    }
    log->files[log->files_count++] = (struct hti_log_file){.number = number};
    return HT_OK;
}

void hti_log_holds(struct hti_log *log, uint64_t index)
{
    struct hti_log_file *file = &log->files[log->files_count - 1];

    if (!file->holds || index > file->max_index) {
        file->max_index = index;
    }
    file->holds = true;
}

static ht_err fill(const struct hti_disk *disk, int fd, uint64_t bytes)
{
    uint8_t *zeros = calloc(1, ZEROS_BYTES);
    int err = zeros != NULL ? 0 : -ENOMEM;

    for (uint64_t at = 0; err == 0 && at < bytes;) {
        size_t len = bytes - at < ZEROS_BYTES ? (size_t)(bytes - at)
                                              : (size_t)ZEROS_BYTES;

        err = disk->ops->pwrite(disk->arg, fd, zeros, len, at);
        at += len;
    }
    free(zeros);
    return hti_disk_err(err);
}

/* A file of zeros, durable, but not its name. */
static ht_err make_spare(const struct hti_log *log, uint64_t bytes)
{
    const struct hti_disk *disk = &log->disk;
    int fd = disk->ops->open(disk->arg, HTI_LOG_SPARE, HTI_DISK_CREATE);
    ht_err err = fd < 0 ? hti_disk_err(fd) : fill(disk, fd, bytes);

    if (err == HT_OK) {
        err = hti_disk_err(disk->ops->sync(disk->arg, fd));
    }
    if (fd >= 0) {
        disk->ops->close(disk->arg, fd);
    }
    if (err != HT_OK) {
        (void)disk->ops->unlink(disk->arg, HTI_LOG_SPARE);
    }
    return err;
}

bool hti_log_wants_spare(struct hti_log *log)
{
    if (log->fd < 0 || log->at <= log->size / 4 ||
        atomic_load(&log->spare) != HTI_SPARE_NONE) {
        return false;
    }
    atomic_store(&log->spare, HTI_SPARE_MADE);
    return true;
}

ht_err hti_log_prepare(struct hti_log *log)
{
    ht_err err = make_spare(log, log->file_bytes);

    atomic_store(&log->spare, err == HT_OK ? HTI_SPARE_READY : HTI_SPARE_NONE);
    return err;
}

static ht_err write_head(struct hti_log *log, uint64_t number)
{
    uint8_t head[HTI_LOG_FILE_OVERHEAD] = {0};

    hti_le64(head, HTI_LOG_MAGIC);
    hti_le32(head + 8, HTI_LOG_VERSION);
    hti_le64(head + 16, number);
    hti_le64(head + 24, log->seq);
    hti_le32(head + 12, hti_crc(head + 16, sizeof(head) - 16));
    return hti_disk_err(
        log->disk.ops->pwrite(log->disk.arg, log->fd, head, sizeof(head), 0));
}

/* Go on in the next file, with room for a record of that size.  The one before
 * is durable first: its end must never look torn once this one is there. */
static ht_err roll(struct hti_log *log, size_t record)
{
    const struct hti_disk *disk = &log->disk;
    uint64_t number =
        log->files_count > 0 ? log->files[log->files_count - 1].number + 1 : 1;
    uint64_t size = log->file_bytes;
    char name[32];
    ht_err err = log->fd >= 0 ? hti_log_sync(log) : HT_OK;
    int spare;
    int fd;

    if (size < record + HTI_LOG_FILE_OVERHEAD) {
        size = record + HTI_LOG_FILE_OVERHEAD;
    }
    if (err != HT_OK) {
        return err;
    }
    spare = atomic_load(&log->spare);
    if (spare == HTI_SPARE_MADE) {
        /* Its room is not ours to take. */
        return HT_EBUSY;
    }
    if (spare == HTI_SPARE_NONE || size != log->file_bytes) {
        err = make_spare(log, size);
        if (err != HT_OK) {
            return err;
        }
    }
    atomic_store(&log->spare, HTI_SPARE_NONE);
    fd = disk->ops->open(disk->arg, HTI_LOG_SPARE, HTI_DISK_WRITE);
    if (fd < 0) {
        return hti_disk_err(fd);
    }
    err = hti_log_add_file(log, number);
    if (err != HT_OK) {
        disk->ops->close(disk->arg, fd);
        return err;
    }
    if (log->fd >= 0) {
        disk->ops->close(disk->arg, log->fd);
    }
    log->fd = fd;
    log->size = size;
    log->at = HTI_LOG_FILE_OVERHEAD;
    hti_log_name(name, number);
    err = write_head(log, number);
    if (err == HT_OK) {
        err = hti_log_sync(log);
    }
    if (err == HT_OK) {
        err = hti_disk_err(disk->ops->rename(disk->arg, HTI_LOG_SPARE, name));
    }
    if (err == HT_OK) {
        err = hti_disk_err(disk->ops->sync_dir(disk->arg));
        log->fsyncs++;
    }
    /* Whatever failed here, it was no lack of room for more data. */
    return err == HT_ENOSPC ? HT_EIO : err;
}

static ht_err make_room(struct hti_log *log, size_t record)
{
    if (log->fd >= 0 && log->size - log->at >= record) {
        return HT_OK;
    }
    return roll(log, record);
}

static ht_err flush(struct hti_log *log, const uint8_t *buf, size_t len)
{
    ht_err err = hti_disk_err(
        log->disk.ops->pwrite(log->disk.arg, log->fd, buf, len, log->at));

    if (err == HT_OK) {
        log->at += len;
    }
    return err;
}

/* As many records as fit in the file and in one write. */
static ht_err append_some(struct hti_log *log,
                          uint64_t index,
                          struct hti_entry *const *entries,
                          size_t count,
                          size_t *ret_written)
{
    size_t room = (size_t)(log->size - log->at);
    size_t len = 0;
    size_t n = 0;
    uint8_t *buf;
    uint8_t *to;
    ht_err err;

    while (n < count && (n == 0 || len < BATCH_BYTES) &&
           hti_log_record_size(entries[n]->len) <= room - len) {
        len += hti_log_record_size(entries[n++]->len);
    }
    assert(n > 0);
    buf = malloc(len);
    if (buf == NULL) {
        return HT_ENOMEM;
    }
    to = buf;
    for (size_t i = 0; i < n; i++) {
        hti_log_record_write(to, &(struct hti_log_record){
                                     .seq = log->seq + 1 + i,
                                     .durable = log->durable,
                                     .index = index + i,
                                     .term = entries[i]->term,
                                     .kind = HTI_LOG_ENTRY,
                                     .type = entries[i]->type,
                                     .data = entries[i]->data,
                                     .len = entries[i]->len,
                                 });
        to += hti_log_record_size(entries[i]->len);
    }
    err = flush(log, buf, len);
    free(buf);
    if (err == HT_OK) {
        log->seq += n;
        hti_log_holds(log, index + n - 1);
        *ret_written = n;
    }
    return err;
}

ht_err hti_log_append(struct hti_log *log,
                      uint64_t index,
                      struct hti_entry *const *entries,
                      size_t count,
                      size_t *done)
{
    while (*done < count) {
        size_t written = 0;
        ht_err err = make_room(log, hti_log_record_size(entries[*done]->len));

        if (err == HT_OK) {
            err = append_some(log, index + *done, entries + *done,
                              count - *done, &written);
        }
        if (err != HT_OK) {
            return err;
        }
        *done += written;
    }
    return HT_OK;
}

ht_err hti_log_reset(struct hti_log *log, uint64_t index)
{
    uint8_t buf[HTI_LOG_HEAD];
    ht_err err = make_room(log, sizeof(buf));

    if (err != HT_OK) {
        return err;
    }
    hti_log_record_write(buf, &(struct hti_log_record){.seq = log->seq + 1,
                                                       .durable = log->durable,
                                                       .index = index,
                                                       .kind = HTI_LOG_RESET});
    err = flush(log, buf, sizeof(buf));
    if (err == HT_OK) {
        log->seq++;
        hti_log_holds(log, index);
    }
    return err;
}

ht_err hti_log_sync(struct hti_log *log)
{
    int err;

    if (log->fd < 0) {
        return HT_OK;
    }
    err = log->disk.ops->sync(log->disk.arg, log->fd);
    log->fsyncs++;
    if (err != 0) {
        return HT_EIO;
    }
    log->durable = log->seq;
    return HT_OK;
}

ht_err hti_log_trim(struct hti_log *log, uint64_t index)
{
    size_t gone = 0;
    int err = 0;

    /* Oldest first, so that what is left has no hole after a crash. */
    while (err == 0 && gone + 1 < log->files_count &&
           (!log->files[gone].holds || log->files[gone].max_index < index)) {
        char name[32];

        hti_log_name(name, log->files[gone].number);
        err = log->disk.ops->unlink(log->disk.arg, name);
        if (err == 0) {
            err = log->disk.ops->sync_dir(log->disk.arg);
            gone++;
        }
    }
    log->files_count -= gone;
    memmove(log->files, log->files + gone,
            log->files_count * sizeof(log->files[0]));
    return hti_disk_err(err);
}

uint64_t hti_log_fsyncs(const struct hti_log *log)
{
    return log->fsyncs;
}

void hti_log_free(struct hti_log *log)
{
    if (log == NULL) {
        return;
    }
    if (log->fd >= 0) {
        log->disk.ops->close(log->disk.arg, log->fd);
    }
    free(log->files);
    free(log);
}
