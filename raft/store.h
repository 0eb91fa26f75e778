/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - what a member has on its disk, and the jobs that change it.
 *
 * The core makes jobs; somebody runs them, in two queues, each in order: the
 * log's, whose syncs a commit waits for, and the files', which may take long
 * (snapshots, the next file of the log).  A thread each in a node, simulated
 * time in the simulation.  Finished jobs go back to the core.
 *
 * Group commit: all jobs that wait in the log's queue share one sync.
 */
#ifndef HTI_RAFT_STORE_H
#define HTI_RAFT_STORE_H

#include <sys/queue.h>

#include "raft/log.h"
#include "raft/meta.h"
#include "raft/snap.h"

enum hti_job_kind {
    /* The log's queue. */
    HTI_JOB_META = 1, /* meta */
    HTI_JOB_APPEND,   /* index, entries, count */
    HTI_JOB_RESET,    /* index: the log begins behind it */
    HTI_JOB_TRIM,     /* index: what is before may go */
    /* The files' queue. */
    HTI_JOB_SPARE,         /* the log's next file */
    HTI_JOB_SNAP_BEGIN,    /* info */
    HTI_JOB_SNAP_WRITE,    /* data */
    HTI_JOB_SNAP_END,      /* index; size comes back */
    HTI_JOB_SNAP_ABANDON,  /* what is being written */
    HTI_JOB_PIECE_READ,    /* index, offset, len: data, size come back */
    HTI_JOB_PIECE_WRITE,   /* offset, data; offset 0 makes the file */
    HTI_JOB_PIECE_END,     /* check what was received: info comes back */
    HTI_JOB_INSTALL,       /* index: what was received gets its name */
    HTI_JOB_RESTORE_BEGIN, /* index: read the data of a snapshot */
    HTI_JOB_RESTORE_NEXT,  /* data comes back, len 0: the end */
};

struct hti_job {
    STAILQ_ENTRY(hti_job) link;
    enum hti_job_kind kind;
    ht_err err; /* when it is done */
    struct hti_meta meta;
    uint64_t index;
    struct hti_entry **entries; /* allocated, each counted */
    size_t count;
    size_t written; /* of them, so far */
    bool spare;     /* done: the log wants its next file */
    uint64_t offset;
    uint64_t size;
    uint8_t *data; /* allocated */
    size_t len;
    uint64_t peer; /* the core's: whom a piece is for */
    struct hti_snap_info info;
    char text[160]; /* of an error */
};
STAILQ_HEAD(hti_jobs, hti_job);

struct hti_job *hti_job_new(enum hti_job_kind kind); /* NULL: no memory */
void hti_job_free(struct hti_job *job);
void hti_jobs_free(struct hti_jobs *jobs);
static inline bool hti_job_is_log(const struct hti_job *job)
{
    return job->kind <= HTI_JOB_TRIM;
}

struct hti_store {
    struct hti_disk disk;
    struct hti_log *log;
    struct hti_snap_writer writer;
    bool writing;
    struct hti_snap_reader reader;
    bool reading;
    int received; /* descriptor, -1: none */
    _Atomic uint64_t fsyncs;
    _Atomic bool full; /* the log waits for room */
};

/* What a member starts with.  hti_boot_fini() frees what was not taken. */
struct hti_boot {
    struct hti_meta meta;
    struct hti_snap_info snap; /* index 0: none */
    struct hti_cache cache;
    uint64_t torn_bytes;
};
void hti_boot_fini(struct hti_boot *boot);

/* Make what a disk that holds nothing needs: a member of that id.  group not
 * 0: of a new group, whose only voter it is, on the node of that name. */
HT_MUSTUSE ht_err hti_store_create(const struct hti_disk *disk,
                                   uint64_t id,
                                   uint64_t group,
                                   const char *node_name,
                                   uint32_t file_bytes);
/* Whether a member is there: HT_OK; HT_ENOENT: nothing is there, or what a
 * crash left of hti_store_create(), which is removed; HT_ECORRUPT: something
 * is, but no member. */
HT_MUSTUSE ht_err hti_store_exists(const struct hti_disk *disk,
                                   char *text,
                                   size_t text_len);
/* Read and check everything; repair unless read_only.  HT_ENOENT: there is no
 * member; HT_ECORRUPT, with what and where in text. */
HT_MUSTUSE ht_err hti_store_open(const struct hti_disk *disk,
                                 uint32_t file_bytes,
                                 bool read_only,
                                 struct hti_boot *ret_boot,
                                 struct hti_store **ret_store,
                                 char *text,
                                 size_t text_len);
void hti_store_free(struct hti_store *store);

/* Run the jobs of the log's queue, moving each from jobs to done.  What has to
 * wait for room on the disk stays, with all that must not overtake it: call
 * again later.  A failed job is done, and so are all after it. */
void hti_store_run_log(struct hti_store *store,
                       struct hti_jobs *jobs,
                       struct hti_jobs *done);
void hti_store_run_file(struct hti_store *store, struct hti_job *job);

#endif /* HTI_RAFT_STORE_H */
