/* SPDX-License-Identifier: Apache-2.0 */
/* The store in the simulation of Raft: clients that read, write, compare and
 * swap, send again what was not answered, and hold a lock.  What they saw is
 * checked:
 *
 *   each key's history is linearizable (kv_linear.h);
 *   a request that was sent twice was done once, and answered the same twice;
 *   of those who hold the lock by their own clock there is one at a time, and
 *   each has a greater token than all before.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/clock.h"
#include "kv/limits.h"
#include "kv/state.h"
#include "tests/sim/kv_app.h"
#include "tests/sim/kv_linear.h"

#define CLIENTS     8u
#define KEYS        6u
#define AGAIN_MS    800u  /* a request without an answer is sent again */
#define LOCK_TTL_MS 2000u /* of the lock's lease */
#define COMMAND(f)  HARDTACK__KVLOG__COMMAND__OP_##f

struct kv_machine {
    struct kv_app *app;
    struct hti_kv *kv;
    uint64_t index; /* of the last command done */
    bool leads;
    struct hti_kv_clock clock;
    uint64_t skew_ms; /* of its monotonic clock */
};

enum what {
    WHAT_READ,
    WHAT_PUT,
    WHAT_DEL,
    WHAT_SWAP,
    WHAT_GRANT, /* the lock: a lease, the key, keeping alive, giving back */
    WHAT_LOCK,
    WHAT_KEEP,
    WHAT_UNLOCK,
};

struct client {
    struct kv_app *app;
    unsigned number;
    bool busy;
    enum what what;
    unsigned key;
    uint64_t sequence;
    uint64_t value;    /* that it writes */
    uint64_t expected; /* of a swap: a revision, and the value it was */
    uint64_t expected_value;
    uint64_t begin_us, sent_us;
    size_t op; /* in its key's history */
    /* The answer, to compare with one that comes later. */
    uint8_t answer[64];
    size_t answer_len;
    uint64_t answered; /* the sequence that it is for */
    /* What it last read of each key. */
    uint64_t seen_value[KEYS], seen_revision[KEYS];
    /* The lock. */
    uint64_t lease, token;
    uint64_t held_until_us; /* by its own reckoning; 0: it does not hold it */
    uint64_t asked_us;
};

struct history {
    struct linear_op ops[LINEAR_OPS_MAX];
    size_t count;
};

struct kv_app {
    struct rsim *sim;
    struct client clients[CLIENTS];
    struct history histories[KEYS];
    uint64_t value;    /* the last that was written */
    uint64_t moment;   /* an order of all beginnings and ends */
    uint64_t token;    /* the last of the lock */
    uint64_t answered; /* operations */
    uint64_t again;    /* requests that were sent again */
    uint64_t locked;
};

/* One sending of a request. */
struct sent {
    struct kv_app *app;
    struct rsim *sim;
    struct client *client;
    unsigned member;
    uint64_t sequence;
};

/* ---- the machine --------------------------------------------------------- */

static uint64_t member_now_ms(const struct kv_machine *m, struct rsim *sim)
{
    return rsim_now_us(sim) / 1000 + m->skew_ms;
}

static ht_err kv_apply(void *machine,
                       uint64_t index,
                       uint64_t time_ms,
                       ht_bytes command,
                       ht_bytes *ret_result)
{
    struct kv_machine *m = machine;

    (void)time_ms;
    m->index = index;
    if (command.len == 0) {
        return HT_OK; /* the simulation's own, at the end */
    }
    return hti_kv_apply(m->kv, command, ret_result);
}

static ht_err kv_open(void *machine, void **ret_cursor)
{
    struct kv_machine *m = machine;
    struct hti_kv_cursor *cursor;
    ht_err err = hti_kv_snapshot_open(m->kv, &cursor);

    if (err == HT_OK) {
        *ret_cursor = cursor;
    }
    return err;
}

static ht_err
kv_read(void *machine, void *cursor, void *buf, size_t cap, size_t *ret_len)
{
    struct kv_machine *m = machine;

    /* Small pieces, so that commands come between. */
    return hti_kv_snapshot_read(m->kv, cursor, buf, cap < 100 ? cap : 100,
                                ret_len);
}

static void kv_close(void *machine, void *cursor)
{
    struct kv_machine *m = machine;

    hti_kv_snapshot_close(m->kv, cursor);
}

