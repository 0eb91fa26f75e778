/* SPDX-License-Identifier: Apache-2.0 */
/* log_format.h - the bytes of the log, shared by its writer and its reader.
 *
 * file:   magic[8] version u32 crc u32 number u64 previous u64 zeros[32]
 * record: crc u32 len u32 seq u64 durable u64 index u64 term u64
 *         kind u8 type u8 zeros[6] data[len] zeros to a multiple of 8
 *
 * The crc of a file's head is of what follows it; a record's of all that
 * follows, its data included.  previous: the number of the last record of the
 * files before.
 */
#ifndef HTI_RAFT_LOG_FORMAT_H
#define HTI_RAFT_LOG_FORMAT_H

#include <stdatomic.h>

#include "raft/bytes.h"
#include "raft/log.h"

#define HTI_LOG_MAGIC   0x474c746661725448u /* "HTraftLG" */
#define HTI_LOG_VERSION 1
#define HTI_LOG_HEAD    48
#define HTI_LOG_ENTRY   1
#define HTI_LOG_RESET   2
#define HTI_LOG_SPARE   "log-spare"

enum { HTI_SPARE_NONE, HTI_SPARE_MADE, HTI_SPARE_READY };

struct hti_log_file {
    uint64_t number;
    uint64_t max_index; /* of its entries */
    bool holds;         /* any entry */
};

struct hti_log {
    struct hti_disk disk;
    uint32_t file_bytes;
    struct hti_log_file *files; /* oldest first; the last is written to */
    size_t files_count;
    size_t files_cap;
    int fd;        /* of the last, -1: none yet */
    uint64_t size; /* of it */
    uint64_t at;   /* where the next record goes */
    uint64_t seq;  /* of the last record */
    uint64_t durable;
    _Atomic int spare; /* HTI_LOG_SPARE: one of these */
    uint64_t fsyncs;
};

struct hti_log_record {
    uint64_t seq;
    uint64_t durable;
    uint64_t index;
    uint64_t term;
    uint8_t kind;
    uint8_t type;
    const uint8_t *data;
    size_t len;
    size_t size; /* with head and padding */
};

static inline size_t hti_log_record_size(size_t len)
{
    return (HTI_LOG_HEAD + len + 7) & ~(size_t)7;
}

/* Whether a whole and right record begins at buf. */
bool hti_log_record_read(const uint8_t *buf,
                         size_t len,
                         struct hti_log_record *ret_record);
void hti_log_record_write(uint8_t *buf, const struct hti_log_record *record);
void hti_log_name(char name[32], uint64_t number);
/* Remember another file, the newest. */
HT_MUSTUSE ht_err hti_log_add_file(struct hti_log *log, uint64_t number);
/* The newest file holds an entry. */
void hti_log_holds(struct hti_log *log, uint64_t index);

#endif /* HTI_RAFT_LOG_FORMAT_H */
