/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_raft_core.c - no message of a peer, at no time, makes libraft assert or
 * a member fail.
 *
 * Input: a row of steps, each a byte that says which: time passes; jobs are
 * done; a message, of which the rest is made of the next bytes, from one of
 * three members or a stranger.
 */
#include <stdio.h>

#include "raft/core.h"
#include "raft/wire.h"
#include "tests/fuzz/raft_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct state {
    struct fuzz_disk files;
    struct hti_disk disk;
    struct hti_store *store;
    struct hti_core *core;
    struct hti_jobs log;
    struct hti_jobs other;
    uint64_t now_us;
};

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
send(void *arg, uint64_t id, const char *node, const uint8_t *data, size_t len)
{
    struct hti_wire wire;

    (void)arg;
    (void)id;
    (void)node;
    require(hti_wire_decode((ht_bytes){data, len}, &wire) == HT_OK);
}

static void submit(void *arg, struct hti_job *job)
{
    struct state *s = arg;

    if (hti_job_is_log(job)) {
        STAILQ_INSERT_TAIL(&s->log, job, link);
    } else {
        STAILQ_INSERT_TAIL(&s->other, job, link);
    }
}

static void say(void *arg, ht_log_level level, const char *id, const char *text)
{
    (void)arg;
    (void)level;
    (void)id;
    (void)text;
}

static const struct hti_core_ops ops = {
    .send = send, .submit = submit, .log = say};

static ht_err apply(void *machine,
                    uint64_t index,
                    uint64_t time_ms,
                    ht_bytes command,
                    ht_bytes *ret_result)
{
    (void)machine;
    (void)index;
    (void)time_ms;
    (void)command;
    (void)ret_result;
    return HT_OK;
}

static ht_err snapshot_open(void *machine, void **ret_cursor)
{
    (void)machine;
    *ret_cursor = NULL;
    return HT_OK;
}

static ht_err snapshot_read(
    void *machine, void *cursor, void *buf, size_t cap, size_t *ret_len)
{
    (void)machine;
    (void)cursor;
    (void)buf;
    (void)cap;
    *ret_len = 0;
    return HT_OK;
}

static void snapshot_close(void *machine, void *cursor)
{
    (void)machine;
    (void)cursor;
}

static ht_err restore(void *machine, ht_raft_restore what, ht_bytes piece)
{
    (void)machine;
    (void)what;
    (void)piece;
    return HT_OK;
}

static const ht_raft_machine table = {.apply = apply,
                                      .snapshot_open = snapshot_open,
                                      .snapshot_read = snapshot_read,
                                      .snapshot_close = snapshot_close,
                                      .restore = restore};

static struct hti_when now(const struct state *s)
{
    return (struct hti_when){.us = s->now_us, .wall_ms = s->now_us / 1000};
}

/* A member of three, so that it can win, lose, follow and lead. */
static void write_group(struct hti_disk *disk)
{
    struct hti_meta meta = {.id = 1, .group = 77, .term = 3};
    struct raft_configuration conf;
    struct raft_buffer buf;
    struct hti_log_found found;
    struct hti_entry *entry;
    struct hti_log *log = NULL;
    char text[200];
    size_t done = 0;

    raft_configuration_init(&conf);
    for (uint64_t i = 1; i <= 3; i++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "n%u@h", (unsigned)i);
        require(raft_configuration_add(&conf, i, name, RAFT_VOTER) == 0);
    }
    require(raft_configuration_encode(&conf, &buf) == 0);
    raft_configuration_close(&conf);
    entry = hti_entry_new(1, HTI_ENTRY_CHANGE, buf.len);
    memcpy(entry->data, buf.base, buf.len);
    raft_free(buf.base);
    require(hti_log_open(disk, 65536, false, NULL, &found, text, sizeof(text),
                         &log) == HT_OK);
    require(hti_log_append(log, 1, &entry, 1, &done) == HT_OK);
    require(hti_log_sync(log) == HT_OK);
    hti_log_free(log);
    hti_entry_unref(entry);
    require(hti_meta_create(disk, &meta) == HT_OK);
}

