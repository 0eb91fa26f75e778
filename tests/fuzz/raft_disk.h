/* SPDX-License-Identifier: Apache-2.0 */
/* raft_disk.h - a disk in memory that holds what a fuzzer made up: up to four
 * files, the names given. */
#ifndef TESTS_FUZZ_RAFT_DISK_H
#define TESTS_FUZZ_RAFT_DISK_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raft/disk.h"

#define FUZZ_FILES 8

struct fuzz_file {
    char name[32]; /* "": none */
    uint8_t *bytes;
    size_t len;
};

struct fuzz_disk {
    struct fuzz_file files[FUZZ_FILES];
};

static inline void fuzz_disk_put(struct fuzz_disk *disk,
                                 int i,
                                 const char *name,
                                 const uint8_t *bytes,
                                 size_t len)
{
    strcpy(disk->files[i].name, name);
    disk->files[i].bytes = malloc(len + 1);
    memcpy(disk->files[i].bytes, bytes, len);
    disk->files[i].len = len;
}

static inline void fuzz_disk_fini(struct fuzz_disk *disk)
{
    for (int i = 0; i < FUZZ_FILES; i++) {
        free(disk->files[i].bytes);
    }
}

static inline int fuzz_find(struct fuzz_disk *disk, const char *name)
{
    for (int i = 0; i < FUZZ_FILES; i++) {
        if (strcmp(disk->files[i].name, name) == 0) {
            return i;
        }
    }
    return -ENOENT;
}

static inline int fuzz_open(void *arg, const char *name, int how)
{
    struct fuzz_disk *disk = arg;
    int i = fuzz_find(disk, name);

    if (i < 0 && how == HTI_DISK_CREATE) {
        i = fuzz_find(disk, "");
        if (i >= 0) {
            strcpy(disk->files[i].name, name);
        }
    }
    if (i >= 0 && how == HTI_DISK_CREATE) {
        disk->files[i].len = 0;
    }
    return i;
}

static inline void fuzz_close(void *arg, int fd)
{
    (void)arg;
    (void)fd;
}

static inline ssize_t
fuzz_pread(void *arg, int fd, void *buf, size_t len, uint64_t at)
{
    struct fuzz_file *file = &((struct fuzz_disk *)arg)->files[fd];

    if (at >= file->len) {
        return 0;
    }
    len = len < file->len - at ? len : file->len - (size_t)at;
    memcpy(buf, file->bytes + at, len);
    return (ssize_t)len;
}

static inline int
fuzz_pwrite(void *arg, int fd, const void *buf, size_t len, uint64_t at)
{
    struct fuzz_file *file = &((struct fuzz_disk *)arg)->files[fd];

    if (at + len > file->len) {
        file->bytes = realloc(file->bytes, (size_t)at + len);
        if (file->bytes == NULL) {
            abort();
        }
        memset(file->bytes + file->len, 0, (size_t)at + len - file->len);
        file->len = (size_t)at + len;
    }
    memcpy(file->bytes + at, buf, len);
    return 0;
}

static inline int fuzz_sync(void *arg, int fd)
{
    (void)arg;
    (void)fd;
    return 0;
}

static inline int fuzz_unlink(void *arg, const char *name)
{
    struct fuzz_disk *disk = arg;
    int i = fuzz_find(disk, name);

    if (i >= 0) {
        disk->files[i].name[0] = '\0';
        disk->files[i].len = 0;
    }
    return i >= 0 ? 0 : i;
}

static inline int fuzz_rename(void *arg, const char *from, const char *to)
{
    struct fuzz_disk *disk = arg;
    int i = fuzz_find(disk, from);

    (void)fuzz_unlink(arg, to);
    if (i >= 0) {
        strcpy(disk->files[i].name, to);
    }
    return i >= 0 ? 0 : i;
}

static inline int fuzz_sync_dir(void *arg)
{
    (void)arg;
    return 0;
}

static inline int
fuzz_list(void *arg,
          void (*fn)(const char *name, uint64_t size, void *fn_arg),
          void *fn_arg)
{
    struct fuzz_disk *disk = arg;
    struct fuzz_disk copy = *disk;

    for (int i = 0; i < FUZZ_FILES; i++) {
        if (copy.files[i].name[0] != '\0') {
            fn(copy.files[i].name, copy.files[i].len, fn_arg);
        }
    }
    return 0;
}

static const struct hti_disk_ops fuzz_disk_ops = {
    .open = fuzz_open,
    .close = fuzz_close,
    .pread = fuzz_pread,
    .pwrite = fuzz_pwrite,
    .sync = fuzz_sync,
    .rename = fuzz_rename,
    .unlink = fuzz_unlink,
    .sync_dir = fuzz_sync_dir,
    .list = fuzz_list,
};

#endif /* TESTS_FUZZ_RAFT_DISK_H */
