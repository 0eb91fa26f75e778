/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a directory from outside of a member: look, back up,
 * restore. */
#include "raft/tools.h"

#include <fcntl.h>
#include <hardtack/raft.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "raft/conf.h"
#include "raft/store.h"

/* Only read: its size does not matter. */
#define FILE_BYTES (16u << 20)

static ht_err open_disk(const char *directory,
                        bool create,
                        bool lock,
                        struct hti_disk *ret_disk)
{
    ht_err err;

    if (directory == NULL || directory[0] == '\0') {
        hti_raft_set_error("directory", "is missing");
        return HT_EINVAL;
    }
    err = hti_disk_open(directory, create, lock, ret_disk);
    if (err != HT_OK) {
        hti_raft_set_error(directory, err == HT_EEXIST
                                          ? "is in use by a running member"
                                          : ht_strerror(err));
    }
    return err;
}

static ht_err said(const char *where, ht_err err, const char *text)
{
    if (err != HT_OK) {
        hti_raft_set_error(where, text[0] != '\0' ? text : ht_strerror(err));
    }
    return err;
}

static ht_err check_snapshot(const struct hti_disk *disk,
                             uint64_t index,
                             char *text,
                             size_t text_len)
{
    char name[32];

    if (index == 0) {
        return HT_OK;
    }
    hti_snap_name(name, index);
    return hti_snap_check(disk, name, NULL, NULL, text, text_len);
}

ht_err ht_raft_verify(const char *directory, ht_raft_check *ret_check)
{
    struct hti_disk disk = {0};
    struct hti_boot boot = {0};
    struct hti_store *store = NULL;
    char text[256] = "";
    ht_err err;

    if (ret_check == NULL) {
        return HT_EINVAL;
    }
    hti_raft_set_error("", "");
    err = open_disk(directory, false, true, &disk);
    if (err != HT_OK) {
        return err;
    }
    err = hti_store_open(&disk, FILE_BYTES, true, &boot, &store, text,
                         sizeof(text));
    if (err == HT_OK) {
        err = check_snapshot(&disk, boot.snap.index, text, sizeof(text));
    }
    if (err == HT_OK) {
        *ret_check = (ht_raft_check){
            .id = boot.meta.id,
            .term = boot.meta.term,
            .snapshot_index = boot.snap.index,
            .snapshot_bytes = boot.snap.size,
            .first_index = boot.cache.count > 0 ? boot.cache.first : 0,
            .last_index = boot.cache.first + boot.cache.count - 1,
            .entries = boot.cache.count,
            .torn_bytes = boot.torn_bytes,
        };
    }
    hti_boot_fini(&boot);
    hti_store_free(store);
    hti_disk_close(&disk);
    return said(directory, err, text);
}

/* ---- backup ------------------------------------------------------------ */

static ht_err copy_bytes(const struct hti_disk *from,
                         int from_fd,
                         const struct hti_disk *to,
                         int to_fd)
{
    uint8_t *buf = malloc(HTI_SNAP_BLOCK_MAX);
    uint64_t at = 0;
    int err = buf != NULL ? 0 : -ENOMEM;
    ssize_t got = 1;

    while (err == 0 && got > 0) {
        got = from->ops->pread(from->arg, from_fd, buf, HTI_SNAP_BLOCK_MAX, at);
        err = got < 0 ? (int)got : 0;
        if (got > 0) {
            err = to->ops->pwrite(to->arg, to_fd, buf, (size_t)got, at);
            at += (uint64_t)got;
        }
    }
    free(buf);
    if (err == 0) {
        err = to->ops->sync(to->arg, to_fd);
    }
    return hti_disk_err(err);
}

static ht_err copy_file(const struct hti_disk *from,
                        const char *from_name,
                        const struct hti_disk *to,
                        const char *to_name)
{
    int in = from->ops->open(from->arg, from_name, HTI_DISK_READ);
    int out;
    ht_err err;

    if (in < 0) {
        return hti_disk_err(in);
    }
    out = to->ops->open(to->arg, to_name, HTI_DISK_CREATE);
    err = out < 0 ? hti_disk_err(out) : copy_bytes(from, in, to, out);
    if (out >= 0) {
        to->ops->close(to->arg, out);
    }
    from->ops->close(from->arg, in);
    if (err != HT_OK && out >= 0) {
        (void)to->ops->unlink(to->arg, to_name);
    }
    return err;
}

/* "a/b" is file b of directory a. */
static ht_err split(const char *file, char dir[4096], const char **ret_name)
{
    const char *slash = file != NULL ? strrchr(file, '/') : NULL;
    size_t len;

    if (file == NULL || file[0] == '\0' || strlen(file) >= 4096) {
        return HT_EINVAL;
    }
    *ret_name = slash != NULL ? slash + 1 : file;
    len = slash != NULL ? (size_t)(slash - file) : 0;
    (void)snprintf(dir, 4096, "%.*s", (int)len, file);
    if (slash == NULL || len == 0) {
        (void)snprintf(dir, 4096, "%s", slash == NULL ? "." : "/");
    }
    return (*ret_name)[0] != '\0' ? HT_OK : HT_EINVAL;
}

static bool exists(const struct hti_disk *disk, const char *name)
{
    int fd = disk->ops->open(disk->arg, name, HTI_DISK_READ);

    if (fd >= 0) {
        disk->ops->close(disk->arg, fd);
    }
    return fd >= 0;
}