static void start(struct state *s)
{
    struct hti_core_config config = {.group = "f",
                                     .node = "n1@h",
                                     .heartbeat_ms = 10,
                                     .election_ms = 50,
                                     .command_bytes_max = 4096,
                                     .pending_max = 64,
                                     .snapshot_after_entries = 8,
                                     .snapshot_after_bytes = 65536,
                                     .trailing_entries = 2,
                                     .piece_bytes = 64,
                                     .seed = 1};
    struct hti_boot boot = {0};
    char text[200];

    s->disk = (struct hti_disk){.ops = &fuzz_disk_ops, .arg = &s->files};
    STAILQ_INIT(&s->log);
    STAILQ_INIT(&s->other);
    write_group(&s->disk);
    require(hti_store_open(&s->disk, 65536, false, &boot, &s->store, text,
                           sizeof(text)) == HT_OK);
    require(hti_core_new(&config, &ops, s, &table, NULL, &boot, &s->core) ==
            HT_OK);
    require(hti_core_start(s->core, now(s)) == HT_OK);
}

static void run_jobs(struct state *s)
{
    struct hti_jobs done = STAILQ_HEAD_INITIALIZER(done);
    struct hti_job *job;

    hti_store_run_log(s->store, &s->log, &done);
    while ((job = STAILQ_FIRST(&done)) != NULL) {
        STAILQ_REMOVE_HEAD(&done, link);
        require(hti_core_done(s->core, now(s), job) == HT_OK);
    }
    job = STAILQ_FIRST(&s->other);
    if (job != NULL) {
        STAILQ_REMOVE_HEAD(&s->other, link);
        hti_store_run_file(s->store, job);
        require(hti_core_done(s->core, now(s), job) == HT_OK);
    }
}

/* A message whose head is right, so that its body is looked at: kind, whom it
 * is from, the term close to ours, then len bytes of the input. */
static size_t message(struct state *s, const uint8_t *data, size_t size)
{
    static const char *const names[] = {"n2@h", "n3@h", "n4@h", "n2@h"};
    struct hti_wbuf buf = {0};
    size_t len;

    if (size < 4) {
        return size;
    }
    len = data[3] < size - 4 ? data[3] : size - 4;
    hti_put_u8(&buf, HTI_WIRE_VERSION);
    hti_put_u8(&buf, (uint8_t)(data[0] % 14));
    hti_put_u64(&buf, 77);
    hti_put_u64(&buf, 2 + data[1] % 3);
    hti_put_u64(&buf, 1);
    hti_put_u64(&buf, hti_core_term(s->core) + data[2] % 4 -
                          (hti_core_term(s->core) > 0));
    hti_put_bytes(&buf, data + 4, len);
    require(hti_core_receive(s->core, now(s), names[data[1] % 3],
                             (ht_bytes){buf.data, buf.len}) == HT_OK);
    hti_wbuf_fini(&buf);
    return 4 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state s = {.now_us = 1000000};
    size_t at = 0;

    start(&s);
    while (at < size) {
        uint8_t what = data[at++];

        switch (what % 8) {
        case 0:
            s.now_us += (uint64_t)(what / 8) * 4000;
            require(hti_core_tick(s.core, now(&s)) == HT_OK);
            break;
        case 1:
            run_jobs(&s);
            break;
        case 2:
            (void)!hti_core_propose(s.core, now(&s), (ht_bytes){"abc", 3}, NULL,
                                    NULL);
            require(hti_core_flush(s.core, now(&s)) == HT_OK);
            break;
        case 3:
            (void)!hti_core_snapshot(s.core, NULL, NULL);
            (void)!hti_core_remove(s.core, "n3@h", NULL, NULL);
            require(hti_core_flush(s.core, now(&s)) == HT_OK);
            break;
        default:
            at += message(&s, data + at, size - at);
            break;
        }
    }
    hti_core_free(s.core);
    hti_jobs_free(&s.log);
    hti_jobs_free(&s.other);
    hti_store_free(s.store);
    fuzz_disk_fini(&s.files);
    return 0;
}
