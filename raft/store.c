/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/bytes.h"
#include "raft/conf.h"

struct hti_job *hti_job_new(enum hti_job_kind kind)
{
    struct hti_job *job = calloc(1, sizeof(*job));

    if (job != NULL) {
        job->kind = kind;
    }
    return job;
}

void hti_job_free(struct hti_job *job)
{
    if (job == NULL) {
        return;
    }
    for (size_t i = 0; i < job->count; i++) {
        hti_entry_unref(job->entries[i]);
    }
    free(job->entries);
    free(job->data);
    hti_snap_info_fini(&job->info);
    free(job);
}

void hti_jobs_free(struct hti_jobs *jobs)
{
    struct hti_job *job;

    while ((job = STAILQ_FIRST(jobs)) != NULL) {
        STAILQ_REMOVE_HEAD(jobs, link);
        hti_job_free(job);
    }
}

void hti_boot_fini(struct hti_boot *boot)
{
    hti_snap_info_fini(&boot->snap);
    hti_cache_fini(&boot->cache);
}

/* The first entry of a group: who is in it. */
static ht_err
first_entry(uint64_t id, const char *node_name, struct hti_entry **ret_entry)
{
    struct raft_configuration conf;
    struct raft_buffer buf = {0};
    struct hti_entry *entry = NULL;
    int rv;

    raft_configuration_init(&conf);
    rv = raft_configuration_add(&conf, id, node_name, RAFT_VOTER);
    if (rv == 0) {
        rv = raft_configuration_encode(&conf, &buf);
    }
    if (rv == 0) {
        entry = hti_entry_new(1, HTI_ENTRY_CHANGE, buf.len);
    }
    if (entry != NULL) {
        memcpy(entry->data, buf.base, buf.len);
        *ret_entry = entry;
    }
    raft_free(buf.base);
    raft_configuration_close(&conf);
    return entry != NULL ? HT_OK : HT_ENOMEM;
}

/* Said first and taken back last: what is there until then is not a member. */
#define CREATING "creating"

ht_err hti_store_create(const struct hti_disk *disk,
                        uint64_t id,
                        uint64_t group,
                        const char *node_name,
                        uint32_t file_bytes)
{
    struct hti_meta meta = {
        .id = id, .group = group, .term = group != 0 ? 1 : 0};
    struct hti_log_found found;
    struct hti_entry *entry = NULL;
    struct hti_log *log = NULL;
    size_t written = 0;
    char text[160];
    int fd = disk->ops->open(disk->arg, CREATING, HTI_DISK_CREATE);
    ht_err err = fd < 0 ? hti_disk_err(fd)
                        : hti_disk_err(disk->ops->sync_dir(disk->arg));

    if (fd >= 0) {
        disk->ops->close(disk->arg, fd);
    }
    if (err == HT_OK && group != 0) {
        err = first_entry(id, node_name, &entry);
        if (err == HT_OK) {
            err = hti_log_open(disk, file_bytes, false, NULL, &found, text,
                               sizeof(text), &log);
        }
        if (err == HT_OK) {
            err = hti_log_append(log, 1, &entry, 1, &written);
        }
        if (err == HT_OK) {
            err = hti_log_sync(log);
        }
        hti_log_free(log);
        hti_entry_unref(entry);
    }
    if (err == HT_OK) {
        err = hti_meta_create(disk, &meta);
    }
    if (err == HT_OK) {
        err = hti_disk_err(disk->ops->unlink(disk->arg, CREATING));
    }
    return err == HT_OK ? hti_disk_err(disk->ops->sync_dir(disk->arg)) : err;
}

struct looking {
    bool meta;
    bool creating;
    bool other;
    char names[8][32]; /* of what an unfinished creation can have made */
    size_t count;
};