/* Under another name until it is whole and checked. */
static ht_err backup(const struct hti_disk *from,
                     const struct hti_disk *to,
                     const char *name,
                     char *text,
                     size_t text_len)
{
    uint64_t index = 0;
    char snap[32];
    char part[300];
    ht_err err = hti_snap_newest(from, &index);

    if (err == HT_ENOENT) {
        (void)snprintf(text, text_len, "there is no snapshot yet");
    }
    if (err != HT_OK) {
        return err;
    }
    hti_snap_name(snap, index);
    (void)snprintf(part, sizeof(part), "%.250s.part", name);
    err = copy_file(from, snap, to, part);
    if (err == HT_OK) {
        err = hti_snap_check(to, part, NULL, NULL, text, text_len);
        if (err == HT_OK) {
            err = hti_disk_err(to->ops->rename(to->arg, part, name));
        }
        if (err == HT_OK) {
            err = hti_disk_err(to->ops->sync_dir(to->arg));
        } else {
            (void)to->ops->unlink(to->arg, part);
        }
    }
    return err;
}

ht_err ht_raft_backup(const char *directory, const char *file)
{
    struct hti_disk from = {0};
    struct hti_disk to = {0};
    char text[256] = "";
    char dir[4096];
    const char *name = NULL;
    ht_err err = split(file, dir, &name);

    hti_raft_set_error("", "");
    if (err != HT_OK) {
        return said("file", err, "is missing");
    }
    err = open_disk(directory, false, false, &from);
    if (err == HT_OK) {
        err = open_disk(dir, false, false, &to);
        if (err == HT_OK && exists(&to, name)) {
            err = said(file, HT_EEXIST, "exists");
        } else if (err == HT_OK) {
            err =
                said(file, backup(&from, &to, name, text, sizeof(text)), text);
        }
    }
    hti_disk_close(&from);
    hti_disk_close(&to);
    return err;
}

/* ---- restore ----------------------------------------------------------- */

struct copying {
    const struct hti_disk *disk;
    struct hti_snap_writer writer;
};

static ht_err copy_block(void *arg, ht_bytes data)
{
    struct copying *copying = arg;

    return hti_snap_write(copying->disk, &copying->writer, data.data, data.len);
}

/* The same state under a new group, whose only member is that one: members of
 * the old group must not mix with it. */
static ht_err new_head(struct hti_snap_info *info,
                       uint64_t id,
                       uint64_t group,
                       const char *node_name)
{
    struct raft_configuration conf;
    struct raft_buffer buf = {0};
    int rv;

    raft_configuration_init(&conf);
    rv = raft_configuration_add(&conf, id, node_name, RAFT_VOTER);
    if (rv == 0) {
        rv = raft_configuration_encode(&conf, &buf);
    }
    raft_configuration_close(&conf);
    if (rv != 0) {
        return HT_ENOMEM;
    }
    free(info->conf);
    info->conf = malloc(buf.len);
    if (info->conf == NULL) {
        raft_free(buf.base);
        return HT_ENOMEM;
    }
    memcpy(info->conf, buf.base, buf.len);
    info->conf_len = (uint32_t)buf.len;
    info->conf_index = info->index;
    info->group = group;
    raft_free(buf.base);
    return HT_OK;
}

static ht_err restore(const struct hti_disk *from,
                      const char *name,
                      const struct hti_disk *to,
                      const char *node_name,
                      char *text,
                      size_t text_len)
{
    struct copying copying = {.disk = to};
    struct hti_snap_info info = {0};
    struct hti_meta meta = {0};
    uint64_t size = 0;
    ht_err err = hti_snap_head(from, name, &info, text, text_len);

    if (err == HT_OK) {
        err = hti_raft_draw_id(&meta.id);
    }
    if (err == HT_OK) {
        err = hti_raft_draw_id(&meta.group);
    }
    if (err == HT_OK) {
        meta.term = info.term;
        err = new_head(&info, meta.id, meta.group, node_name);
    }
    if (err == HT_OK) {
        err = hti_snap_create(to, &info, &copying.writer);
    }
    if (err == HT_OK) {
        err = hti_snap_check(from, name, copy_block, &copying, text, text_len);
        if (err == HT_OK) {
            err = hti_snap_finish(to, &copying.writer, &size);
        } else {
            hti_snap_abandon(to, &copying.writer);
        }
    }
    if (err == HT_OK) {
        err = hti_snap_install(to, HTI_SNAP_WRITTEN, info.index);
    }
    if (err == HT_OK) {
        err = hti_meta_create(to, &meta);
    }
    hti_snap_info_fini(&info);
    return err;
}

static void count_files(const char *name, uint64_t size, void *arg)
{
    (void)size;
    *(unsigned *)arg += strcmp(name, "lock") != 0;
}

ht_err ht_raft_restore_backup(const char *file,
                              const char *directory,
                              const char *node_name)
{
    struct hti_disk from = {0};
    struct hti_disk to = {0};
    unsigned files = 0;
    char text[256] = "";
    char dir[4096];
    const char *name = NULL;
    ht_err err = split(file, dir, &name);

    hti_raft_set_error("", "");
    if (err != HT_OK) {
        return said("file", err, "is missing");
    }
    if (node_name == NULL || strchr(node_name, '@') == NULL ||
        strlen(node_name) >= HT_RAFT_NAME_MAX) {
        return said("node", HT_EINVAL, "name@host is needed");
    }
    err = open_disk(dir, false, false, &from);
    if (err == HT_OK) {
        err = open_disk(directory, true, true, &to);
    }
    if (err == HT_OK) {
        err = hti_disk_err(to.ops->list(to.arg, count_files, &files));
        if (err == HT_OK && files > 0) {
            err = said(directory, HT_EEXIST, "is not empty");
        } else if (err == HT_OK) {
            err = said(file,
                       restore(&from, name, &to, node_name, text, sizeof(text)),
                       text);
        }
    }
    hti_disk_close(&from);
    hti_disk_close(&to);
    return err;
}