static ht_err kv_restore(void *machine, ht_raft_restore what, ht_bytes piece)
{
    struct kv_machine *m = machine;

    switch (what) {
    case HT_RAFT_RESTORE_BEGIN:
        return hti_kv_restore_begin(m->kv);
    case HT_RAFT_RESTORE_DATA:
        return hti_kv_restore_data(m->kv, piece);
    case HT_RAFT_RESTORE_END:
        break;
    }
    return hti_kv_restore_end(m->kv);
}

static void kv_role(void *machine, ht_raft_role role, uint64_t term)
{
    struct kv_machine *m = machine;

    (void)term;
    m->leads = role == HT_RAFT_LEADER;
    if (m->leads) {
        hti_kv_clock_lead(&m->clock, m->kv->time_ms,
                          member_now_ms(m, m->app->sim));
    }
}

static void *machine_new(void *app, unsigned member)
{
    const struct hti_kv_opts opts = {0};
    struct kv_machine *m = calloc(1, sizeof(*m));

    if (m == NULL) {
        abort();
    }
    m->app = app;
    m->kv = hti_kv_new(&opts);
    m->skew_ms = (uint64_t)member * 1000003u;
    return m;
}

static void machine_free(void *app, void *machine)
{
    struct kv_machine *m = machine;

    (void)app;
    hti_kv_free(m->kv);
    free(m);
}

/* ---- histories ----------------------------------------------------------- */

static void op_begin(struct client *client, enum linear_kind kind)
{
    struct history *history = &client->app->histories[client->key];

    client->op = history->count;
    history->ops[history->count++] = (struct linear_op){
        .kind = kind,
        .value = client->value,
        .expected = client->expected_value,
        .begin = ++client->app->moment,
        .end = UINT64_MAX,
    };
}

static void op_end(struct client *client, uint64_t result)
{
    struct linear_op *op = &client->app->histories[client->key].ops[client->op];

    op->result = result;
    op->end = ++client->app->moment;
    client->app->answered++;
}

/* ---- answers ------------------------------------------------------------- */

static void lock_taken(struct client *client, struct rsim *sim, uint64_t token)
{
    struct kv_app *app = client->app;
    uint64_t now = rsim_now_us(sim);
    /* The lease began when it was last asked for, at the latest. */
    uint64_t until = client->asked_us + LOCK_TTL_MS * 1000;

    if (until <= now) {
        return; /* the answer came too late: it does not think that it holds */
    }
    if (token <= app->token) {
        rsim_breach(sim, "the lock's token is %" PRIu64 " after %" PRIu64,
                    token, app->token);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (i != client->number && app->clients[i].held_until_us > now) {
            rsim_breach(sim, "clients %u and %u hold the lock", i,
                        client->number);
        }
    }
    app->token = token;
    app->locked++;
    client->token = token;
    client->held_until_us = until;
}

static void take_swap(struct client *client, struct rsim *sim, ht_bytes packed)
{
    SwapReply *reply =
        hardtack__kv__swap_reply__unpack(NULL, packed.len, packed.data);

    if (reply == NULL) {
        rsim_breach(sim, "a swap's answer cannot be read");
    }
    if (client->what == WHAT_SWAP) {
        op_end(client, reply->swapped != 0);
    } else if (client->what == WHAT_LOCK && reply->swapped) {
        lock_taken(client, sim, reply->kv->create_revision);
    }
    hardtack__kv__swap_reply__free_unpacked(reply, NULL);
}

static void take_lease(struct client *client, struct rsim *sim, ht_bytes packed)
{
    LeaseReply *reply =
        hardtack__kv__lease_reply__unpack(NULL, packed.len, packed.data);

    if (reply == NULL) {
        rsim_breach(sim, "a lease's answer cannot be read");
    }
    client->lease = reply->lease;
    client->asked_us = client->begin_us;
    if (client->held_until_us != 0) {
        client->held_until_us = client->begin_us + LOCK_TTL_MS * 1000;
    }
    hardtack__kv__lease_reply__free_unpacked(reply, NULL);
}