static void look(const char *name, uint64_t size, void *arg)
{
    struct looking *looking = arg;

    (void)size;
    if (strcmp(name, CREATING) == 0) {
        looking->creating = true;
        return;
    }
    if (strcmp(name, "lock") == 0) {
        return;
    }
    looking->meta |= strcmp(name, "meta") == 0;
    looking->other |=
        strncmp(name, "log-", 4) == 0 || strncmp(name, "snap-", 5) == 0;
    if (looking->count < 8 && strlen(name) < 32 &&
        (strncmp(name, "log-", 4) == 0 || strncmp(name, "meta", 4) == 0)) {
        (void)snprintf(looking->names[looking->count++], 32, "%s", name);
    }
}

ht_err hti_store_exists(const struct hti_disk *disk, char *text, size_t len)
{
    struct looking looking = {0};
    int err = disk->ops->list(disk->arg, look, &looking);

    if (err != 0) {
        return hti_disk_err(err);
    }
    if (looking.creating) {
        for (size_t i = 0; i < looking.count; i++) {
            (void)disk->ops->unlink(disk->arg, looking.names[i]);
        }
        return HT_ENOENT;
    }
    if (looking.meta) {
        return HT_OK;
    }
    if (looking.other) {
        (void)snprintf(text, len, "meta: missing, but there is a log");
        return HT_ECORRUPT;
    }
    return HT_ENOENT;
}

/* What libraft takes for granted of its own disk. */
static ht_err check_boot(const struct hti_boot *boot, char *text, size_t len)
{
    uint64_t term = 0;
    const char *wrong = NULL;

    for (size_t i = 0; i < boot->cache.count && wrong == NULL; i++) {
        uint64_t index = boot->cache.first + i;
        const struct hti_entry *entry = hti_cache_get(&boot->cache, index);

        if (index == boot->snap.index + 1 && term < boot->snap.term) {
            term = boot->snap.term;
        }
        if (entry->term > boot->meta.term || entry->term < term) {
            wrong = "an entry's term cannot be";
        }
        term = entry->term;
        if (entry->type == HTI_ENTRY_CHANGE
                ? !hti_conf_valid(entry->data, entry->len)
                : entry->len < 8) {
            wrong = "an entry cannot be read";
        }
    }
    if (boot->cache.first > boot->snap.index + 1) {
        wrong = "entries are missing between snapshot and log";
    } else if (boot->snap.index == 0 && boot->cache.count > 0 &&
               hti_cache_get(&boot->cache, 1)->type != HTI_ENTRY_CHANGE) {
        wrong = "the first entry is no configuration";
    }
    if (boot->snap.term > boot->meta.term) {
        wrong = "the snapshot is of a later term";
    }
    if (wrong != NULL) {
        (void)snprintf(text, len, "log: %s", wrong);
        return HT_ECORRUPT;
    }
    return HT_OK;
}

/* A snapshot that was installed takes the place of a log that does not hold
 * its last entry: a crash came before the log could say so. */
static ht_err
join_snapshot(struct hti_store *store, struct hti_boot *boot, bool read_only)
{
    struct hti_cache *cache = &boot->cache;
    uint64_t index = boot->snap.index;
    const struct hti_entry *last = hti_cache_get(cache, index);
    ht_err err;

    if (index == 0 || (last != NULL && last->term == boot->snap.term) ||
        (cache->count > 0 && cache->first == index + 1)) {
        return HT_OK;
    }
    if (cache->first > index + 1) {
        return HT_OK; /* check_boot() refuses it */
    }
    hti_cache_reset(cache, index + 1);
    if (read_only) {
        return HT_OK;
    }
    err = hti_log_reset(store->log, index);
    return err == HT_OK ? hti_log_sync(store->log) : err;
}

static ht_err read_snapshot(const struct hti_disk *disk,
                            struct hti_snap_info *ret_info,
                            char *text,
                            size_t text_len)
{
    uint64_t index = 0;
    char name[32];
    ht_err err = hti_snap_newest(disk, &index);

    if (err != HT_OK) {
        return err == HT_ENOENT ? HT_OK : err;
    }
    hti_snap_name(name, index);
    err = hti_snap_head(disk, name, ret_info, text, text_len);
    if (err == HT_OK && ret_info->index != index) {
        (void)snprintf(text, text_len, "%s: holds another index", name);
        return HT_ECORRUPT;
    }
    return err;
}

