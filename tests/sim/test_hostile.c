/* SPDX-License-Identifier: Apache-2.0 */
/* test_hostile.c - one member among others that say anything.
 *
 * Messages are well-formed, and nearly right: terms and indexes around those
 * that the member has, entries, configurations and snapshots that could be.
 * Whatever comes, in whatever order, the member neither ends the process (by an
 * assertion of libraft) nor fails, and what it has on its disk it can start
 * from again.
 *
 *   test_hostile                what `make test` runs
 *   test_hostile FROM COUNT     that many seeds
 */
#include "tests/lib/check.h"

#include "raft/core_internal.h"
#include "tests/sim/raft_disk.h"

#define OWN        1u
#define GROUP      77u
#define FILE_BYTES 4096u
#define STEPS      3000u

struct victim {
    uint64_t seed;
    uint64_t random;
    struct rdisk *rdisk;
    struct hti_disk disk;
    struct hti_store *store;
    struct hti_core *core;
    struct hti_jobs log_jobs;
    struct hti_jobs file_jobs;
    uint64_t now_us;
    uint64_t round; /* it asked for last */
    bool bootstrapped;
    uint64_t applied;
};

static uint64_t draw(struct victim *v, uint64_t below)
{
    v->random = v->random * 6364136223846793005u + 1442695040888963407u;
    return (v->random >> 33) % below;
}

static bool chance(struct victim *v, unsigned of)
{
    return draw(v, of) == 0;
}

/* Around what there is, now and then far off. */
static uint64_t near(struct victim *v, uint64_t number)
{
    uint64_t to = number + draw(v, 6);

    return chance(v, 40) ? draw(v, 2) * (UINT64_MAX / 8) : to > 3 ? to - 3 : 0;
}

/* ---- the machine --------------------------------------------------------- */

static ht_err apply(void *machine,
                    uint64_t index,
                    uint64_t time_ms,
                    ht_bytes command,
                    ht_bytes *ret_result)
{
    struct victim *v = machine;

    (void)time_ms;
    (void)command;
    CHECK(index > v->applied);
    v->applied = index;
    *ret_result = (ht_bytes){0};
    return HT_OK;
}

static ht_err snapshot_open(void *machine, void **ret_cursor)
{
    *ret_cursor = machine;
    return HT_OK;
}

static ht_err snapshot_read(
    void *machine, void *cursor, void *buf, size_t cap, size_t *ret_len)
{
    struct victim *v = machine;

    (void)cursor;
    *ret_len = chance(v, 2) ? cap % 100 : 0;
    memset(buf, 'x', *ret_len);
    return HT_OK;
}

static void snapshot_close(void *machine, void *cursor)
{
    (void)machine;
    (void)cursor;
}

static ht_err restore(void *machine, ht_raft_restore what, ht_bytes piece)
{
    struct victim *v = machine;

    (void)piece;
    if (what == HT_RAFT_RESTORE_BEGIN) {
        v->applied = 0;
    }
    return HT_OK;
}

static const ht_raft_machine table = {.apply = apply,
                                      .snapshot_open = snapshot_open,
                                      .snapshot_read = snapshot_read,
                                      .snapshot_close = snapshot_close,
                                      .restore = restore};

/* ---- life ---------------------------------------------------------------- */

static void
send(void *arg, uint64_t id, const char *node, const uint8_t *data, size_t len)
{
    struct victim *v = arg;
    struct hti_wire wire;

    (void)id;
    (void)node;
    if (hti_wire_decode((ht_bytes){data, len}, &wire) != HT_OK) {
        print_error("seed %llu: it says what is no message, kind %u\n",
                    (unsigned long long)v->seed, data[1]);
        fail();
    }
    if (wire.kind == HTI_WIRE_READ) {
        v->round = wire.u.read.round;
    }
}

