/* SPDX-License-Identifier: Apache-2.0 */
/* snap.h - snapshots on disk: the state up to an index, one file each.
 *
 * A file is written under another name and is there, whole, from its rename on.
 * What is sent to another member is the file as it is.
 *
 * file:  magic[8] version u32 head_len u32 head_crc u32 zero u32
 *        index u64 term u64 time_ms u64 conf_index u64 group u64
 *        conf_len u32 conf[conf_len]
 *        blocks: len u32 crc u32 data[len]
 *        end: 0 u32, crc u32 of the u64 that follows: bytes of all data
 *
 * Thread: any, one at a time for one file.
 */
#ifndef HTI_RAFT_SNAP_H
#define HTI_RAFT_SNAP_H

#include "raft/disk.h"

#define HTI_SNAP_BLOCK_MAX (1u << 20)
#define HTI_SNAP_CONF_MAX  (16u << 10)
#define HTI_SNAP_WRITTEN   "snap-written"  /* being taken */
#define HTI_SNAP_RECEIVED  "snap-received" /* being received */

struct hti_snap_info {
    uint64_t index;
    uint64_t term;
    uint64_t time_ms; /* of the last entry in it */
    uint64_t conf_index;
    uint64_t group;
    uint32_t conf_len;
    uint8_t *conf; /* allocated */
    uint64_t size; /* of the file */
};
void hti_snap_info_fini(struct hti_snap_info *info);
HT_MUSTUSE ht_err hti_snap_info_copy(const struct hti_snap_info *from,
                                     struct hti_snap_info *ret_info);
void hti_snap_name(char name[32], uint64_t index);

/* ---- writing ----------------------------------------------------------- */

struct hti_snap_writer {
    int fd;
    uint64_t at;
    uint64_t bytes;
};
HT_MUSTUSE ht_err hti_snap_create(const struct hti_disk *disk,
                                  const struct hti_snap_info *info,
                                  struct hti_snap_writer *ret_writer);
HT_MUSTUSE ht_err hti_snap_write(const struct hti_disk *disk,
                                 struct hti_snap_writer *writer,
                                 const void *data,
                                 size_t len);
/* Durable under HTI_SNAP_WRITTEN; *ret_size is the file's. */
HT_MUSTUSE ht_err hti_snap_finish(const struct hti_disk *disk,
                                  struct hti_snap_writer *writer,
                                  uint64_t *ret_size);
void hti_snap_abandon(const struct hti_disk *disk,
                      struct hti_snap_writer *writer);
/* Give a durable file its name, and remove the older ones. */
HT_MUSTUSE ht_err hti_snap_install(const struct hti_disk *disk,
                                   const char *name,
                                   uint64_t index);

/* ---- reading ----------------------------------------------------------- */

/* Read and check the head.  HT_ENOENT; HT_ECORRUPT with what in text. */
HT_MUSTUSE ht_err hti_snap_head(const struct hti_disk *disk,
                                const char *name,
                                struct hti_snap_info *ret_info,
                                char *text,
                                size_t text_len);
/* The newest that has a name.  HT_ENOENT: none. */
HT_MUSTUSE ht_err hti_snap_newest(const struct hti_disk *disk,
                                  uint64_t *ret_index);
/* Read it through. fn (may be NULL) gets the data, block by block. */
HT_MUSTUSE ht_err hti_snap_check(const struct hti_disk *disk,
                                 const char *name,
                                 ht_err (*fn)(void *arg, ht_bytes data),
                                 void *arg,
                                 char *text,
                                 size_t text_len);

/* Reading the data of a file block by block. */
struct hti_snap_reader {
    char name[32];
    int fd;
    uint64_t at;
    uint64_t bytes;
    bool ended;
};
HT_MUSTUSE ht_err hti_snap_open(const struct hti_disk *disk,
                                const char *name,
                                struct hti_snap_reader *ret_reader,
                                char *text,
                                size_t text_len);
/* The next block, allocated with malloc; *ret_len 0: the end. */
HT_MUSTUSE ht_err hti_snap_next(const struct hti_disk *disk,
                                struct hti_snap_reader *reader,
                                uint8_t **ret_data,
                                size_t *ret_len,
                                char *text,
                                size_t text_len);
void hti_snap_close(const struct hti_disk *disk,
                    struct hti_snap_reader *reader);

#endif /* HTI_RAFT_SNAP_H */
