/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/raft_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR    512u
#define FILES_MAX 256
#define FDS_MAX   32

struct data {
    uint8_t *bytes;
    size_t len;
};

struct write {
    struct write *next;
    uint64_t at;
    size_t len;
    uint8_t bytes[];
};

/* A file, apart from its names. */
struct inode {
    unsigned refs; /* names now, names on the disk, descriptors */
    struct data now;
    struct data durable;
    struct write *writes; /* not synced, oldest first */
    struct write **tail;
};

struct name {
    char name[32];
    struct inode *inode;
};

/* A change of the names that is not durable yet. */
struct change {
    char name[32];
    struct inode *inode; /* NULL: it is gone */
};

struct rdisk {
    uint64_t random;
    struct name now[FILES_MAX];
    struct name durable[FILES_MAX];
    struct change changes[FILES_MAX];
    size_t changes_count;
    struct inode *fds[FDS_MAX];
    unsigned left; /* operations until it dies; 0: it lives */
    bool dead;
    bool full;
    bool fail_sync;
};

static uint64_t draw(struct rdisk *disk)
{
    disk->random = disk->random * 6364136223846793005u + 1442695040888963407u;
    return disk->random >> 33;
}

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "simulated disk: %s\n", what);
        abort();
    }
}

/* ---- files -------------------------------------------------------------- */

static void unref(struct inode *inode)
{
    if (inode == NULL || --inode->refs > 0) {
        return;
    }
    while (inode->writes != NULL) {
        struct write *next = inode->writes->next;

        free(inode->writes);
        inode->writes = next;
    }
    free(inode->now.bytes);
    free(inode->durable.bytes);
    free(inode);
}

static struct inode *ref(struct inode *inode)
{
    if (inode != NULL) {
        inode->refs++;
    }
    return inode;
}

static void
put(struct data *data, uint64_t at, const uint8_t *bytes, size_t len)
{
    if (at + len > data->len) {
        data->bytes = realloc(data->bytes, at + len);
        require(data->bytes != NULL, "no memory");
        memset(data->bytes + data->len, 0, at + len - data->len);
        data->len = at + len;
    }
    memcpy(data->bytes + at, bytes, len);
}

static struct name *find(struct name *names, const char *name, bool make)
{
    struct name *unused = NULL;

    for (size_t i = 0; i < FILES_MAX; i++) {
        if (names[i].inode == NULL) {
            unused = unused == NULL ? &names[i] : unused;
        } else if (strcmp(names[i].name, name) == 0) {
            return &names[i];
        }
    }
    if (make) {
        require(unused != NULL && strlen(name) < 32, "too many files");
        snprintf(unused->name, 32, "%s", name);
        return unused;
    }
    return NULL;
}

static void set(struct name *names, const char *name, struct inode *inode)
{
    struct name *at = find(names, name, inode != NULL);

    if (at != NULL) {
        unref(at->inode);
        at->inode = ref(inode);
    }
}

/* ---- operations --------------------------------------------------------- */

static bool alive(struct rdisk *disk)
{
    if (disk->left > 0 && --disk->left == 0) {
        disk->dead = true;
    }
    return !disk->dead;
}

static void settle_names(struct rdisk *disk, size_t count)
{
    for (size_t i = 0; i < disk->changes_count; i++) {
        if (i < count) {
            set(disk->durable, disk->changes[i].name, disk->changes[i].inode);
        }
        unref(disk->changes[i].inode);
    }
    disk->changes_count = 0;
}

static void rename_to(struct rdisk *disk, const char *name, struct inode *inode)
{
    struct change *change;

    if (disk->changes_count == FILES_MAX) {
        settle_names(disk,
                     disk->changes_count); /* the system does, some time */
    }
    set(disk->now, name, inode);
    change = &disk->changes[disk->changes_count++];
    snprintf(change->name, 32, "%s", name);
    change->inode = ref(inode);
}

