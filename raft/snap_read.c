/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/bytes.h"
#include "raft/conf.h"
#include "raft/snap.h"
#include "raft/snap_format.h"

static ht_err corrupt(const char *name,
                      uint64_t at,
                      const char *what,
                      char *text,
                      size_t text_len)
{
    (void)snprintf(text, text_len, "%s, offset %" PRIu64 ": %s", name, at,
                   what);
    return HT_ECORRUPT;
}

static ht_err read_head(const struct hti_disk *disk,
                        int fd,
                        const char *name,
                        struct hti_snap_info *ret_info,
                        uint64_t *ret_len,
                        char *text,
                        size_t text_len)
{
    uint8_t *head = malloc(HTI_SNAP_HEAD + HTI_SNAP_CONF_MAX);
    struct hti_snap_info info = {0};
    ssize_t got;
    size_t len;

    if (head == NULL) {
        return HT_ENOMEM;
    }
    got = disk->ops->pread(disk->arg, fd, head,
                           HTI_SNAP_HEAD + HTI_SNAP_CONF_MAX, 0);
    len = got > HTI_SNAP_HEAD ? hti_of_le32(head + 12) : 0;
    if (got < HTI_SNAP_HEAD || memcmp(head, HTI_SNAP_MAGIC, 8) != 0 ||
        len < HTI_SNAP_HEAD || len > (size_t)got ||
        hti_of_le32(head + 64) != len - HTI_SNAP_HEAD ||
        hti_of_le32(head + 16) !=
            hti_crc(head + HTI_SNAP_FIXED, len - HTI_SNAP_FIXED)) {
        free(head);
        return got < 0 ? hti_disk_err((int)got)
                       : corrupt(name, 0, "the head of the file is damaged",
                                 text, text_len);
    }
    if (hti_of_le32(head + 8) != HTI_SNAP_VERSION) {
        free(head);
        return corrupt(name, 8, "a format of another version", text, text_len);
    }
    info = (struct hti_snap_info){.index = hti_of_le64(head + 24),
                                  .term = hti_of_le64(head + 32),
                                  .time_ms = hti_of_le64(head + 40),
                                  .conf_index = hti_of_le64(head + 48),
                                  .group = hti_of_le64(head + 56),
                                  .conf_len = hti_of_le32(head + 64)};
    memmove(head, head + HTI_SNAP_HEAD, info.conf_len);
    info.conf = head;
    if (info.index == 0 || info.index > HTI_NUMBER_MAX || info.term == 0 ||
        info.term > HTI_NUMBER_MAX || info.conf_index == 0 ||
        info.conf_index > info.index ||
        !hti_conf_valid(info.conf, info.conf_len)) {
        free(head);
        return corrupt(name, 24, "a head that cannot be", text, text_len);
    }
    *ret_info = info;
    *ret_len = len;
    return HT_OK;
}

ht_err hti_snap_open(const struct hti_disk *disk,
                     const char *name,
                     struct hti_snap_reader *ret_reader,
                     char *text,
                     size_t text_len)
{
    struct hti_snap_reader reader = {0};
    struct hti_snap_info info = {0};
    ht_err err;

    (void)snprintf(reader.name, sizeof(reader.name), "%s", name);
    reader.fd = disk->ops->open(disk->arg, name, HTI_DISK_READ);
    if (reader.fd < 0) {
        return hti_disk_err(reader.fd);
    }
    err = read_head(disk, reader.fd, name, &info, &reader.at, text, text_len);
    hti_snap_info_fini(&info);
    if (err != HT_OK) {
        disk->ops->close(disk->arg, reader.fd);
        return err;
    }
    *ret_reader = reader;
    return HT_OK;
}