static void take_done(struct client *client, struct rsim *sim, ht_bytes packed)
{
    DelReply *del;

    switch (client->what) {
    case WHAT_PUT:
        op_end(client, 0);
        break;
    case WHAT_DEL:
        del = hardtack__kv__del_reply__unpack(NULL, packed.len, packed.data);
        op_end(client, del->deleted);
        hardtack__kv__del_reply__free_unpacked(del, NULL);
        break;
    case WHAT_SWAP:
    case WHAT_LOCK:
    case WHAT_UNLOCK:
        take_swap(client, sim, packed);
        break;
    case WHAT_GRANT:
    case WHAT_KEEP:
        take_lease(client, sim, packed);
        break;
    case WHAT_READ:
        break;
    }
}

/* Refused: an operation of a key never is. */
static void
take_refusal(struct client *client, struct rsim *sim, ht_bytes answer)
{
    if (((const uint8_t *)answer.data)[0] != HTI_KV_NO_LEASE ||
        client->what < WHAT_GRANT) {
        rsim_breach(sim, "client %u was refused: %.*s", client->number,
                    (int)answer.len - 1, (const char *)answer.data + 1);
    }
    client->lease = 0;
    client->held_until_us = 0;
}

static bool has_id(enum what what)
{
    return what != WHAT_READ && what != WHAT_KEEP;
}

static void take(struct sent *sent, ht_bytes answer)
{
    struct client *client = sent->client;
    const uint8_t *bytes = answer.data;

    if (client->answered == sent->sequence && has_id(client->what) &&
        !client->busy) {
        /* The second answer to the same request. */
        size_t len = answer.len < 64 ? answer.len : 64;

        if (client->answer_len != answer.len ||
            memcmp(client->answer, answer.data, len) != 0) {
            rsim_breach(sent->sim, "client %u: two answers to request %" PRIu64,
                        client->number, sent->sequence);
        }
        return;
    }
    if (!client->busy || client->sequence != sent->sequence) {
        return; /* it has gone on since */
    }
    client->busy = false;
    client->answered = sent->sequence;
    client->answer_len = answer.len;
    memcpy(client->answer, answer.data, answer.len < 64 ? answer.len : 64);
    if (bytes[0] == HTI_KV_DONE) {
        take_done(client, sent->sim, (ht_bytes){bytes + 1, answer.len - 1});
    } else {
        take_refusal(client, sent->sim, answer);
    }
}

static void on_done(void *arg, ht_err err, ht_bytes result, uint64_t index)
{
    struct sent *sent = arg;

    (void)index;
    if (err == HT_OK) {
        take(sent, result);
    } else if (sent->client->sequence == sent->sequence) {
        sent->client->sent_us = 0; /* again, at once */
    }
    free(sent);
}

/* ---- reads --------------------------------------------------------------- */

static void on_ready(void *arg, ht_err err)
{
    struct sent *sent = arg;
    struct client *client = sent->client;
    const struct kv_machine *m = rsim_machine(sent->sim, sent->member);
    const struct hti_kv_item *item;
    char key[8];

    if (!client->busy || client->sequence != sent->sequence) {
        free(sent);
        return;
    }
    if (err != HT_OK) {
        client->sent_us = 0;
        free(sent);
        return;
    }
    snprintf(key, sizeof(key), "k%u", client->key);
    item = hti_kv_map_find(&m->kv->map, key, strlen(key));
    client->busy = false;
    client->seen_revision[client->key] = item == NULL ? 0 : item->now->revision;
    client->seen_value[client->key] =
        item == NULL ? 0 : strtoull(hti_kv_version_value(item->now), NULL, 10);
    op_end(client, client->seen_value[client->key]);
    free(sent);
}

/* ---- sending ------------------------------------------------------------- */

struct request {
    Command command;
    RequestId id;
    PutRequest put;
    DelRequest del;
    SwapRequest swap;
    LeaseGrantRequest grant;
    LeaseRequest lease;
    char key[8], client[8], text[24];
};

static void fill_swap(struct client *client, struct request *r)
{
    SwapRequest *swap = &r->swap;

    hardtack__kv__swap_request__init(swap);
    swap->key = client->what == WHAT_SWAP ? r->key : (char *)"lock";
    swap->request = &r->id;
    swap->expected_case = HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_REVISION;
    swap->expect_revision = client->expected;
    swap->data_case = HARDTACK__KV__SWAP_REQUEST__DATA_TEXT;
    swap->text = r->text;
    if (client->what == WHAT_LOCK) {
        swap->lease = client->lease;
    } else if (client->what == WHAT_UNLOCK) {
        swap->data_case = HARDTACK__KV__SWAP_REQUEST__DATA_REMOVE;
        swap->remove = true;
    }
    r->command.op_case = COMMAND(SWAP);
    r->command.swap = swap;
}