static int op_open(void *arg, const char *name, int how)
{
    struct rdisk *disk = arg;
    struct name *at;

    if (!alive(disk)) {
        return -EIO;
    }
    at = find(disk->now, name, false);
    if (at == NULL && how != HTI_DISK_CREATE) {
        return -ENOENT;
    }
    if (how == HTI_DISK_CREATE) {
        struct inode *inode = calloc(1, sizeof(*inode));

        require(inode != NULL, "no memory");
        inode->tail = &inode->writes;
        inode->refs = 1;
        rename_to(disk, name, inode);
        unref(inode);
        at = find(disk->now, name, false);
    }
    for (int i = 0; i < FDS_MAX; i++) {
        if (disk->fds[i] == NULL) {
            disk->fds[i] = ref(at->inode);
            return i;
        }
    }
    require(false, "descriptors leak");
    return -EMFILE;
}

static void op_close(void *arg, int fd)
{
    struct rdisk *disk = arg;

    if (disk->fds[fd] != NULL) {
        unref(disk->fds[fd]);
        disk->fds[fd] = NULL;
    }
}

static ssize_t op_pread(void *arg, int fd, void *buf, size_t len, uint64_t at)
{
    struct rdisk *disk = arg;
    const struct data *data;

    if (!alive(disk)) {
        return -EIO;
    }
    data = &disk->fds[fd]->now;
    if (at >= data->len) {
        return 0;
    }
    if (len > data->len - at) {
        len = data->len - (size_t)at;
    }
    memcpy(buf, data->bytes + at, len);
    return (ssize_t)len;
}

static int
op_pwrite(void *arg, int fd, const void *buf, size_t len, uint64_t at)
{
    struct rdisk *disk = arg;
    struct inode *inode;
    struct write *write;

    if (!alive(disk)) {
        return -EIO;
    }
    inode = disk->fds[fd];
    if (disk->full && at + len > inode->now.len) {
        return -ENOSPC;
    }
    write = malloc(sizeof(*write) + len);
    require(write != NULL, "no memory");
    write->next = NULL;
    write->at = at;
    write->len = len;
    memcpy(write->bytes, buf, len);
    *inode->tail = write;
    inode->tail = &write->next;
    put(&inode->now, at, buf, len);
    return 0;
}

static void settle(struct inode *inode)
{
    while (inode->writes != NULL) {
        struct write *write = inode->writes;

        put(&inode->durable, write->at, write->bytes, write->len);
        inode->writes = write->next;
        free(write);
    }
    inode->tail = &inode->writes;
}

static int op_sync(void *arg, int fd)
{
    struct rdisk *disk = arg;

    if (!alive(disk) || disk->fail_sync) {
        disk->dead |= disk->fail_sync;
        disk->fail_sync = false;
        return -EIO;
    }
    settle(disk->fds[fd]);
    return 0;
}

static int op_rename(void *arg, const char *from, const char *to)
{
    struct rdisk *disk = arg;
    struct name *at;
    struct inode *inode;

    if (!alive(disk)) {
        return -EIO;
    }
    at = find(disk->now, from, false);
    if (at == NULL) {
        return -ENOENT;
    }
    inode = ref(at->inode);
    rename_to(disk, to, inode);
    rename_to(disk, from, NULL);
    unref(inode);
    return 0;
}

static int op_unlink(void *arg, const char *name)
{
    struct rdisk *disk = arg;

    if (!alive(disk)) {
        return -EIO;
    }
    if (find(disk->now, name, false) == NULL) {
        return -ENOENT;
    }
    rename_to(disk, name, NULL);
    return 0;
}

static int op_sync_dir(void *arg)
{
    struct rdisk *disk = arg;

    if (!alive(disk)) {
        return -EIO;
    }
    settle_names(disk, disk->changes_count);
    return 0;
}

static int op_list(void *arg,
                   void (*fn)(const char *name, uint64_t size, void *fn_arg),
                   void *fn_arg)
{
    struct rdisk *disk = arg;
    char names[FILES_MAX][32];
    uint64_t sizes[FILES_MAX];
    size_t count = 0;

    if (!alive(disk)) {
        return -EIO;
    }
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (disk->now[i].inode != NULL) {
            snprintf(names[count], 32, "%s", disk->now[i].name);
            sizes[count++] = disk->now[i].inode->now.len;
        }
    }
    for (size_t i = 0; i < count; i++) {
        fn(names[i], sizes[i], fn_arg);
    }
    return 0;
}

static const struct hti_disk_ops operations = {.open = op_open,
                                               .close = op_close,
                                               .pread = op_pread,
                                               .pwrite = op_pwrite,
                                               .sync = op_sync,
                                               .rename = op_rename,
                                               .unlink = op_unlink,
                                               .sync_dir = op_sync_dir,
                                               .list = op_list};