static ht_err read_end(const struct hti_disk *disk,
                       struct hti_snap_reader *reader,
                       uint32_t crc,
                       char *text,
                       size_t text_len)
{
    uint8_t end[9];
    ssize_t got = disk->ops->pread(disk->arg, reader->fd, end, sizeof(end),
                                   reader->at + 8);

    if (got < 0) {
        return hti_disk_err((int)got);
    }
    if (got != 8 || hti_crc(end, 8) != crc ||
        hti_of_le64(end) != reader->bytes) {
        return corrupt(reader->name, reader->at, "the end is damaged", text,
                       text_len);
    }
    reader->ended = true;
    return HT_OK;
}

ht_err hti_snap_next(const struct hti_disk *disk,
                     struct hti_snap_reader *reader,
                     uint8_t **ret_data,
                     size_t *ret_len,
                     char *text,
                     size_t text_len)
{
    uint8_t head[8];
    ssize_t got = disk->ops->pread(disk->arg, reader->fd, head, 8, reader->at);
    uint32_t len = got == 8 ? hti_of_le32(head) : 0;
    uint8_t *data;

    *ret_data = NULL;
    *ret_len = 0;
    if (got < 0) {
        return hti_disk_err((int)got);
    }
    if (got != 8 || len > HTI_SNAP_BLOCK_MAX) {
        return corrupt(reader->name, reader->at, "the file is cut off", text,
                       text_len);
    }
    if (len == 0) {
        return read_end(disk, reader, hti_of_le32(head + 4), text, text_len);
    }
    data = malloc(len);
    if (data == NULL) {
        return HT_ENOMEM;
    }
    got = disk->ops->pread(disk->arg, reader->fd, data, len, reader->at + 8);
    if (got != (ssize_t)len || hti_crc(data, len) != hti_of_le32(head + 4)) {
        free(data);
        return got < 0 ? hti_disk_err((int)got)
                       : corrupt(reader->name, reader->at, "a block is damaged",
                                 text, text_len);
    }
    reader->at += 8 + (uint64_t)len;
    reader->bytes += len;
    *ret_data = data;
    *ret_len = len;
    return HT_OK;
}

void hti_snap_close(const struct hti_disk *disk, struct hti_snap_reader *reader)
{
    if (reader->fd >= 0) {
        disk->ops->close(disk->arg, reader->fd);
    }
    reader->fd = -1;
}

ht_err hti_snap_check(const struct hti_disk *disk,
                      const char *name,
                      ht_err (*fn)(void *arg, ht_bytes data),
                      void *arg,
                      char *text,
                      size_t text_len)
{
    struct hti_snap_reader reader = {0};
    ht_err err = hti_snap_open(disk, name, &reader, text, text_len);

    if (err != HT_OK) {
        return err;
    }
    while (err == HT_OK && !reader.ended) {
        uint8_t *data = NULL;
        size_t len = 0;

        err = hti_snap_next(disk, &reader, &data, &len, text, text_len);
        if (err == HT_OK && len > 0 && fn != NULL) {
            err = fn(arg, (ht_bytes){data, len});
        }
        free(data);
    }
    hti_snap_close(disk, &reader);
    return err;
}

static void see_size(const char *name, uint64_t size, void *arg)
{
    struct hti_snap_reader *wanted = arg;

    if (strcmp(name, wanted->name) == 0) {
        wanted->bytes = size;
    }
}

ht_err hti_snap_head(const struct hti_disk *disk,
                     const char *name,
                     struct hti_snap_info *ret_info,
                     char *text,
                     size_t text_len)
{
    struct hti_snap_reader wanted = {0};
    int fd = disk->ops->open(disk->arg, name, HTI_DISK_READ);
    uint64_t head_len = 0;
    ht_err err;

    if (fd < 0) {
        return hti_disk_err(fd);
    }
    err = read_head(disk, fd, name, ret_info, &head_len, text, text_len);
    disk->ops->close(disk->arg, fd);
    if (err == HT_OK) {
        (void)snprintf(wanted.name, sizeof(wanted.name), "%s", name);
        (void)disk->ops->list(disk->arg, see_size, &wanted);
        ret_info->size = wanted.bytes;
    }
    return err;
}
