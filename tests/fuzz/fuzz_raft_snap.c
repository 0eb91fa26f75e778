/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_raft_snap.c - no bytes harm the reader of a snapshot; what it takes has
 * a head that can be used.
 *
 * Input: a byte whose lowest bit says whether checksums are put right; the
 * file.
 */
#include "raft/bytes.h"
#include "raft/conf.h"
#include "raft/snap.h"
#include "raft/snap_format.h"
#include "tests/fuzz/raft_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_right(uint8_t *file, size_t len)
{
    size_t head;

    if (len < HTI_SNAP_HEAD) {
        return;
    }
    memcpy(file, HTI_SNAP_MAGIC, 8);
    hti_le32(file + 8, HTI_SNAP_VERSION);
    head = HTI_SNAP_HEAD + hti_of_le32(file + 64) % (len - HTI_SNAP_HEAD + 1);
    hti_le32(file + 12, (uint32_t)head);
    hti_le32(file + 64, (uint32_t)(head - HTI_SNAP_HEAD));
    hti_le32(file + 16, hti_crc(file + HTI_SNAP_FIXED, head - HTI_SNAP_FIXED));
    for (size_t at = head; len - at >= 8;) {
        size_t block = hti_of_le32(file + at) % 64;

        if (block > len - at - 8) {
            return;
        }
        hti_le32(file + at, (uint32_t)block);
        hti_le32(file + at + 4, hti_crc(file + at + 8, block != 0 ? block
                                                       : len - at - 8 < 8 ? 0
                                                                          : 8));
        at += 8 + block;
        if (block == 0) {
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_disk files = {0};
    struct hti_disk disk = {.ops = &fuzz_disk_ops, .arg = &files};
    struct hti_snap_info info = {0};
    char text[200] = "";
    ht_err err;

    if (size < 1) {
        return 0;
    }
    fuzz_disk_put(&files, 0, "snap-0000000000000005", data + 1, size - 1);
    if (data[0] & 1) {
        put_right(files.files[0].bytes, size - 1);
    }
    err = hti_snap_check(&disk, "snap-0000000000000005", NULL, NULL, text,
                         sizeof(text));
    if (err == HT_ECORRUPT && text[0] == '\0') {
        abort();
    }
    err = hti_snap_head(&disk, "snap-0000000000000005", &info, text,
                        sizeof(text));
    if (err == HT_OK) {
        struct raft_configuration conf;

        if (hti_conf_decode(info.conf, info.conf_len, &conf) != HT_OK) {
            abort();
        }
        raft_configuration_close(&conf);
    }
    hti_snap_info_fini(&info);
    fuzz_disk_fini(&files);
    return 0;
}
