/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - the entries on disk: append-only records in numbered files.
 *
 * A file ("log-" and 16 hex digits) is zero-filled when it is made, so that a
 * sync writes data only.  A record has a number that only grows, and says which
 * number was durable when it was written.  The log is never cut: an entry whose
 * index is not above the last one's takes the place of that and of all after
 * it; a RESET record forgets everything.  So after a crash
 *
 *   a damaged record, and no record after it that was written when it was
 *   durable already, is a torn tail: nobody was ever told of it, it is cleared;
 *   a damaged record that a later one says was durable is corruption, and the
 *   log is refused.
 *
 * What cannot be told apart: damage to the very last batch before a crash, and
 * a torn tail.
 *
 * Thread: one at a time, but for hti_log_prepare().
 */
#ifndef HTI_RAFT_LOG_H
#define HTI_RAFT_LOG_H

#include "raft/disk.h"
#include "raft/entry.h"

#define HTI_LOG_FILE_OVERHEAD  64 /* bytes of a file's head */
#define HTI_LOG_ENTRY_OVERHEAD 56 /* at most, of a record */
#define HTI_LOG_ENTRY_MAX      (16u << 20)

struct hti_log;

/* What was read: entries from first on, in cache, which is reset. */
struct hti_log_found {
    uint64_t entries;
    uint64_t torn_bytes;
    uint32_t files;
};

/* Read the log of a disk, repair its tail unless read_only, be ready to
 * append.  cache may be NULL: check only.  HT_ECORRUPT with where and what in
 * text.  A disk without a log is an empty one. */
HT_MUSTUSE ht_err hti_log_open(const struct hti_disk *disk,
                               uint32_t file_bytes,
                               bool read_only,
                               struct hti_cache *cache,
                               struct hti_log_found *ret_found,
                               char *text,
                               size_t text_len,
                               struct hti_log **ret_log);
void hti_log_free(struct hti_log *log);

/* Write entries from index on; durable only after hti_log_sync().  *done (from
 * 0 on the first try) counts those that are written: after HT_ENOSPC, or
 * HT_EBUSY (the next file is being made), call again with the same.  Other
 * errors are final.
 */
HT_MUSTUSE ht_err hti_log_append(struct hti_log *log,
                                 uint64_t index,
                                 struct hti_entry *const *entries,
                                 size_t count,
                                 size_t *done);
/* Forget everything: the next entry is index + 1.  HT_ENOSPC, HT_EBUSY: try
 * again. */
HT_MUSTUSE ht_err hti_log_reset(struct hti_log *log, uint64_t index);
HT_MUSTUSE ht_err hti_log_sync(struct hti_log *log);
/* Remove the files that hold no entry from index on. */
HT_MUSTUSE ht_err hti_log_trim(struct hti_log *log, uint64_t index);

/* Whether the next file should be made now, while this one has room; said
 * once: the caller sees to it that hti_log_prepare() is called. */
bool hti_log_wants_spare(struct hti_log *log);
/* Make it; on any thread.  HT_ENOSPC is no harm yet. */
HT_MUSTUSE ht_err hti_log_prepare(struct hti_log *log);

uint64_t hti_log_fsyncs(const struct hti_log *log);

#endif /* HTI_RAFT_LOG_H */
