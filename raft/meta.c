/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/meta.h"

#include <stdio.h>
#include <string.h>

#include "raft/bytes.h"

#define MAGIC      0x544d746661725448u /* "HTraftMT" */
#define VERSION    1
#define SLOT_BYTES 64
#define SLOT_SPACE 4096 /* apart, so that no sector holds both */
#define FILE_NAME  "meta"
#define NEW_NAME   "meta-new"

static void encode(uint8_t slot[SLOT_BYTES], const struct hti_meta *meta)
{
    memset(slot, 0, SLOT_BYTES);
    hti_le64(slot, MAGIC);
    hti_le32(slot + 8, VERSION);
    hti_le64(slot + 16, meta->id);
    hti_le64(slot + 24, meta->group);
    hti_le64(slot + 32, meta->term);
    hti_le64(slot + 40, meta->vote);
    hti_le32(slot + 12, hti_crc(slot + 16, SLOT_BYTES - 16));
}

static bool decode(const uint8_t slot[SLOT_BYTES], struct hti_meta *meta)
{
    if (hti_of_le64(slot) != MAGIC ||
        hti_of_le32(slot + 12) != hti_crc(slot + 16, SLOT_BYTES - 16) ||
        hti_of_le32(slot + 8) != VERSION) {
        return false;
    }
    *meta = (struct hti_meta){.id = hti_of_le64(slot + 16),
                              .group = hti_of_le64(slot + 24),
                              .term = hti_of_le64(slot + 32),
                              .vote = hti_of_le64(slot + 40)};
    return meta->id != 0 && meta->term <= HTI_NUMBER_MAX;
}

ht_err hti_meta_read(const struct hti_disk *disk,
                     struct hti_meta *ret_meta,
                     bool *ret_uneven,
                     char *text,
                     size_t text_len)
{
    uint8_t slots[2][SLOT_BYTES] = {{0}};
    struct hti_meta meta[2] = {{0}};
    bool good[2];
    int fd = disk->ops->open(disk->arg, FILE_NAME, HTI_DISK_READ);

    if (fd < 0) {
        return hti_disk_err(fd);
    }
    for (int i = 0; i < 2; i++) {
        ssize_t got = disk->ops->pread(disk->arg, fd, slots[i], SLOT_BYTES,
                                       (uint64_t)i * SLOT_SPACE);

        if (got < 0) {
            disk->ops->close(disk->arg, fd);
            return hti_disk_err((int)got);
        }
        good[i] = got == SLOT_BYTES && decode(slots[i], &meta[i]);
    }
    disk->ops->close(disk->arg, fd);
    if (!good[0] && !good[1]) {
        (void)snprintf(text, text_len, "%s: both copies are damaged",
                       FILE_NAME);
        return HT_ECORRUPT;
    }
    /* The first is written first: when both are good it is the newer. */
    *ret_meta = good[0] ? meta[0] : meta[1];
    *ret_uneven = memcmp(slots[0], slots[1], SLOT_BYTES) != 0;
    return HT_OK;
}

static int write_slots(const struct hti_disk *disk,
                       int fd,
                       const struct hti_meta *meta,
                       uint64_t *ret_fsyncs)
{
    uint8_t slot[SLOT_BYTES];
    int err = 0;

    encode(slot, meta);
    for (uint64_t i = 0; err == 0 && i < 2; i++) {
        err = disk->ops->pwrite(disk->arg, fd, slot, sizeof(slot),
                                i * SLOT_SPACE);
        if (err == 0) {
            err = disk->ops->sync(disk->arg, fd);
            ++*ret_fsyncs;
        }
    }
    return err;
}

ht_err hti_meta_create(const struct hti_disk *disk, const struct hti_meta *meta)
{
    uint64_t fsyncs = 0;
    int fd = disk->ops->open(disk->arg, NEW_NAME, HTI_DISK_CREATE);
    int err = fd < 0 ? fd : write_slots(disk, fd, meta, &fsyncs);

    if (fd >= 0) {
        disk->ops->close(disk->arg, fd);
    }
    if (err == 0) {
        err = disk->ops->rename(disk->arg, NEW_NAME, FILE_NAME);
    }
    if (err == 0) {
        err = disk->ops->sync_dir(disk->arg);
    }
    return hti_disk_err(err);
}

ht_err hti_meta_write(const struct hti_disk *disk,
                      const struct hti_meta *meta,
                      uint64_t *ret_fsyncs)
{
    int fd = disk->ops->open(disk->arg, FILE_NAME, HTI_DISK_WRITE);
    int err = fd < 0 ? fd : write_slots(disk, fd, meta, ret_fsyncs);

    if (fd >= 0) {
        disk->ops->close(disk->arg, fd);
    }
    return err == 0 ? HT_OK : HT_EIO;
}
