/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/snap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/bytes.h"
#include "raft/snap_format.h"

void hti_snap_name(char name[32], uint64_t index)
{
    (void)snprintf(name, 32, "snap-%016" PRIx64, index);
}

void hti_snap_info_fini(struct hti_snap_info *info)
{
    free(info->conf);
    *info = (struct hti_snap_info){0};
}

ht_err hti_snap_info_copy(const struct hti_snap_info *from,
                          struct hti_snap_info *ret_info)
{
    uint8_t *conf = malloc(from->conf_len + 1u);

    if (conf == NULL) {
        return HT_ENOMEM;
    }
    if (from->conf_len > 0) {
        memcpy(conf, from->conf, from->conf_len);
    }
    *ret_info = *from;
    ret_info->conf = conf;
    return HT_OK;
}

static ht_err encode_head(const struct hti_snap_info *info,
                          struct hti_wbuf *buf)
{
    uint8_t *start = hti_wbuf_take(buf, HTI_SNAP_FIXED);

    hti_put_u64(buf, info->index);
    hti_put_u64(buf, info->term);
    hti_put_u64(buf, info->time_ms);
    hti_put_u64(buf, info->conf_index);
    hti_put_u64(buf, info->group);
    hti_put_u32(buf, info->conf_len);
    hti_put_bytes(buf, info->conf, info->conf_len);
    if (buf->failed || start == NULL) {
        return HT_ENOMEM;
    }
    memset(buf->data, 0, HTI_SNAP_FIXED);
    memcpy(buf->data, HTI_SNAP_MAGIC, 8);
    hti_le32(buf->data + 8, HTI_SNAP_VERSION);
    hti_le32(buf->data + 12, (uint32_t)buf->len);
    hti_le32(buf->data + 16,
             hti_crc(buf->data + HTI_SNAP_FIXED, buf->len - HTI_SNAP_FIXED));
    return HT_OK;
}

ht_err hti_snap_create(const struct hti_disk *disk,
                       const struct hti_snap_info *info,
                       struct hti_snap_writer *ret_writer)
{
    struct hti_snap_writer writer = {0};
    struct hti_wbuf buf = {0};
    ht_err err = encode_head(info, &buf);

    if (err == HT_OK) {
        writer.fd =
            disk->ops->open(disk->arg, HTI_SNAP_WRITTEN, HTI_DISK_CREATE);
        err = writer.fd < 0 ? hti_disk_err(writer.fd)
                            : hti_disk_err(disk->ops->pwrite(
                                  disk->arg, writer.fd, buf.data, buf.len, 0));
        writer.at = buf.len;
        if (err == HT_OK) {
            *ret_writer = writer;
        } else if (writer.fd >= 0) {
            hti_snap_abandon(disk, &writer);
        }
    }
    hti_wbuf_fini(&buf);
    return err;
}

ht_err hti_snap_write(const struct hti_disk *disk,
                      struct hti_snap_writer *writer,
                      const void *data,
                      size_t len)
{
    uint8_t head[8];
    int err;

    hti_le32(head, (uint32_t)len);
    hti_le32(head + 4, hti_crc(data, len));
    err = disk->ops->pwrite(disk->arg, writer->fd, head, 8, writer->at);
    if (err == 0) {
        err =
            disk->ops->pwrite(disk->arg, writer->fd, data, len, writer->at + 8);
    }
    writer->at += 8 + len;
    writer->bytes += len;
    return hti_disk_err(err);
}

ht_err hti_snap_finish(const struct hti_disk *disk,
                       struct hti_snap_writer *writer,
                       uint64_t *ret_size)
{
    uint8_t end[16] = {0};
    int err;

    hti_le64(end + 8, writer->bytes);
    hti_le32(end + 4, hti_crc(end + 8, 8));
    err =
        disk->ops->pwrite(disk->arg, writer->fd, end, sizeof(end), writer->at);
    if (err == 0) {
        err = disk->ops->sync(disk->arg, writer->fd);
    }
    disk->ops->close(disk->arg, writer->fd);
    writer->fd = -1;
    *ret_size = writer->at + sizeof(end);
    return hti_disk_err(err);
}

void hti_snap_abandon(const struct hti_disk *disk,
                      struct hti_snap_writer *writer)
{
    if (writer->fd >= 0) {
        disk->ops->close(disk->arg, writer->fd);
    }
    writer->fd = -1;
    (void)disk->ops->unlink(disk->arg, HTI_SNAP_WRITTEN);
}

struct older {
    uint64_t newest; /* found, or to be kept */
    uint64_t *found;
    size_t count;
};

static bool index_of(const char *name, uint64_t *ret_index)
{
    char again[32];

    if (sscanf(name, "snap-%16" SCNx64, ret_index) != 1) {
        return false;
    }
    hti_snap_name(again, *ret_index);
    return strcmp(again, name) == 0;
}

static void see_newest(const char *name, uint64_t size, void *arg)
{
    struct older *older = arg;
    uint64_t index = 0;

    (void)size;
    if (index_of(name, &index) && index > older->newest) {
        older->newest = index;
    }
}

/* Names first, since a directory must not change while it is listed. */
static void see_older(const char *name, uint64_t size, void *arg)
{
    struct older *older = arg;
    uint64_t index = 0;
    uint64_t *more;

    (void)size;
    if (!index_of(name, &index) || index >= older->newest) {
        return;
    }
    more = realloc(older->found, (older->count + 1) * sizeof(uint64_t));
    if (more != NULL) {
        older->found = more;
        more[older->count++] = index;
    }
}

ht_err hti_snap_newest(const struct hti_disk *disk, uint64_t *ret_index)
{
    struct older older = {0};
    int err = disk->ops->list(disk->arg, see_newest, &older);

    if (err != 0) {
        return hti_disk_err(err);
    }
    if (older.newest == 0) {
        return HT_ENOENT;
    }
    *ret_index = older.newest;
    return HT_OK;
}

ht_err
hti_snap_install(const struct hti_disk *disk, const char *name, uint64_t index)
{
    struct older older = {.newest = index};
    char final[32];
    int err;

    hti_snap_name(final, index);
    err = disk->ops->rename(disk->arg, name, final);
    if (err == 0) {
        err = disk->ops->sync_dir(disk->arg);
    }
    if (err != 0) {
        return hti_disk_err(err);
    }
    (void)disk->ops->list(disk->arg, see_older, &older);
    for (size_t i = 0; i < older.count; i++) {
        hti_snap_name(final, older.found[i]);
        (void)disk->ops->unlink(disk->arg, final);
    }
    free(older.found);
    return HT_OK;
}