/* ---- life and faults ---------------------------------------------------- */

struct rdisk *rdisk_new(uint64_t seed)
{
    struct rdisk *disk = calloc(1, sizeof(*disk));

    require(disk != NULL, "no memory");
    disk->random = seed * 0x9e3779b97f4a7c15u + 1;
    return disk;
}

void rdisk_wipe(struct rdisk *disk)
{
    rdisk_close_all(disk);
    settle_names(disk, 0);
    for (size_t i = 0; i < FILES_MAX; i++) {
        unref(disk->now[i].inode);
        unref(disk->durable[i].inode);
        disk->now[i].inode = disk->durable[i].inode = NULL;
    }
    disk->dead = disk->full = disk->fail_sync = false;
    disk->left = 0;
}

void rdisk_free(struct rdisk *disk)
{
    if (disk != NULL) {
        rdisk_wipe(disk);
        free(disk);
    }
}

struct hti_disk rdisk_as_disk(struct rdisk *disk)
{
    return (struct hti_disk){.ops = &operations, .arg = disk};
}

void rdisk_close_all(struct rdisk *disk)
{
    for (int i = 0; i < FDS_MAX; i++) {
        op_close(disk, i);
    }
    disk->left = 0;
    disk->dead = false;
}

/* Any sector of any write that was not synced may be there or not. */
static void tear(struct rdisk *disk, struct inode *inode)
{
    while (inode->writes != NULL) {
        struct write *write = inode->writes;
        bool most = draw(disk) % 2 == 0;

        for (size_t done = 0; done < write->len;) {
            size_t left = SECTOR - (size_t)((write->at + done) % SECTOR);
            size_t len = left < write->len - done ? left : write->len - done;

            if (draw(disk) % 8 < (most ? 7u : 2u)) {
                put(&inode->durable, write->at + done, write->bytes + done,
                    len);
            }
            done += len;
        }
        inode->writes = write->next;
        free(write);
    }
    inode->tail = &inode->writes;
    free(inode->now.bytes);
    inode->now = (struct data){0};
    if (inode->durable.len > 0) {
        put(&inode->now, 0, inode->durable.bytes, inode->durable.len);
    }
}

void rdisk_crash(struct rdisk *disk)
{
    size_t count = disk->changes_count;

    rdisk_close_all(disk);
    settle_names(disk, count > 0 ? (size_t)draw(disk) % (count + 1) : 0);
    for (size_t i = 0; i < FILES_MAX; i++) {
        unref(disk->now[i].inode);
        disk->now[i] = disk->durable[i];
        (void)ref(disk->now[i].inode);
        if (disk->now[i].inode != NULL) {
            tear(disk, disk->now[i].inode);
        }
    }
}

void rdisk_die_after(struct rdisk *disk, unsigned count)
{
    disk->left = count;
}

bool rdisk_died(const struct rdisk *disk)
{
    return disk->dead;
}

void rdisk_full(struct rdisk *disk, bool full)
{
    disk->full = full;
}

void rdisk_fail_sync(struct rdisk *disk)
{
    disk->fail_sync = true;
}

void rdisk_calm(struct rdisk *disk)
{
    disk->left = 0;
    disk->full = disk->fail_sync = false;
}

static struct inode *by_prefix(struct rdisk *disk, const char *prefix)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (disk->now[i].inode != NULL &&
            strncmp(disk->now[i].name, prefix, strlen(prefix)) == 0) {
            return disk->now[i].inode;
        }
    }
    return NULL;
}

bool rdisk_flip(struct rdisk *disk,
                const char *prefix,
                uint64_t at,
                uint8_t bit)
{
    struct inode *inode = by_prefix(disk, prefix);

    if (inode == NULL || at >= inode->now.len || at >= inode->durable.len) {
        return false;
    }
    inode->now.bytes[at] ^= (uint8_t)(1u << (bit & 7));
    inode->durable.bytes[at] ^= (uint8_t)(1u << (bit & 7));
    return true;
}

uint64_t rdisk_size(struct rdisk *disk, const char *prefix)
{
    struct inode *inode = by_prefix(disk, prefix);

    return inode != NULL ? inode->now.len : 0;
}