static void fill(struct client *client, struct request *r)
{
    hardtack__kvlog__command__init(&r->command);
    hardtack__kv__request_id__init(&r->id);
    snprintf(r->key, sizeof(r->key), "k%u", client->key);
    snprintf(r->client, sizeof(r->client), "c%u", client->number);
    snprintf(r->text, sizeof(r->text), "%" PRIu64, client->value);
    r->id.client = r->client;
    r->id.sequence = client->sequence;
    r->id.settled = true;
    switch (client->what) {
    case WHAT_PUT:
        hardtack__kv__put_request__init(&r->put);
        r->put.key = r->key;
        r->put.request = &r->id;
        r->put.data_case = HARDTACK__KV__PUT_REQUEST__DATA_TEXT;
        r->put.text = r->text;
        r->command.op_case = COMMAND(PUT);
        r->command.put = &r->put;
        break;
    case WHAT_DEL:
        hardtack__kv__del_request__init(&r->del);
        r->del.what_case = HARDTACK__KV__DEL_REQUEST__WHAT_KEY;
        r->del.key = r->key;
        r->del.request = &r->id;
        r->command.op_case = COMMAND(DEL);
        r->command.del = &r->del;
        break;
    case WHAT_SWAP:
    case WHAT_LOCK:
    case WHAT_UNLOCK:
        fill_swap(client, r);
        break;
    case WHAT_GRANT:
        hardtack__kv__lease_grant_request__init(&r->grant);
        r->grant.ttl_ms = LOCK_TTL_MS;
        r->grant.request = &r->id;
        r->command.op_case = COMMAND(GRANT);
        r->command.grant = &r->grant;
        break;
    case WHAT_KEEP:
        hardtack__kv__lease_request__init(&r->lease);
        r->lease.lease = client->lease;
        r->command.op_case = COMMAND(KEEP_ALIVE);
        r->command.keep_alive = &r->lease;
        break;
    case WHAT_READ:
        break;
    }
}

static ht_err send_command(struct sent *sent)
{
    struct kv_machine *m = rsim_machine(sent->sim, sent->member);
    struct request r;
    uint8_t bytes[512];
    size_t len;

    fill(sent->client, &r);
    /* As kv/member.c has it. */
    r.command.time_ms =
        m->leads ? hti_kv_clock_now(&m->clock, member_now_ms(m, sent->sim))
                 : m->kv->time_ms;
    len = hardtack__kvlog__command__pack(&r.command, bytes);
    return rsim_propose(sent->sim, sent->member, (ht_bytes){bytes, len},
                        on_done, sent);
}

static void
send_request(struct client *client, struct rsim *sim, unsigned member)
{
    struct sent *sent = calloc(1, sizeof(*sent));
    ht_err err;

    if (sent == NULL) {
        abort();
    }
    *sent = (struct sent){client->app, sim, client, member, client->sequence};
    client->app->again += client->sent_us != 0;
    client->sent_us = rsim_now_us(sim);
    err = client->what == WHAT_READ ? rsim_read(sim, member, on_ready, sent)
                                    : send_command(sent);
    if (err != HT_OK) {
        client->sent_us = 0;
        free(sent);
    }
}

/* ---- what clients do ----------------------------------------------------- */

static void choose_lock(struct client *client, uint64_t now)
{
    if (client->held_until_us != 0 && now >= client->held_until_us) {
        client->held_until_us = 0; /* by its own clock: it stops */
    }
    if (client->held_until_us != 0 && client->number % 2 == 0) {
        client->what = WHAT_KEEP;
    } else if (client->held_until_us != 0) {
        client->what = WHAT_UNLOCK;
        client->expected = client->token;
        client->held_until_us = 0; /* from now on */
    } else if (client->lease == 0 ||
               now >= client->asked_us + LOCK_TTL_MS * 500) {
        client->what = WHAT_GRANT;
        client->lease = 0;
    } else {
        client->what = WHAT_LOCK;
        client->expected = 0;
    }
}