ht_err hti_store_open(const struct hti_disk *disk,
                      uint32_t file_bytes,
                      bool read_only,
                      struct hti_boot *ret_boot,
                      struct hti_store **ret_store,
                      char *text,
                      size_t text_len)
{
    struct hti_store *store = calloc(1, sizeof(*store));
    struct hti_boot boot = {0};
    struct hti_log_found found = {0};
    uint64_t fsyncs = 0;
    bool uneven = false;
    ht_err err;

    if (store == NULL) {
        return HT_ENOMEM;
    }
    text[0] = '\0';
    store->disk = *disk;
    store->received = -1;
    err = hti_meta_read(disk, &boot.meta, &uneven, text, text_len);
    /* A life before this one may have died between a rename and its sync: what
     * is written now must not hang on a name that a crash takes away. */
    if (err == HT_OK && !read_only) {
        err = hti_disk_err(disk->ops->sync_dir(disk->arg));
    }
    if (err == HT_OK && uneven && !read_only) {
        err = hti_meta_write(disk, &boot.meta, &fsyncs);
    }
    if (err == HT_OK) {
        err = read_snapshot(disk, &boot.snap, text, text_len);
    }
    if (err == HT_OK) {
        hti_cache_reset(&boot.cache, boot.snap.index + 1);
        err = hti_log_open(disk, file_bytes, read_only, &boot.cache, &found,
                           text, text_len, &store->log);
    }
    if (err == HT_OK) {
        err = join_snapshot(store, &boot, read_only);
    }
    if (err == HT_OK) {
        err = check_boot(&boot, text, text_len);
    }
    if (err != HT_OK) {
        hti_boot_fini(&boot);
        hti_store_free(store);
        return err;
    }
    boot.torn_bytes = found.torn_bytes;
    *ret_boot = boot;
    *ret_store = store;
    return HT_OK;
}

void hti_store_free(struct hti_store *store)
{
    if (store == NULL) {
        return;
    }
    hti_log_free(store->log);
    if (store->writing) {
        hti_snap_abandon(&store->disk, &store->writer);
    }
    if (store->reading) {
        hti_snap_close(&store->disk, &store->reader);
    }
    if (store->received >= 0) {
        store->disk.ops->close(store->disk.arg, store->received);
    }
    free(store);
}

/* ---- the log's queue --------------------------------------------------- */

static ht_err
run_log_job(struct hti_store *store, struct hti_job *job, bool *dirty)
{
    uint64_t fsyncs = 0;
    ht_err err = HT_OK;

    switch (job->kind) {
    case HTI_JOB_META:
        err = hti_meta_write(&store->disk, &job->meta, &fsyncs);
        atomic_fetch_add(&store->fsyncs, fsyncs);
        break;
    case HTI_JOB_APPEND:
        *dirty = true;
        err = hti_log_append(store->log, job->index, job->entries, job->count,
                             &job->written);
        break;
    case HTI_JOB_RESET:
        *dirty = true;
        err = hti_log_reset(store->log, job->index);
        break;
    case HTI_JOB_TRIM:
        err = hti_log_trim(store->log, job->index);
        break;
    case HTI_JOB_SPARE:
    case HTI_JOB_SNAP_BEGIN:
    case HTI_JOB_SNAP_WRITE:
    case HTI_JOB_SNAP_END:
    case HTI_JOB_SNAP_ABANDON:
    case HTI_JOB_PIECE_READ:
    case HTI_JOB_PIECE_WRITE:
    case HTI_JOB_PIECE_END:
    case HTI_JOB_INSTALL:
    case HTI_JOB_RESTORE_BEGIN:
    case HTI_JOB_RESTORE_NEXT:
        err = HT_EINVAL;
        break;
    }
    return err;
}

static bool appends(const struct hti_job *job)
{
    return job->kind == HTI_JOB_APPEND || job->kind == HTI_JOB_RESET;
}

