/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/raft_sim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/log_format.h"
#include "tests/sim/raft_internal.h"

#define HEARTBEAT_MS 50
#define ELECTION_MS  300
/* After the faults: how long until all must agree. */
#define SETTLE_US 60000000u

/* ---- chance, words ------------------------------------------------------ */

uint64_t rsim_random(struct rsim *sim, uint64_t below)
{
    sim->random = sim->random * 6364136223846793005u + 1442695040888963407u;
    return (sim->random >> 33) % below;
}

void rsim_note(struct rsim *sim, const char *format, ...)
{
    char text[600];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (const char *c = text; *c != '\0'; c++) {
        sim->signature = (sim->signature ^ (uint8_t)*c) * 1099511628211u;
    }
    if (sim->options.trace) {
        printf("[%9.3f] %s\n", (double)sim->now_us / 1000, text);
    }
}

void rsim_breach(const struct rsim *sim, const char *format, ...)
{
    va_list args;

    printf("seed %" PRIu64 ", %.3f ms: ", sim->options.seed,
           (double)sim->now_us / 1000);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\nto replay: %s --trace %" PRIu64 "\n",
           program_invocation_short_name, sim->options.seed);
    fflush(stdout);
    abort();
}

/* ---- events ------------------------------------------------------------- */

static bool before(const struct rsim_event *a, const struct rsim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

void rsim_post(struct rsim *sim, uint64_t after_us, struct rsim_event event)
{
    size_t i = sim->heap_count;

    if (sim->heap_count == sim->heap_cap) {
        sim->heap_cap = sim->heap_cap != 0 ? sim->heap_cap * 2 : 1024;
        sim->heap =
            realloc(sim->heap, sim->heap_cap * sizeof(struct rsim_event));
        if (sim->heap == NULL) {
            abort();
        }
    }
    event.at_us = sim->now_us + after_us;
    event.number = sim->next_number++;
    sim->heap_count++;
    while (i > 0 && before(&event, &sim->heap[(i - 1) / 2])) {
        sim->heap[i] = sim->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    sim->heap[i] = event;
}

static struct rsim_event pop(struct rsim *sim)
{
    struct rsim_event first = sim->heap[0];
    struct rsim_event last = sim->heap[--sim->heap_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= sim->heap_count) {
            break;
        }
        if (child + 1 < sim->heap_count &&
            before(&sim->heap[child + 1], &sim->heap[child])) {
            child++;
        }
        if (!before(&sim->heap[child], &last)) {
            break;
        }
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    sim->heap[i] = last;
    return first;
}

/* ---- what the core asks for --------------------------------------------- */

static void
send(void *arg, uint64_t id, const char *node, const uint8_t *data, size_t len)
{
    struct rsim_member *m = arg;
    struct rsim *sim = m->sim;
    unsigned copies = 1;
    unsigned to = 0;

    (void)id;
    while (to < sim->count && strcmp(sim->members[to].name, node) != 0) {
        to++;
    }
    if (to == sim->count || sim->blocked[m->number][to] ||
        rsim_random(sim, 1000) < sim->lose) {
        return;
    }
    if (rsim_random(sim, 1000) < sim->twice) {
        copies = 2;
    }
    while (copies-- > 0) {
        struct rsim_event event = {
            .kind = RSIM_MESSAGE, .member = to, .from = m->number, .len = len};

        event.data = malloc(len);
        if (event.data == NULL) {
            abort();
        }
        memcpy(event.data, data, len);
        rsim_post(sim, 50 + rsim_random(sim, sim->delay_us), event);
    }
}

static uint64_t disk_us(struct rsim_member *m)
{
    struct rsim *sim = m->sim;

    if (m->slow && rsim_random(sim, 4) == 0) {
        return 20000 + rsim_random(sim, 400000);
    }
    return 100 + rsim_random(sim, 3000);
}

static void submit(void *arg, struct hti_job *job)
{
    struct rsim_member *m = arg;
    struct rsim_event event = {.member = m->number, .life = m->life};

    if (hti_job_is_log(job)) {
        STAILQ_INSERT_TAIL(&m->log_jobs, job, link);
        if (!m->log_due) {
            m->log_due = true;
            event.kind = RSIM_LOG;
            rsim_post(m->sim, disk_us(m), event);
        }
        return;
    }
    STAILQ_INSERT_TAIL(&m->file_jobs, job, link);
    if (!m->file_due) {
        m->file_due = true;
        event.kind = RSIM_FILE;
        rsim_post(m->sim, disk_us(m), event);
    }
}

static void say(void *arg, ht_log_level level, const char *id, const char *text)
{
    struct rsim_member *m = arg;

    (void)level;
    rsim_note(m->sim, "%u %s %s", m->number, id, text);
    if (strcmp(id, "HT-RAFT-CONFLICT") == 0) {
        rsim_breach(m->sim, "%u: %s", m->number, text);
    }
}

static const struct hti_core_ops ops = {
    .send = send, .submit = submit, .log = say};

/* ---- the machine, watched ----------------------------------------------- */

static ht_err apply(void *machine,
                    uint64_t index,
                    uint64_t time_ms,
                    ht_bytes command,
                    ht_bytes *ret_result)
{
    struct rsim_member *m = machine;

    rsim_check_apply(m->sim, m, index, time_ms, command);
    return m->sim->options.app->table->apply(m->machine, index, time_ms,
                                             command, ret_result);
}

static ht_err snapshot_open(void *machine, void **ret_cursor)
{
    struct rsim_member *m = machine;

    return m->sim->options.app->table->snapshot_open(m->machine, ret_cursor);
}

/* Short pieces, so that there are many. */
static ht_err snapshot_read(
    void *machine, void *cursor, void *buf, size_t cap, size_t *ret_len)
{
    struct rsim_member *m = machine;

    return m->sim->options.app->table->snapshot_read(m->machine, cursor, buf,
                                                     cap, ret_len);
}

static void snapshot_close(void *machine, void *cursor)
{
    struct rsim_member *m = machine;

    m->sim->options.app->table->snapshot_close(m->machine, cursor);
}

static ht_err restore(void *machine, ht_raft_restore what, ht_bytes piece)
{
    struct rsim_member *m = machine;

    return m->sim->options.app->table->restore(m->machine, what, piece);
}

static void on_role(void *machine, ht_raft_role role, uint64_t term)
{
    struct rsim_member *m = machine;

    if (m->sim->options.app->table->on_role != NULL) {
        m->sim->options.app->table->on_role(m->machine, role, term);
    }
}

static void on_leader(void *machine)
{
    struct rsim_member *m = machine;

    if (m->sim->options.app->table->on_leader != NULL) {
        m->sim->options.app->table->on_leader(m->machine);
    }
}

static const ht_raft_machine watched = {.apply = apply,
                                        .snapshot_open = snapshot_open,
                                        .snapshot_read = snapshot_read,
                                        .snapshot_close = snapshot_close,
                                        .restore = restore,
                                        .on_role = on_role,
                                        .on_leader = on_leader};

/* ---- lives of a member -------------------------------------------------- */

struct hti_when rsim_when(const struct rsim_member *m)
{
    return (struct hti_when){.us = m->sim->now_us,
                             .wall_ms =
                                 (uint64_t)((int64_t)(m->sim->now_us / 1000) +
                                            1000000 + m->clock_ms)};
}

/* What a node of its own would do after each turn. */
void rsim_after(struct rsim *sim, struct rsim_member *m, ht_err err)
{
    struct rsim_event tick = {
        .kind = RSIM_TICK, .member = m->number, .life = m->life};
    uint64_t due;

    if (err != HT_OK) {
        if (!rdisk_died(m->disk)) {
            rsim_breach(sim, "%u failed: %s: %s", m->number, ht_errname(err),
                        hti_core_failure(m->core));
        }
        rsim_note(sim, "%u died: %s", m->number, hti_core_failure(m->core));
        rsim_crash_member(sim, m->number, true);
        return;
    }
    rsim_check(sim, m);
    due = hti_core_deadline(m->core);
    if (due < m->tick_at || m->tick_at <= sim->now_us) {
        m->tick_at = due > sim->now_us ? due : sim->now_us + 1;
        rsim_post(sim, m->tick_at - sim->now_us, tick);
    }
}

static void down(struct rsim_member *m)
{
    struct hti_core *core = m->core;

    m->core = NULL;
    hti_core_free(core);
    hti_store_free(m->store);
    m->store = NULL;
    hti_jobs_free(&m->log_jobs);
    hti_jobs_free(&m->file_jobs);
    m->log_due = m->file_due = m->flush_due = false;
    m->tick_at = 0;
    if (m->machine != NULL) {
        m->sim->options.app->machine_free(m->sim->options.app_arg, m->machine);
        m->machine = NULL;
    }
    rsim_check_down(m);
}

void rsim_crash_member(struct rsim *sim, unsigned i, bool power)
{
    struct rsim_member *m = &sim->members[i];

    if (m->core == NULL) {
        return;
    }
    rsim_note(sim, "%u crashes%s", i, power ? ", with its disk" : "");
    down(m);
    if (power) {
        rdisk_crash(m->disk);
    } else {
        rdisk_close_all(m->disk);
    }
}

static ht_err open_member(struct rsim *sim,
                          struct rsim_member *m,
                          struct hti_boot *boot,
                          char *text,
                          size_t text_len)
{
    uint32_t file_bytes = 4096u << sim->options.seed % 4;
    ht_err err = hti_store_exists(&m->as_disk, text, text_len);

    if (err == HT_ENOENT) {
        bool first = m->number == 0 && m->life == 1;
        uint64_t id = 1000 * ((uint64_t)m->number + 1) + m->life;

        err = hti_store_create(&m->as_disk, id, first ? 77 : 0, m->name,
                               file_bytes);
    }
    if (err == HT_OK) {
        err = hti_store_open(&m->as_disk, file_bytes, false, boot, &m->store,
                             text, text_len);
    }
    return err;
}

void rsim_start_member(struct rsim *sim, unsigned i)
{
    struct rsim_member *m = &sim->members[i];
    struct hti_boot boot = {0};
    char text[256] = "";
    struct hti_core_config config = {.group = "sim",
                                     .node = m->name,
                                     .heartbeat_ms = HEARTBEAT_MS,
                                     .election_ms = ELECTION_MS,
                                     .command_bytes_max = 64u << 10,
                                     .pending_max = 1000,
                                     .snapshot_after_entries = 60,
                                     .snapshot_after_bytes = 1u << 20,
                                     .trailing_entries = 10,
                                     .piece_bytes = 200};
    ht_err err;

    if (m->core != NULL) {
        return;
    }
    m->life++;
    config.seed = (unsigned)rsim_random(sim, UINT32_MAX);
    err = open_member(sim, m, &boot, text, sizeof(text));
    if (m->damaged && !rdisk_died(m->disk)) {
        if (err != HT_ECORRUPT) {
            rsim_breach(sim, "%u started with a damaged log (%s)", i,
                        ht_errname(err));
        }
        rsim_note(sim, "%u refuses: %s", i, text);
        rdisk_close_all(m->disk);
        return;
    }
    if (err == HT_ENOSPC || (err != HT_OK && rdisk_died(m->disk))) {
        rsim_note(sim, "%u cannot start: %s", i, ht_errname(err));
        rdisk_crash(m->disk);
        return;
    }
    if (err != HT_OK) {
        rsim_breach(sim, "%u does not start: %s %s", i, ht_errname(err), text);
    }
    m->meta_hit = false;
    m->machine = sim->options.app->machine_new(sim->options.app_arg, i);
    err = hti_core_new(&config, &ops, m, &watched, m, &boot, &m->core);
    if (err != HT_OK) {
        abort();
    }
    hti_boot_fini(&boot);
    rsim_note(sim, "%u starts, term %" PRIu64 " last %" PRIu64, i,
              hti_core_term(m->core), hti_core_last(m->core));
    rsim_after(sim, m, hti_core_start(m->core, rsim_when(m)));
}

static void see_oldest(const char *name, uint64_t size, void *arg)
{
    struct rsim_member *m = arg;

    (void)size;
    if (strncmp(name, "log-0", 5) == 0 &&
        (m->flip_name[0] == '\0' || strcmp(name, m->flip_name) < 0)) {
        snprintf(m->flip_name, sizeof(m->flip_name), "%s", name);
    }
}

bool rsim_log_has_more(struct rsim_member *m)
{
    uint8_t bytes[65536];
    ssize_t got;
    uint64_t first;
    int fd;

    m->flip_name[0] = '\0';
    (void)m->as_disk.ops->list(m->as_disk.arg, see_oldest, m);
    fd = m->flip_name[0] != '\0'
             ? m->as_disk.ops->open(m->as_disk.arg, m->flip_name, HTI_DISK_READ)
             : -1;
    if (fd < 0) {
        return false;
    }
    got = m->as_disk.ops->pread(m->as_disk.arg, fd, bytes, sizeof(bytes), 0);
    m->as_disk.ops->close(m->as_disk.arg, fd);
    first = got > 128 ? hti_of_le64(bytes + 64 + 8) : 0;
    for (ssize_t at = 72; first != 0 && at + 48 <= got; at += 8) {
        struct hti_log_record record;

        if (hti_log_record_read(bytes + at, (size_t)(got - at), &record) &&
            record.seq > first && record.durable >= first) {
            return true;
        }
    }
    return false;
}

/* ---- what happens ------------------------------------------------------- */

static void run_log(struct rsim *sim, struct rsim_member *m)
{
    struct hti_jobs done = STAILQ_HEAD_INITIALIZER(done);
    struct rsim_event again = {
        .kind = RSIM_LOG, .member = m->number, .life = m->life};
    unsigned life = m->life;
    struct hti_job *job;

    m->log_due = false;
    hti_store_run_log(m->store, &m->log_jobs, &done);
    if (!STAILQ_EMPTY(&m->log_jobs)) {
        m->log_due = true;
        rsim_post(sim, 20000, again);
    }
    if (m->core != NULL) {
        hti_core_full(m->core, atomic_load(&m->store->full));
    }
    while (m->core != NULL && m->life == life &&
           (job = STAILQ_FIRST(&done)) != NULL) {
        STAILQ_REMOVE_HEAD(&done, link);
        rsim_after(sim, m, hti_core_done(m->core, rsim_when(m), job));
    }
    hti_jobs_free(&done);
}

static void run_file(struct rsim *sim, struct rsim_member *m)
{
    struct hti_job *job = STAILQ_FIRST(&m->file_jobs);
    struct rsim_event again = {
        .kind = RSIM_FILE, .member = m->number, .life = m->life};

    STAILQ_REMOVE_HEAD(&m->file_jobs, link);
    hti_store_run_file(m->store, job);
    m->file_due = !STAILQ_EMPTY(&m->file_jobs);
    if (m->file_due) {
        rsim_post(sim, disk_us(m), again);
    }
    rsim_after(sim, m, hti_core_done(m->core, rsim_when(m), job));
}

static void act(struct rsim *sim)
{
    struct rsim_event again = {.kind = RSIM_ACT};

    for (unsigned n = 0; n < 3; n++) {
        unsigned i = (unsigned)rsim_random(sim, sim->count);

        if (rsim_alive(sim, i) &&
            sim->members[i].paused_until_us <= sim->now_us) {
            sim->options.app->act(sim->options.app_arg, sim, i);
        }
    }
    rsim_post(sim, 1000 + rsim_random(sim, 20000), again);
}

/* Whoever stands still gets it later. */
static bool put_off(struct rsim *sim, const struct rsim_event *event)
{
    const struct rsim_member *m = &sim->members[event->member];

    if (event->kind >= RSIM_ACT || m->paused_until_us <= sim->now_us) {
        return false;
    }
    rsim_post(sim, m->paused_until_us - sim->now_us, *event);
    return true;
}

static void on_member(struct rsim *sim, struct rsim_event *event)
{
    struct rsim_member *m = &sim->members[event->member];

    if (m->core == NULL ||
        (event->kind != RSIM_MESSAGE && event->life != m->life)) {
        return;
    }
    switch (event->kind) {
    case RSIM_MESSAGE:
        rsim_after(sim, m,
                   hti_core_receive(m->core, rsim_when(m),
                                    sim->members[event->from].name,
                                    (ht_bytes){event->data, event->len}));
        break;
    case RSIM_LOG:
        run_log(sim, m);
        break;
    case RSIM_FILE:
        run_file(sim, m);
        break;
    case RSIM_TICK:
        if (event->at_us >= m->tick_at) {
            rsim_after(sim, m, hti_core_tick(m->core, rsim_when(m)));
        }
        break;
    case RSIM_FLUSH:
        m->flush_due = false;
        rsim_after(sim, m, hti_core_flush(m->core, rsim_when(m)));
        break;
    case RSIM_ACT:
    case RSIM_FAULT:
        break;
    }
}

static void step(struct rsim *sim)
{
    struct rsim_event event = pop(sim);

    sim->now_us = event.at_us;
    sim->events_done++;
    if (put_off(sim, &event)) {
        return;
    }
    switch (event.kind) {
    case RSIM_ACT:
        act(sim);
        break;
    case RSIM_FAULT:
        rsim_fault(sim);
        break;
    case RSIM_MESSAGE:
    case RSIM_LOG:
    case RSIM_FILE:
    case RSIM_TICK:
    case RSIM_FLUSH:
        on_member(sim, &event);
        break;
    }
    free(event.data);
}

static void run_until(struct rsim *sim, uint64_t until_us)
{
    while (sim->heap_count > 0 && sim->heap[0].at_us <= until_us) {
        step(sim);
    }
    sim->now_us = until_us;
}

/* ---- for the app -------------------------------------------------------- */

static void owe_flush(struct rsim *sim, struct rsim_member *m)
{
    struct rsim_event event = {
        .kind = RSIM_FLUSH, .member = m->number, .life = m->life};

    if (!m->flush_due) {
        m->flush_due = true;
        rsim_post(sim, 1, event);
    }
}

ht_err rsim_propose(struct rsim *sim,
                    unsigned i,
                    ht_bytes command,
                    ht_raft_done_fn done,
                    void *arg)
{
    struct rsim_member *m = &sim->members[i];
    ht_err err = m->core == NULL ? HT_ECLOSED
                                 : hti_core_propose(m->core, rsim_when(m),
                                                    command, done, arg);

    if (err == HT_OK) {
        owe_flush(sim, m);
    }
    return err;
}

ht_err
rsim_read(struct rsim *sim, unsigned i, ht_raft_ready_fn ready, void *arg)
{
    struct rsim_member *m = &sim->members[i];
    ht_err err =
        m->core == NULL ? HT_ECLOSED : hti_core_read(m->core, ready, arg);

    if (err == HT_OK) {
        owe_flush(sim, m);
    }
    return err;
}

uint64_t rsim_now_us(const struct rsim *sim)
{
    return sim->now_us;
}

bool rsim_alive(const struct rsim *sim, unsigned member)
{
    return sim->members[member].core != NULL;
}

unsigned rsim_members(const struct rsim *sim)
{
    return sim->count;
}

void *rsim_machine(const struct rsim *sim, unsigned member)
{
    return sim->members[member].machine;
}

bool rsim_leads(const struct rsim *sim, unsigned member)
{
    return sim->members[member].core != NULL &&
           hti_core_leads(sim->members[member].core);
}

/* ---- a run -------------------------------------------------------------- */

struct rsim *rsim_new(const struct rsim_options *options)
{
    struct rsim *sim = calloc(1, sizeof(*sim));
    struct rsim_event event = {.kind = RSIM_ACT};

    if (sim == NULL) {
        abort();
    }
    sim->options = *options;
    sim->random = options->seed * 0x9e3779b97f4a7c15u + 7;
    if (options->app == NULL) {
        sim->own_app = rsim_list_new();
        sim->options.app = &rsim_list_app;
        sim->options.app_arg = sim->own_app;
    }
    sim->voters = options->members != 0 ? options->members
                                        : 3 + 2 * (unsigned)rsim_random(sim, 3);
    sim->count = sim->voters + 2 <= RSIM_MEMBERS_MAX ? sim->voters + 2
                                                     : RSIM_MEMBERS_MAX;
    sim->delay_us = 2000;
    for (unsigned i = 0; i < sim->count; i++) {
        struct rsim_member *m = &sim->members[i];

        m->sim = sim;
        m->number = i;
        snprintf(m->name, sizeof(m->name), "m%u@sim", i);
        m->disk = rdisk_new(options->seed * 31 + i);
        m->as_disk = rdisk_as_disk(m->disk);
        STAILQ_INIT(&m->log_jobs);
        STAILQ_INIT(&m->file_jobs);
        rsim_start_member(sim, i);
    }
    rsim_post(sim, 1000, event);
    event.kind = RSIM_FAULT;
    rsim_post(sim, 1000, event);
    return sim;
}

void rsim_free(struct rsim *sim)
{
    for (unsigned i = 0; i < sim->count; i++) {
        if (sim->members[i].core != NULL) {
            down(&sim->members[i]);
        }
        rsim_check_down(&sim->members[i]);
        rdisk_free(sim->members[i].disk);
    }
    while (sim->heap_count > 0) {
        free(pop(sim).data);
    }
    free(sim->heap);
    rsim_check_fini(sim);
    rsim_list_free(sim->own_app);
    free(sim);
}

static struct rsim_member *leader(struct rsim *sim)
{
    struct rsim_member *found = NULL;

    for (unsigned i = 0; i < sim->count; i++) {
        struct rsim_member *m = &sim->members[i];

        if (m->core != NULL && hti_core_leads(m->core) &&
            (found == NULL ||
             hti_core_term(m->core) > hti_core_term(found->core))) {
            found = m;
        }
    }
    return found;
}

/* Every member that the leader has in its configuration has applied all. */
static bool agree(struct rsim *sim, uint64_t at_least)
{
    struct rsim_member *lead = leader(sim);
    ht_raft_status status;

    if (lead == NULL || hti_core_applied(lead->core) < at_least) {
        return false;
    }
    hti_core_status(lead->core, &status);
    for (uint32_t j = 0; j < status.members_count; j++) {
        for (unsigned i = 0; i < sim->count; i++) {
            struct rsim_member *m = &sim->members[i];

            if (strcmp(m->name, status.members[j].node) == 0 &&
                (m->core == NULL ||
                 hti_core_id(m->core) != status.members[j].id ||
                 hti_core_applied(m->core) != hti_core_applied(lead->core))) {
                return false;
            }
        }
    }
    return status.members_count > 0;
}

static void show(struct rsim *sim)
{
    for (unsigned i = 0; i < sim->count; i++) {
        struct rsim_member *m = &sim->members[i];
        ht_raft_status s;

        if (m->core == NULL) {
            printf("  %u is down\n", i);
            continue;
        }
        hti_core_status(m->core, &s);
        printf("  %u: role %d term %" PRIu64 " last %" PRIu64 " stored %" PRIu64
               " commit %" PRIu64 " applied %" PRIu64 " snapshot %" PRIu64
               " voter %d of:",
               i, (int)s.role, s.term, s.last_index, s.stored_index,
               s.commit_index, s.applied_index, s.snapshot_index, s.voter);
        for (uint32_t j = 0; j < s.members_count; j++) {
            printf(" %s%s", s.members[j].node, s.members[j].voter ? "" : "?");
        }
        printf("\n");
    }
}

bool rsim_run(struct rsim *sim, uint64_t for_ms)
{
    uint64_t until;
    uint64_t goal;

    sim->faults = true;
    run_until(sim, sim->now_us + for_ms * 1000);
    sim->faults = false;
    rsim_heal(sim);
    until = sim->now_us + SETTLE_US;
    /* Clients go on until something new was done, then stop. */
    goal = sim->committed + 5;
    while (sim->now_us < until && !agree(sim, goal)) {
        run_until(sim, sim->now_us + 50000);
    }
    if (!agree(sim, goal)) {
        printf("seed %" PRIu64 ": no progress after the faults (committed "
               "%" PRIu64 ")\nto replay: %s --trace %" PRIu64 "\n",
               sim->options.seed, sim->committed, program_invocation_short_name,
               sim->options.seed);
        show(sim);
        return false;
    }
    rsim_note(sim, "settled after %" PRIu64 " events", sim->events_done);
    return sim->options.app->settled == NULL ||
           sim->options.app->settled(sim->options.app_arg, sim);
}

uint64_t rsim_signature(const struct rsim *sim)
{
    return sim->signature ^ sim->events_done * 31 ^ sim->now_us;
}
