/* SPDX-License-Identifier: Apache-2.0 */
/* raft_disk.h - a simulated disk: what was not synced is lost at a crash,
 * sector by sector, or not. */
#ifndef TESTS_SIM_RAFT_DISK_H
#define TESTS_SIM_RAFT_DISK_H

#include "raft/disk.h"

struct rdisk;

struct rdisk *rdisk_new(uint64_t seed);
void rdisk_free(struct rdisk *disk);
struct hti_disk rdisk_as_disk(struct rdisk *disk);

/* The power fails: of what was not synced some sectors are there, and of the
 * names a part of the changes, in order. */
void rdisk_crash(struct rdisk *disk);
/* Only the process dies: the system has all that was written. */
void rdisk_close_all(struct rdisk *disk);
/* After so many more operations nothing works any more, until a crash. */
void rdisk_die_after(struct rdisk *disk, unsigned operations);
bool rdisk_died(const struct rdisk *disk);
/* No new bytes; bytes that are there can be changed. */
void rdisk_full(struct rdisk *disk, bool full);
/* The next sync fails, and what was not synced is lost. */
void rdisk_fail_sync(struct rdisk *disk);

/* No more troubles than there are. */
void rdisk_calm(struct rdisk *disk);

/* Flip a bit of a durable file whose name begins so, at chance; false: there
 * is none.  Flipped again it is as before. */
bool rdisk_flip(struct rdisk *disk,
                const char *prefix,
                uint64_t at,
                uint8_t bit);
uint64_t rdisk_size(struct rdisk *disk, const char *prefix);
/* Everything is gone: a new disk. */
void rdisk_wipe(struct rdisk *disk);

#endif /* TESTS_SIM_RAFT_DISK_H */