/* While an append waits for room, term and vote do not, nor what makes room;
 * neither depends on an append before it. */
static struct hti_job *next_job(struct hti_jobs *jobs, bool waiting)
{
    struct hti_job *job;

    STAILQ_FOREACH (job, jobs, link) {
        if (!waiting || !appends(job)) {
            return job;
        }
    }
    return NULL;
}

static void finish_all(struct hti_jobs *from, struct hti_jobs *done, ht_err err)
{
    struct hti_job *job;

    while ((job = STAILQ_FIRST(from)) != NULL) {
        STAILQ_REMOVE_HEAD(from, link);
        job->err = err;
        STAILQ_INSERT_TAIL(done, job, link);
    }
}

void hti_store_run_log(struct hti_store *store,
                       struct hti_jobs *jobs,
                       struct hti_jobs *done)
{
    struct hti_jobs written = STAILQ_HEAD_INITIALIZER(written);
    uint64_t before = hti_log_fsyncs(store->log);
    struct hti_job *last = NULL;
    struct hti_job *job;
    bool waiting = false;
    bool full = false;
    bool dirty = false;
    ht_err err = HT_OK;

    while (err == HT_OK && (job = next_job(jobs, waiting)) != NULL) {
        err = run_log_job(store, job, &dirty);
        if (appends(job) && (err == HT_ENOSPC || err == HT_EBUSY)) {
            waiting = true;
            full = err == HT_ENOSPC;
            err = HT_OK;
            continue;
        }
        STAILQ_REMOVE(jobs, job, hti_job, link);
        STAILQ_INSERT_TAIL(&written, job, link);
        last = job;
    }
    if (err == HT_OK && dirty) {
        err = hti_log_sync(store->log);
    }
    if (last != NULL && err == HT_OK) {
        last->spare = hti_log_wants_spare(store->log);
    }
    finish_all(&written, done, err);
    if (err != HT_OK) {
        finish_all(jobs, done, err);
    }
    atomic_store(&store->full, full);
    atomic_fetch_add(&store->fsyncs, hti_log_fsyncs(store->log) - before);
}

/* ---- the files' queue -------------------------------------------------- */

static ht_err snap_begin(struct hti_store *store, struct hti_job *job)
{
    ht_err err = hti_snap_create(&store->disk, &job->info, &store->writer);

    store->writing = err == HT_OK;
    return err;
}

static ht_err snap_abandon(struct hti_store *store)
{
    if (store->writing) {
        hti_snap_abandon(&store->disk, &store->writer);
    }
    store->writing = false;
    return HT_OK;
}

static ht_err snap_write(struct hti_store *store, struct hti_job *job)
{
    return store->writing ? hti_snap_write(&store->disk, &store->writer,
                                           job->data, job->len)
                          : HT_ECLOSED;
}

static ht_err snap_end(struct hti_store *store, struct hti_job *job)
{
    ht_err err;

    if (!store->writing) {
        return HT_ECLOSED;
    }
    err = hti_snap_finish(&store->disk, &store->writer, &job->size);
    store->writing = false;
    atomic_fetch_add(&store->fsyncs, 1);
    if (err == HT_OK) {
        err = hti_snap_install(&store->disk, HTI_SNAP_WRITTEN, job->index);
    }
    if (err != HT_OK) {
        (void)store->disk.ops->unlink(store->disk.arg, HTI_SNAP_WRITTEN);
    }
    return err;
}

static ht_err piece_read(struct hti_store *store, struct hti_job *job)
{
    const struct hti_disk *disk = &store->disk;
    char name[32];
    ssize_t got;
    int fd;

    hti_snap_name(name, job->index);
    fd = disk->ops->open(disk->arg, name, HTI_DISK_READ);
    if (fd < 0) {
        return hti_disk_err(fd);
    }
    job->data = malloc(job->len);
    got = job->data == NULL ? -ENOMEM
                            : disk->ops->pread(disk->arg, fd, job->data,
                                               job->len, job->offset);
    disk->ops->close(disk->arg, fd);
    if (got < 0) {
        return hti_disk_err((int)got);
    }
    job->len = (size_t)got;
    return HT_OK;
}

