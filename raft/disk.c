/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct directory {
    int fd;
    int lock; /* -1: none */
};

ht_err hti_disk_err(int negative_errno)
{
    switch (negative_errno) {
    case 0:
        return HT_OK;
    case -ENOMEM:
        return HT_ENOMEM;
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return HT_EACCES;
    case -ENOENT:
    case -ENOTDIR:
        return HT_ENOENT;
    case -EEXIST:
        return HT_EEXIST;
    case -ENOSPC:
    case -EDQUOT:
        return HT_ENOSPC;
    default:
        return HT_EIO;
    }
}

static int disk_open(void *arg, const char *name, int how)
{
    const struct directory *dir = arg;
    int flags = how == HTI_DISK_READ    ? O_RDONLY
                : how == HTI_DISK_WRITE ? O_RDWR
                                        : O_RDWR | O_CREAT | O_TRUNC;
    int fd = openat(dir->fd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);

    return fd >= 0 ? fd : -errno;
}

static void disk_close(void *arg, int fd)
{
    (void)arg;
    (void)close(fd);
}

static ssize_t disk_pread(void *arg, int fd, void *buf, size_t len, uint64_t at)
{
    size_t got = 0;

    (void)arg;
    while (got < len) {
        ssize_t n =
            pread(fd, (uint8_t *)buf + got, len - got, (off_t)(at + got));

        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        got += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)got;
}

static int
disk_pwrite(void *arg, int fd, const void *buf, size_t len, uint64_t at)
{
    size_t put = 0;

    (void)arg;
    while (put < len) {
        ssize_t n = pwrite(fd, (const uint8_t *)buf + put, len - put,
                           (off_t)(at + put));

        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        put += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int disk_sync(void *arg, int fd)
{
    (void)arg;
    return fdatasync(fd) == 0 ? 0 : -errno;
}

static int disk_rename(void *arg, const char *from, const char *to)
{
    const struct directory *dir = arg;

    return renameat(dir->fd, from, dir->fd, to) == 0 ? 0 : -errno;
}

static int disk_unlink(void *arg, const char *name)
{
    const struct directory *dir = arg;

    return unlinkat(dir->fd, name, 0) == 0 ? 0 : -errno;
}

static int disk_sync_dir(void *arg)
{
    const struct directory *dir = arg;

    return fsync(dir->fd) == 0 ? 0 : -errno;
}

static int disk_list(void *arg,
                     void (*fn)(const char *name, uint64_t size, void *fn_arg),
                     void *fn_arg)
{
    const struct directory *dir = arg;
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (list == NULL) {
        int err = -errno;

        if (fd >= 0) {
            (void)close(fd);
        }
        return err;
    }
    while ((entry = readdir(list)) != NULL) {
        struct stat st;

        if (fstatat(dir->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode)) {
            fn(entry->d_name, (uint64_t)st.st_size, fn_arg);
        }
    }
    (void)closedir(list);
    return 0;
}

static const struct hti_disk_ops disk_ops = {
    .open = disk_open,
    .close = disk_close,
    .pread = disk_pread,
    .pwrite = disk_pwrite,
    .sync = disk_sync,
    .rename = disk_rename,
    .unlink = disk_unlink,
    .sync_dir = disk_sync_dir,
    .list = disk_list,
};

static int make_directories(const char *path)
{
    char copy[4096];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(copy)) {
        return -ENAMETOOLONG;
    }
    memcpy(copy, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (copy[i] != '/' && copy[i] != '\0') {
            continue;
        }
        copy[i] = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST) {
            return -errno;
        }
        copy[i] = path[i];
    }
    return 0;
}

/* flock(), so that a lock ends with whoever had it, and so that two members in
 * one process are kept apart too. */
static int lock_directory(struct directory *dir)
{
    dir->lock = openat(dir->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (dir->lock < 0) {
        return -errno;
    }
    if (flock(dir->lock, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? -EEXIST : -errno;
    }
    return 0;
}

ht_err hti_disk_open(const char *directory,
                     bool create,
                     bool lock,
                     struct hti_disk *ret_disk)
{
    struct directory *dir = malloc(sizeof(*dir));
    int err = dir != NULL ? 0 : -ENOMEM;

    if (err == 0 && create) {
        err = make_directories(directory);
    }
    if (err == 0) {
        dir->lock = -1;
        dir->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        err = dir->fd >= 0 ? 0 : -errno;
        if (err == 0 && lock) {
            err = lock_directory(dir);
        }
        if (err == 0) {
            *ret_disk = (struct hti_disk){.ops = &disk_ops, .arg = dir};
            return HT_OK;
        }
        hti_disk_close(&(struct hti_disk){.arg = dir});
        return hti_disk_err(err);
    }
    free(dir);
    return hti_disk_err(err);
}

void hti_disk_close(struct hti_disk *disk)
{
    struct directory *dir = disk->arg;

    if (dir == NULL) {
        return;
    }
    if (dir->lock >= 0) {
        (void)close(dir->lock);
    }
    if (dir->fd >= 0) {
        (void)close(dir->fd);
    }
    free(dir);
    *disk = (struct hti_disk){0};
}