static void choose(struct client *client, struct rsim *sim)
{
    struct kv_app *app = client->app;
    uint64_t draw = rsim_random(sim, 10);

    client->key = (unsigned)rsim_random(sim, KEYS);
    client->sequence++;
    client->begin_us = rsim_now_us(sim);
    client->sent_us = 0;
    client->busy = true;
    if (draw < 4 || app->histories[client->key].count >= LINEAR_OPS_MAX) {
        choose_lock(client, client->begin_us);
        return;
    }
    client->value = ++app->value;
    client->expected_value = 0;
    if (draw < 6) {
        client->what = WHAT_READ;
        op_begin(client, LINEAR_READ);
    } else if (draw < 8) {
        client->what = WHAT_PUT;
        op_begin(client, LINEAR_WRITE);
    } else if (draw == 8) {
        client->what = WHAT_DEL;
        op_begin(client, LINEAR_DEL);
    } else {
        client->what = WHAT_SWAP;
        client->expected = client->seen_revision[client->key];
        client->expected_value = client->seen_value[client->key];
        op_begin(client, LINEAR_SWAP);
    }
}

static void kv_act(void *app_arg, struct rsim *sim, unsigned member)
{
    struct kv_app *app = app_arg;
    struct client *client = &app->clients[rsim_random(sim, CLIENTS)];
    uint64_t now = rsim_now_us(sim);

    if (!client->busy) {
        choose(client, sim);
        send_request(client, sim, member);
    } else if (client->sent_us == 0 ||
               now - client->sent_us >= AGAIN_MS * 1000) {
        send_request(client, sim, member);
    }
}

/* ---- at the end ---------------------------------------------------------- */

static bool same_states(struct rsim *sim)
{
    const struct kv_machine *newest = NULL;

    for (unsigned i = 0; i < rsim_members(sim); i++) {
        const struct kv_machine *m = rsim_machine(sim, i);

        if (m != NULL && (newest == NULL || m->index > newest->index)) {
            newest = m;
        }
    }
    for (unsigned i = 0; i < rsim_members(sim); i++) {
        const struct kv_machine *m = rsim_machine(sim, i);

        /* One that was removed may be behind. */
        if (m != NULL && m->index == newest->index &&
            (m->kv->revision != newest->kv->revision ||
             m->kv->map.bytes != newest->kv->map.bytes ||
             m->kv->map.count != newest->kv->map.count ||
             m->kv->dedupe.bytes != newest->kv->dedupe.bytes ||
             m->kv->time_ms != newest->kv->time_ms)) {
            printf("%u has another state\n", i);
            return false;
        }
    }
    return true;
}

static bool kv_settled(void *app_arg, struct rsim *sim)
{
    struct kv_app *app = app_arg;

    for (unsigned i = 0; i < KEYS; i++) {
        if (!linear_check(app->histories[i].ops, app->histories[i].count)) {
            printf("the history of key k%u is not linearizable\n", i);
            return false;
        }
    }
    if (app->answered == 0 || app->locked == 0) {
        printf("%" PRIu64 " operations and %" PRIu64 " locks were answered\n",
               app->answered, app->locked);
        return false;
    }
    return same_states(sim);
}

static const ht_raft_machine kv_table = {.apply = kv_apply,
                                         .snapshot_open = kv_open,
                                         .snapshot_read = kv_read,
                                         .snapshot_close = kv_close,
                                         .restore = kv_restore,
                                         .on_role = kv_role};

const struct rsim_app kv_sim_app = {.table = &kv_table,
                                    .machine_new = machine_new,
                                    .machine_free = machine_free,
                                    .act = kv_act,
                                    .settled = kv_settled};

struct kv_app *kv_app_new(void)
{
    struct kv_app *app = calloc(1, sizeof(*app));

    if (app == NULL) {
        abort();
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        app->clients[i].app = app;
        app->clients[i].number = i;
    }
    return app;
}

void kv_app_begin(struct kv_app *app, struct rsim *sim)
{
    app->sim = sim;
}

void kv_app_free(struct kv_app *app)
{
    free(app);
}

void kv_app_counts(const struct kv_app *app,
                   uint64_t *ret_answered,
                   uint64_t *ret_again,
                   uint64_t *ret_locked)
{
    *ret_answered = app->answered;
    *ret_again = app->again;
    *ret_locked = app->locked;
}