static void submit(void *arg, struct hti_job *job)
{
    struct victim *v = arg;

    if (hti_job_is_log(job)) {
        STAILQ_INSERT_TAIL(&v->log_jobs, job, link);
    } else {
        STAILQ_INSERT_TAIL(&v->file_jobs, job, link);
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

static struct hti_when when(const struct victim *v)
{
    return (struct hti_when){.us = v->now_us, .wall_ms = v->now_us / 1000};
}

static void good(struct victim *v, ht_err err)
{
    if (err != HT_OK) {
        print_error("seed %llu: %s: %s\n", (unsigned long long)v->seed,
                    ht_errname(err), hti_core_failure(v->core));
        fail();
    }
}

static void up(struct victim *v)
{
    struct hti_core_config config = {.group = "g",
                                     .node = "n1",
                                     .heartbeat_ms = 20,
                                     .election_ms = 200,
                                     .command_bytes_max = 1u << 20,
                                     .pending_max = 100,
                                     .snapshot_after_entries = 20,
                                     .snapshot_after_bytes = 1u << 20,
                                     .trailing_entries = 5,
                                     .piece_bytes = 200,
                                     .seed = (unsigned)draw(v, UINT32_MAX)};
    struct hti_boot boot = {0};
    char text[256] = "";
    ht_err err = hti_store_open(&v->disk, FILE_BYTES, false, &boot, &v->store,
                                text, sizeof(text));

    if (err != HT_OK) {
        print_error("seed %llu: it does not start again: %s\n",
                    (unsigned long long)v->seed, text);
    }
    CHECK_OK(err);
    STAILQ_INIT(&v->log_jobs);
    STAILQ_INIT(&v->file_jobs);
    CHECK_OK(hti_core_new(&config, &ops, v, &table, v, &boot, &v->core));
    hti_boot_fini(&boot);
    good(v, hti_core_start(v->core, when(v)));
}

static void down(struct victim *v)
{
    hti_core_free(v->core);
    hti_jobs_free(&v->log_jobs);
    hti_jobs_free(&v->file_jobs);
    hti_store_free(v->store);
}

static void jobs(struct victim *v)
{
    struct hti_jobs done = STAILQ_HEAD_INITIALIZER(done);
    struct hti_job *job;

    if (chance(v, 2)) {
        hti_store_run_log(v->store, &v->log_jobs, &done);
    }
    if (chance(v, 2) && (job = STAILQ_FIRST(&v->file_jobs)) != NULL) {
        STAILQ_REMOVE_HEAD(&v->file_jobs, link);
        hti_store_run_file(v->store, job);
        STAILQ_INSERT_TAIL(&done, job, link);
    }
    while ((job = STAILQ_FIRST(&done)) != NULL) {
        STAILQ_REMOVE_HEAD(&done, link);
        good(v, hti_core_done(v->core, when(v), job));
    }
}

/* ---- what the others say ------------------------------------------------- */

static struct hti_wbuf some_conf(struct victim *v)
{
    struct raft_configuration conf;
    struct raft_buffer raw;
    struct hti_wbuf buf = {0};
    bool voter = false;

    raft_configuration_init(&conf);
    for (unsigned id = 1; id <= 4; id++) {
        char name[8];
        bool votes = !chance(v, 4) || (id == 4 && !voter);

        if (chance(v, 4) && id != 4) {
            continue;
        }
        voter |= votes;
        snprintf(name, sizeof(name), "n%u", id);
        CHECK(raft_configuration_add(&conf, id, name,
                                     votes ? RAFT_VOTER : RAFT_STANDBY) == 0);
    }
    CHECK(raft_configuration_encode(&conf, &raw) == 0);
    hti_put_bytes(&buf, raw.base, raw.len);
    raft_free(raw.base);
    raft_configuration_close(&conf);
    return buf;
}

static uint64_t some_index(struct victim *v)
{
    uint64_t of[] = {hti_core_last(v->core), hti_core_commit(v->core),
                     v->core->snap.index, v->core->raft.trail.offset,
                     v->core->intake.index};

    return near(v, of[draw(v, 5)]);
}

static uint64_t term_near(struct victim *v, uint64_t index, uint64_t most)
{
    uint64_t term = hti_core_term_at(v->core, index);

    if (term == 0 || chance(v, 4)) {
        term = most > 0 ? most - draw(v, most < 3 ? most : 3) : 0;
    }
    return term < most ? term : most;
}

static struct hti_wbuf some_entries(struct victim *v, struct hti_wire *wire)
{
    struct hti_wbuf buf = {0};
    uint64_t term = wire->u.append.prev_term > 0 ? wire->u.append.prev_term : 1;

    wire->u.append.count = (uint32_t)draw(v, 5);
    for (uint32_t i = 0; i < wire->u.append.count; i++) {
        uint8_t type = (uint8_t)(1 + draw(v, 3));
        struct hti_wbuf conf =
            type == HTI_ENTRY_CHANGE ? some_conf(v) : (struct hti_wbuf){0};
        size_t len = type == HTI_ENTRY_CHANGE ? conf.len : 8 + draw(v, 40);
        struct hti_entry *entry = hti_entry_new(term, type, len);

        if (term < wire->term && chance(v, 3)) {
            entry->term = ++term;
        }
        memset(entry->data, 0, len);
        if (conf.len > 0) {
            memcpy(entry->data, conf.data, conf.len);
        }
        hti_wire_put_entry(&buf, entry);
        hti_entry_unref(entry);
        hti_wbuf_fini(&conf);
    }
    wire->u.append.entries = buf.data;
    wire->u.append.entries_len = buf.len;
    return buf;
}

/* A file as a leader would send it. */
static struct hti_wbuf some_snapshot(struct victim *v, uint64_t index)
{
    struct rdisk *rdisk = rdisk_new(1);
    struct hti_disk disk = rdisk_as_disk(rdisk);
    struct hti_wbuf conf = some_conf(v);
    struct hti_snap_info info = {
        .index = index,
        .term = 1 + draw(v, v->core->raft.current_term + 1),
        .time_ms = draw(v, 1000),
        .conf_index = 1 + draw(v, index),
        .group = GROUP,
        .conf_len = (uint32_t)conf.len,
        .conf = conf.data};
    struct hti_snap_writer writer;
    struct hti_wbuf bytes = {0};
    uint64_t size = 0;
    int fd;

    CHECK_OK(hti_snap_create(&disk, &info, &writer));
    CHECK_OK(hti_snap_write(&disk, &writer, "state", 5));
    CHECK_OK(hti_snap_finish(&disk, &writer, &size));
    fd = disk.ops->open(disk.arg, HTI_SNAP_WRITTEN, HTI_DISK_READ);
    CHECK(disk.ops->pread(disk.arg, fd, hti_wbuf_take(&bytes, (size_t)size),
                          (size_t)size, 0) == (ssize_t)size);
    disk.ops->close(disk.arg, fd);
    rdisk_free(rdisk);
    hti_wbuf_fini(&conf);
    return bytes;
}

static void hear(struct victim *v, struct hti_wire *wire)
{
    struct hti_wbuf buf = {0};
    char node[8];

    snprintf(node, sizeof(node), "n%u", (unsigned)wire->from);
    hti_wire_encode(&buf, wire);
    good(v, hti_core_receive(v->core, when(v), node,
                             (ht_bytes){buf.data, buf.len}));
    hti_wbuf_fini(&buf);
}

static void hear_append(struct victim *v, struct hti_wire *wire)
{
    struct hti_wbuf entries;

    wire->u.append.prev_index = some_index(v);
    wire->u.append.prev_term =
        term_near(v, wire->u.append.prev_index, wire->term);
    if (wire->u.append.prev_index == 0) {
        wire->u.append.prev_term = 0;
    }
    wire->u.append.commit = some_index(v);
    entries = some_entries(v, wire);
    hear(v, wire);
    hti_wbuf_fini(&entries);
}

static void hear_snapshot(struct victim *v, struct hti_wire *wire)
{
    uint64_t index = some_index(v) % 1000 + 1;
    struct hti_wbuf bytes = some_snapshot(v, index);
    size_t piece = chance(v, 2) ? bytes.len : 50;

    wire->u.piece.index = index;
    wire->u.piece.size = bytes.len;
    for (size_t at = 0; at < bytes.len; at += piece) {
        size_t len = bytes.len - at < piece ? bytes.len - at : piece;

        wire->u.piece.offset = at;
        wire->u.piece.data = (ht_bytes){bytes.data + at, len};
        hear(v, wire);
        if (chance(v, 3)) {
            jobs(v);
        }
    }
    hti_wbuf_fini(&bytes);
}

static void hear_other(struct victim *v, struct hti_wire *wire)
{
    switch ((int)wire->kind) {
    case HTI_WIRE_APPEND_RESULT:
        wire->u.append_result.rejected = chance(v, 2) ? some_index(v) : 0;
        wire->u.append_result.last_index = some_index(v);
        wire->u.append_result.features = (uint16_t)draw(v, 2);
        wire->u.append_result.capacity = (uint16_t)draw(v, 2);
        break;
    case HTI_WIRE_VOTE:
        wire->u.vote.candidate = wire->from;
        wire->u.vote.last_index = some_index(v);
        wire->u.vote.last_term =
            term_near(v, wire->u.vote.last_index, wire->term);
        wire->u.vote.disrupt = chance(v, 3);
        wire->u.vote.pre = chance(v, 2);
        break;
    case HTI_WIRE_VOTE_RESULT:
        wire->u.vote_result.granted = !chance(v, 4);
        wire->u.vote_result.pre = chance(v, 2);
        break;
    case HTI_WIRE_TIMEOUT_NOW:
        wire->u.timeout_now.last_index = hti_core_last(v->core);
        wire->u.timeout_now.last_term =
            hti_core_term_at(v->core, hti_core_last(v->core));
        break;
    case HTI_WIRE_READ:
    case HTI_WIRE_READ_ACK:
        wire->u.read.round = near(v, v->round);
        break;
    case HTI_WIRE_PIECE_ACK:
        wire->u.piece.index =
            chance(v, 4) ? some_index(v) : v->core->snap.index;
        wire->u.piece.size = v->core->snap.size;
        wire->u.piece.offset = draw(v, v->core->snap.size + 1);
        break;
    case HTI_WIRE_HELLO_ACK:
        wire->group = chance(v, 3) ? 0 : wire->group;
        break;
    default:
        break;
    }
    hear(v, wire);
}

/* What makes it a leader, and keeps it one for a while. */
static void hear_friendly(struct victim *v, struct hti_wire *wire)
{
    const struct raft *raft = &v->core->raft;

    wire->term = raft->current_term;
    if (hti_core_is(v->core, RAFT_CANDIDATE)) {
        wire->kind = HTI_WIRE_VOTE_RESULT;
        wire->u.vote_result.granted = true;
        wire->u.vote_result.pre = raft->candidate_state.in_pre_vote;
        wire->term += wire->u.vote_result.pre;
    } else {
        wire->kind = HTI_WIRE_APPEND_RESULT;
        wire->u.append_result.last_index = hti_core_last(v->core);
        wire->u.append_result.features = 1;
        wire->u.append_result.capacity = 1;
    }
    hear(v, wire);
}

static void hear_something(struct victim *v)
{
    struct hti_wire wire = {
        .kind = (enum hti_wire_kind)(1 + draw(v, HTI_WIRE_LEAVE)),
        .group = GROUP,
        .from = 2 + draw(v, 3),
        .to = OWN,
        .term = v->core->raft.current_term};

    if (!hti_core_is(v->core, RAFT_FOLLOWER) && !chance(v, 3)) {
        hear_friendly(v, &wire);
        return;
    }
    if (chance(v, 8)) {
        wire.term = near(v, wire.term);
    }
    if (chance(v, 3)) {
        wire.kind = HTI_WIRE_APPEND;
    }
    if (wire.kind == HTI_WIRE_APPEND) {
        hear_append(v, &wire);
    } else if (wire.kind == HTI_WIRE_PIECE) {
        hear_snapshot(v, &wire);
    } else {
        hear_other(v, &wire);
    }
}

/* ---- what the member itself does ----------------------------------------- */

static void done(void *arg, ht_err err, ht_bytes result, uint64_t index)
{
    (void)arg;
    (void)err;
    (void)result;
    (void)index;
}

static void ready(void *arg, ht_err err)
{
    (void)arg;
    (void)err;
}

static void changed(void *arg, ht_err err, const char *text)
{
    (void)arg;
    (void)err;
    (void)text;
}

static void act(struct victim *v)
{
    char node[8];

    snprintf(node, sizeof(node), "n%u", (unsigned)(1 + draw(v, 4)));
    switch (draw(v, 7)) {
    case 0:
        (void)!hti_core_read(v->core, ready, v);
        break;
    case 1:
        (void)!hti_core_add(v->core, node, !chance(v, 3), changed, v);
        break;
    case 2:
        (void)!hti_core_remove(v->core, node, changed, v);
        break;
    case 3:
        (void)!hti_core_transfer(v->core, chance(v, 2) ? NULL : node, changed,
                                 v);
        break;
    case 4:
        (void)!hti_core_snapshot(v->core, changed, v);
        break;
    default:
        (void)!hti_core_propose(v->core, when(v), (ht_bytes){"do", 2}, done, v);
        break;
    }
    good(v, hti_core_flush(v->core, when(v)));
}

static void step(struct victim *v)
{
    switch (draw(v, 8)) {
    case 0:
        v->now_us += draw(v, 100000);
        good(v, hti_core_tick(v->core, when(v)));
        break;
    case 1:
        act(v);
        break;
    case 2:
    case 3:
        jobs(v);
        break;
    default:
        hear_something(v);
        break;
    }
    if (chance(v, 150)) {
        bool power = chance(v, 2);

        down(v);
        if (power) {
            rdisk_crash(v->rdisk);
        } else {
            rdisk_close_all(v->rdisk);
        }
        up(v);
    }
}

static void run_seed(uint64_t seed)
{
    struct victim v = {.seed = seed, .random = seed * 2654435761u + 1};

    v.rdisk = rdisk_new(seed);
    v.disk = rdisk_as_disk(v.rdisk);
    v.bootstrapped = seed % 3 == 0;
    CHECK_OK(hti_store_create(&v.disk, OWN, v.bootstrapped ? GROUP : 0, "n1",
                              FILE_BYTES));
    up(&v);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&v);
    }
    CHECK(hti_core_term(v.core) < UINT32_MAX);
    down(&v);
    rdisk_free(v.rdisk);
}

