/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h - the files of one directory, as functions: the real ones are
 * disk.c's, the simulated ones tests/sim's, which lose what was not synced.
 *
 * Names are of the directory.  Results are 0 (or a count, a descriptor) or a
 * negative errno.  A write is whole or an error; what an error left behind is
 * not known.  Thread: any, but a file is used by one at a time.
 */
#ifndef HTI_RAFT_DISK_H
#define HTI_RAFT_DISK_H

#include <hardtack/base.h>
#include <sys/types.h>

#define HTI_DISK_READ   0
#define HTI_DISK_WRITE  1 /* it exists */
#define HTI_DISK_CREATE 2 /* empty, replacing what there was */

struct hti_disk_ops {
    int (*open)(void *arg, const char *name, int how);
    void (*close)(void *arg, int fd);
    /* Fewer than len only at the end of the file. */
    ssize_t (*pread)(void *arg, int fd, void *buf, size_t len, uint64_t at);
    int (*pwrite)(void *arg, int fd, const void *buf, size_t len, uint64_t at);
    int (*sync)(void *arg, int fd);
    int (*rename)(void *arg, const char *from, const char *to);
    int (*unlink)(void *arg, const char *name);
    int (*sync_dir)(void *arg);
    int (*list)(void *arg,
                void (*fn)(const char *name, uint64_t size, void *fn_arg),
                void *fn_arg);
};

struct hti_disk {
    const struct hti_disk_ops *ops;
    void *arg;
};

/* The error that a negative errno is. */
ht_err hti_disk_err(int negative_errno);

/* A directory of the system.  create: make it if it is missing, and its
 * parents.  lock: nobody else may have it so at the same time, in this process
 * or another.  HT_EEXIST: somebody has. */
HT_MUSTUSE ht_err hti_disk_open(const char *directory,
                                bool create,
                                bool lock,
                                struct hti_disk *ret_disk);
void hti_disk_close(struct hti_disk *disk); /* a zeroed one is fine */

#endif /* HTI_RAFT_DISK_H */
