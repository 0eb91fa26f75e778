/* SPDX-License-Identifier: Apache-2.0 */
/* meta.h - who a member is, its term and its vote: one small file of two equal
 * slots, each with a checksum.
 *
 * Both slots are written and synced, one after the other, before a vote counts:
 * so a crash leaves one of them whole, and damage to one is seen and survived.
 */
#ifndef HTI_RAFT_META_H
#define HTI_RAFT_META_H

#include "raft/disk.h"

struct hti_meta {
    uint64_t id;    /* of the member; never 0 */
    uint64_t group; /* drawn at bootstrap; 0: not yet in one */
    uint64_t term;
    uint64_t vote; /* a member's id, 0: none */
};

/* HT_ENOENT: there is none; HT_ECORRUPT, with what in text.  *ret_uneven: the
 * copies differ or one is damaged, and should be written again. */
HT_MUSTUSE ht_err hti_meta_read(const struct hti_disk *disk,
                                struct hti_meta *ret_meta,
                                bool *ret_uneven,
                                char *text,
                                size_t text_len);
/* Make the file, durable. */
HT_MUSTUSE ht_err hti_meta_create(const struct hti_disk *disk,
                                  const struct hti_meta *meta);
/* Replace what it says, durable.  Needs no room on the disk.  *ret_fsyncs is
 * added to. */
HT_MUSTUSE ht_err hti_meta_write(const struct hti_disk *disk,
                                 const struct hti_meta *meta,
                                 uint64_t *ret_fsyncs);

#endif /* HTI_RAFT_META_H */