static ht_err piece_write(struct hti_store *store, struct hti_job *job)
{
    const struct hti_disk *disk = &store->disk;

    if (job->offset == 0) {
        if (store->received >= 0) {
            disk->ops->close(disk->arg, store->received);
        }
        store->received =
            disk->ops->open(disk->arg, HTI_SNAP_RECEIVED, HTI_DISK_CREATE);
    }
    if (store->received < 0) {
        return job->offset == 0 ? hti_disk_err(store->received) : HT_ECLOSED;
    }
    return hti_disk_err(disk->ops->pwrite(disk->arg, store->received, job->data,
                                          job->len, job->offset));
}

/* Durable, and checked as it is on the disk. */
static ht_err piece_end(struct hti_store *store, struct hti_job *job)
{
    const struct hti_disk *disk = &store->disk;
    ht_err err;

    if (store->received < 0) {
        return HT_ECLOSED;
    }
    err = hti_disk_err(disk->ops->sync(disk->arg, store->received));
    atomic_fetch_add(&store->fsyncs, 1);
    disk->ops->close(disk->arg, store->received);
    store->received = -1;
    if (err == HT_OK) {
        err = hti_snap_check(disk, HTI_SNAP_RECEIVED, NULL, NULL, job->text,
                             sizeof(job->text));
    }
    if (err == HT_OK) {
        err = hti_snap_head(disk, HTI_SNAP_RECEIVED, &job->info, job->text,
                            sizeof(job->text));
    }
    return err;
}

static ht_err restore_begin(struct hti_store *store, struct hti_job *job)
{
    char name[32];
    ht_err err;

    if (store->reading) {
        hti_snap_close(&store->disk, &store->reader);
    }
    hti_snap_name(name, job->index);
    err = hti_snap_open(&store->disk, name, &store->reader, job->text,
                        sizeof(job->text));
    store->reading = err == HT_OK;
    return err;
}

static ht_err restore_next(struct hti_store *store, struct hti_job *job)
{
    ht_err err;

    if (!store->reading) {
        return HT_ECLOSED;
    }
    err = hti_snap_next(&store->disk, &store->reader, &job->data, &job->len,
                        job->text, sizeof(job->text));
    if (err != HT_OK || store->reader.ended) {
        hti_snap_close(&store->disk, &store->reader);
        store->reading = false;
    }
    return err;
}

void hti_store_run_file(struct hti_store *store, struct hti_job *job)
{
    switch (job->kind) {
    case HTI_JOB_SPARE:
        job->err = hti_log_prepare(store->log);
        break;
    case HTI_JOB_SNAP_BEGIN:
        job->err = snap_begin(store, job);
        break;
    case HTI_JOB_SNAP_WRITE:
        job->err = snap_write(store, job);
        break;
    case HTI_JOB_SNAP_END:
        job->err = snap_end(store, job);
        break;
    case HTI_JOB_SNAP_ABANDON:
        job->err = snap_abandon(store);
        break;
    case HTI_JOB_PIECE_READ:
        job->err = piece_read(store, job);
        break;
    case HTI_JOB_PIECE_WRITE:
        job->err = piece_write(store, job);
        break;
    case HTI_JOB_PIECE_END:
        job->err = piece_end(store, job);
        break;
    case HTI_JOB_INSTALL:
        job->err =
            hti_snap_install(&store->disk, HTI_SNAP_RECEIVED, job->index);
        break;
    case HTI_JOB_RESTORE_BEGIN:
        job->err = restore_begin(store, job);
        break;
    case HTI_JOB_RESTORE_NEXT:
        job->err = restore_next(store, job);
        break;
    case HTI_JOB_META:
    case HTI_JOB_APPEND:
    case HTI_JOB_RESET:
    case HTI_JOB_TRIM:
        job->err = HT_EINVAL;
        break;
    }
}