static uint64_t first = 1;
static uint64_t count = 60;

static void test_anything(void **state)
{
    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++) {
        run_seed(seed);
    }
    /* Once: a snapshot had its name before its term was durable. */
    run_seed(100537);
}

/* What waits for a disk that is slow is bounded by its bytes too. */
static void test_proposals_are_bounded(void **state)
{
    uint8_t *bytes = calloc(1, 1u << 20);
    const ht_bytes command = {bytes, 1u << 20};
    struct victim v = {.random = 1, .now_us = 1};
    unsigned taken = 0;

    (void)state;
    v.rdisk = rdisk_new(1);
    v.disk = rdisk_as_disk(v.rdisk);
    CHECK_OK(hti_store_create(&v.disk, OWN, GROUP, "n1", FILE_BYTES));
    up(&v);
    while (hti_core_propose(v.core, when(&v), command, done, &v) == HT_OK) {
        taken++;
        CHECK(taken < 64);
        good(&v, hti_core_flush(v.core, when(&v)));
    }
    CHECK_ERR(hti_core_propose(v.core, when(&v), command, done, &v), HT_EBUSY);
    CHECK(taken > 32);
    while (v.applied < taken) {
        jobs(&v);
    }
    CHECK_OK(hti_core_propose(v.core, when(&v), command, done, &v));
    down(&v);
    rdisk_free(v.rdisk);
    free(bytes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_anything),
        cmocka_unit_test(test_proposals_are_bounded)};

    if (argc == 3) {
        first = strtoull(argv[1], NULL, 10);
        count = strtoull(argv[2], NULL, 10);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
