/* SPDX-License-Identifier: Apache-2.0 */
/* What commands do to the store, and what they are answered. */
#include "kv/changes.h"
#include "kv/check.h"
#include "kv/limits.h"
#include "tests/kv/machine.h"

static struct machine m;

static int setup(void **state)
{
    (void)state;
    machine_start(&m);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_end(&m);
    return 0;
}

static void test_put_get_del(void **state)
{
    (void)state;
    CHECK(machine_get(&m, "a") == NULL);
    machine_put(&m, "a", "1");
    CHECK(m.revision == 1);
    assert_string_equal(machine_get(&m, "a"), "1");
    machine_put(&m, "a", "2");
    CHECK(m.revision == 2);
    assert_string_equal(machine_get(&m, "a"), "2");
    CHECK(machine_del(&m, "a") == 1);
    CHECK(m.revision == 3);
    CHECK(machine_get(&m, "a") == NULL);
    CHECK(machine_del(&m, "a") == 0);
    CHECK(m.revision == 3); /* nothing changed */
}

static void test_revisions_of_a_key(void **state)
{
    PutRequest put = HARDTACK__KV__PUT_REQUEST__INIT;
    PutReply *reply;

    (void)state;
    put.key = (char *)"k";
    put.data_case = HARDTACK__KV__PUT_REQUEST__DATA_VALUE;
    put.value.data = (uint8_t *)"x\0y";
    put.value.len = 3;
    put.want_previous = true;
    put.as_text = true;
    machine_put(&m, "other", "");
    machine_put_more(&m, &put, &reply);
    CHECK(reply->revision == 2 && reply->create_revision == 2);
    CHECK(reply->previous == NULL);
    hardtack__kv__put_reply__free_unpacked(reply, NULL);
    machine_put_more(&m, &put, &reply);
    CHECK(reply->revision == 3 && reply->create_revision == 2);
    CHECK(reply->previous->revision == 2 && reply->previous->version == 1);
    /* A NUL is no text, asked for or not. */
    CHECK(reply->previous->value.len == 3);
    CHECK(memcmp(reply->previous->value.data, "x\0y", 3) == 0);
    CHECK(reply->previous->text[0] == '\0');
    hardtack__kv__put_reply__free_unpacked(reply, NULL);
}

static SwapReply *swap_text(const char *key, uint64_t expect, const char *text)
{
    SwapRequest swap = HARDTACK__KV__SWAP_REQUEST__INIT;

    swap.key = (char *)(uintptr_t)key;
    swap.expected_case = HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_REVISION;
    swap.expect_revision = expect;
    swap.data_case = HARDTACK__KV__SWAP_REQUEST__DATA_TEXT;
    swap.text = (char *)(uintptr_t)text;
    swap.as_text = true;
    return machine_swap(&m, &swap);
}

static void test_compare_and_swap(void **state)
{
    SwapRequest swap = HARDTACK__KV__SWAP_REQUEST__INIT;
    SwapReply *reply = swap_text("k", 0, "one");

    (void)state;
    CHECK(reply->swapped && reply->revision == 1);
    assert_string_equal(reply->kv->text, "one");
    hardtack__kv__swap_reply__free_unpacked(reply, NULL);

    reply = swap_text("k", 0, "two"); /* it is there by now */
    CHECK(!reply->swapped && reply->revision == 1);
    assert_string_equal(reply->kv->text, "one");
    hardtack__kv__swap_reply__free_unpacked(reply, NULL);

    swap.key = (char *)"k";
    swap.expected_case = HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_TEXT;
    swap.expect_text = (char *)"one";
    swap.data_case = HARDTACK__KV__SWAP_REQUEST__DATA_REMOVE;
    swap.remove = true;
    reply = machine_swap(&m, &swap);
    CHECK(reply->swapped && reply->kv == NULL && reply->revision == 2);
    hardtack__kv__swap_reply__free_unpacked(reply, NULL);
    CHECK(machine_get(&m, "k") == NULL);

    reply = machine_swap(&m, &swap); /* not there: no value is expected */
    CHECK(!reply->swapped && reply->kv == NULL);
    hardtack__kv__swap_reply__free_unpacked(reply, NULL);
}

static void test_range_pages(void **state)
{
    RangeRequest range = HARDTACK__KV__RANGE_REQUEST__INIT;
    char key[32], after[32] = "";
    unsigned seen = 0;
    bool more = true;

    (void)state;
    machine_put(&m, "a", "");
    machine_put(&m, "l", "");
    for (unsigned i = 0; i < 25; i++) {
        snprintf(key, sizeof(key), "k/%02u", (i * 7) % 25);
        machine_put(&m, key, "v");
    }
    range.prefix = (char *)"k/";
    range.limit = 10;
    while (more) {
        RangeReply *reply;

        range.after = after;
        reply = machine_range(&m, &range);
        for (size_t i = 0; i < reply->n_kvs; i++) {
            snprintf(key, sizeof(key), "k/%02u", seen++);
            assert_string_equal(reply->kvs[i]->key, key);
        }
        more = reply->more != 0;
        snprintf(after, sizeof(after), "%s", reply->next);
        hardtack__kv__range_reply__free_unpacked(reply, NULL);
    }
    CHECK(seen == 25);
}

static void test_range_is_bounded_in_bytes(void **state)
{
    RangeRequest range = HARDTACK__KV__RANGE_REQUEST__INIT;
    PutRequest put = HARDTACK__KV__PUT_REQUEST__INIT;
    char *value = calloc(1, HTI_KV_VALUE_MAX + 1);
    RangeReply *reply;
    PutReply *done;

    (void)state;
    put.data_case = HARDTACK__KV__PUT_REQUEST__DATA_VALUE;
    put.value.data = (uint8_t *)value;
    put.value.len = HTI_KV_VALUE_MAX;
    put.key = (char *)"a";
    machine_put_more(&m, &put, &done);
    hardtack__kv__put_reply__free_unpacked(done, NULL);
    put.key = (char *)"b";
    machine_put_more(&m, &put, &done);
    hardtack__kv__put_reply__free_unpacked(done, NULL);
    reply = machine_range(&m, &range);
    CHECK(reply->n_kvs == 1 && reply->more);
    hardtack__kv__range_reply__free_unpacked(reply, NULL);
    range.keys_only = true;
    reply = machine_range(&m, &range);
    CHECK(reply->n_kvs == 2 && !reply->more);
    CHECK(reply->kvs[0]->value.len == 0);
    hardtack__kv__range_reply__free_unpacked(reply, NULL);
    put.value.len++;
    machine_put_more(&m, &put, &done);
    CHECK(done == NULL && m.error == HTI_KV_TOO_BIG);
    assert_string_equal(m.words,
                        "too_big: a value of 1048577 bytes, at most 1048576");
    free(value);
}

static void test_del_prefix_in_parts(void **state)
{
    DelReply *reply;
    char key[32];

    (void)state;
    for (unsigned i = 0; i < HTI_KV_DEL_MAX + 5; i++) {
        snprintf(key, sizeof(key), "p%u", i);
        machine_put(&m, key, "");
    }
    machine_put(&m, "q", "");
    reply = machine_del_prefix(&m, "p");
    CHECK(reply->deleted == HTI_KV_DEL_MAX && reply->more);
    hardtack__kv__del_reply__free_unpacked(reply, NULL);
    reply = machine_del_prefix(&m, "p");
    CHECK(reply->deleted == 5 && !reply->more);
    hardtack__kv__del_reply__free_unpacked(reply, NULL);
    CHECK(m.kv->map.count == 1);
}

/* ---- transactions -------------------------------------------------------- */

/* If a's revision is given, b = "new" and a is read; else a is read. */
static TxnReply *txn_on_a(uint64_t revision, uint64_t lease)
{
    Condition condition = HARDTACK__KV__CONDITION__INIT;
    Condition *conditions[] = {&condition};
    PutRequest put = HARDTACK__KV__PUT_REQUEST__INIT;
    GetRequest get = HARDTACK__KV__GET_REQUEST__INIT;
    Op put_op = HARDTACK__KV__OP__INIT, get_op = HARDTACK__KV__OP__INIT;
    Op *then[] = {&put_op, &get_op};
    TxnRequest txn = HARDTACK__KV__TXN_REQUEST__INIT;

    condition.key = (char *)"a";
    condition.to_case = HARDTACK__KV__CONDITION__TO_REVISION;
    condition.revision = revision;
    put.key = (char *)"b";
    put.data_case = HARDTACK__KV__PUT_REQUEST__DATA_TEXT;
    put.text = (char *)"new";
    put.lease = lease;
    get.key = (char *)"b";
    get.as_text = true;
    put_op.op_case = HARDTACK__KV__OP__OP_PUT;
    put_op.put = &put;
    get_op.op_case = HARDTACK__KV__OP__OP_GET;
    get_op.get = &get;
    txn.conditions = conditions;
    txn.n_conditions = 1;
    txn.then = then;
    txn.n_then = 2;
    txn.otherwise = then + 1;
    txn.n_otherwise = 1;
    return machine_txn(&m, &txn);
}

static void test_txn(void **state)
{
    TxnReply *reply;

    (void)state;
    machine_put(&m, "a", "1");
    reply = txn_on_a(1, 0);
    CHECK(reply->held && reply->n_replies == 2 && reply->revision == 2);
    CHECK(reply->replies[0]->put->revision == 2);
    assert_string_equal(reply->replies[1]->get->kv->text, "new");
    hardtack__kv__txn_reply__free_unpacked(reply, NULL);

    reply = txn_on_a(2, 0);
    CHECK(!reply->held && reply->n_replies == 1 && reply->revision == 2);
    CHECK(reply->replies[0]->get->found);
    hardtack__kv__txn_reply__free_unpacked(reply, NULL);
}

static void test_txn_does_nothing_when_a_step_cannot(void **state)
{
    (void)state;
    machine_put(&m, "a", "1");
    CHECK(txn_on_a(1, 77) == NULL);
    CHECK(m.error == HTI_KV_NO_LEASE);
    CHECK(machine_get(&m, "b") == NULL);
    CHECK(m.kv->revision == 1);
}

/* ---- time ---------------------------------------------------------------- */

static void put_tied(const char *key, uint64_t lease, uint64_t ttl_ms)
{
    PutRequest put = HARDTACK__KV__PUT_REQUEST__INIT;
    PutReply *reply;

    put.key = (char *)(uintptr_t)key;
    put.data_case = HARDTACK__KV__PUT_REQUEST__DATA_TEXT;
    put.text = (char *)"t";
    put.lease = lease;
    put.ttl_ms = ttl_ms;
    machine_put_more(&m, &put, &reply);
    if (reply != NULL) {
        hardtack__kv__put_reply__free_unpacked(reply, NULL);
    }
}

static void test_time_to_live(void **state)
{
    (void)state;
    m.time_ms = 1000;
    put_tied("a", 0, 50);
    put_tied("b", 0, 50);
    CHECK(hti_kv_due_ms(m.kv) == 1050);
    m.time_ms = 1049;
    put_tied("b", 0, 50); /* begins again */
    CHECK(machine_get(&m, "a") != NULL);
    m.time_ms = 1050;
    machine_tick(&m);
    CHECK(machine_get(&m, "a") == NULL);
    CHECK(machine_get(&m, "b") != NULL);
    CHECK(m.kv->expired == 1);
    machine_put(&m, "b", "for ever");
    CHECK(hti_kv_due_ms(m.kv) == UINT64_MAX);
    m.time_ms = 1; /* a leader with another clock: time does not go back */
    put_tied("c", 0, 10);
    CHECK(hti_kv_due_ms(m.kv) == 1060);
}

static void test_leases(void **state)
{
    uint64_t one, two;

    (void)state;
    one = machine_grant(&m, 5000);
    two = machine_grant(&m, 5000);
    CHECK(one == 1 && two == 2);
    put_tied("x", one, 0);
    put_tied("y", one, 0);
    put_tied("z", two, 0);
    put_tied("y", two, 0); /* changes hands */
    m.time_ms = 4999;
    machine_keep_alive(&m, two);
    CHECK(m.error == HTI_KV_DONE);
    m.time_ms = 5000;
    machine_tick(&m);
    CHECK(machine_get(&m, "x") == NULL);
    CHECK(machine_get(&m, "y") != NULL && machine_get(&m, "z") != NULL);
    machine_keep_alive(&m, one);
    CHECK(m.error == HTI_KV_NO_LEASE);
    put_tied("x", one, 0);
    CHECK(m.error == HTI_KV_NO_LEASE);
    machine_revoke(&m, two);
    CHECK(m.error == HTI_KV_DONE);
    CHECK(m.kv->map.count == 0 && m.kv->leases.count == 0);
    CHECK(machine_grant(&m, 5000) > two); /* a number never comes again */
}

/* More keys than one command takes away: the lease is over at once, its keys go
 * with the commands that follow. */
static void test_lease_with_many_keys(void **state)
{
    uint64_t lease = machine_grant(&m, 5000);
    char key[32];

    (void)state;
    for (unsigned i = 0; i < HTI_KV_EXPIRE_MAX + 10; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        put_tied(key, lease, 0);
    }
    machine_revoke(&m, lease);
    CHECK(m.kv->map.count == 10);
    machine_keep_alive(&m, lease);
    CHECK(m.error == HTI_KV_NO_LEASE);
    CHECK(m.kv->map.count == 0);
    CHECK(hti_kv_due_ms(m.kv) == UINT64_MAX);
}

/* ---- exactly once -------------------------------------------------------- */

static void test_sent_again_is_done_once(void **state)
{
    uint64_t revision;

    (void)state;
    m.client = "c1";
    m.sequence = 1;
    machine_put(&m, "a", "1");
    revision = m.revision;
    m.client = "c2";
    machine_put(&m, "a", "2");
    m.client = "c1";
    machine_put(&m, "a", "1");
    CHECK(m.revision == revision); /* its first answer */
    assert_string_equal(machine_get(&m, "a"), "2");
    m.sequence = 2;
    machine_put(&m, "a", "3");
    assert_string_equal(machine_get(&m, "a"), "3");
}

static void test_refusals_are_remembered_too(void **state)
{
    (void)state;
    m.client = "c";
    m.sequence = 1;
    put_tied("a", 7, 0);
    CHECK(m.error == HTI_KV_NO_LEASE);
    m.client = NULL;
    for (unsigned i = 0; i < 7; i++) {
        (void)machine_grant(&m, 5000);
    }
    m.client = "c";
    put_tied("a", 7, 0);
    CHECK(m.error == HTI_KV_NO_LEASE);
}

static void test_window(void **state)
{
    (void)state;
    m.client = "c";
    for (m.sequence = 1; m.sequence <= HTI_KV_WINDOW_MAX + 1; m.sequence++) {
        machine_put(&m, "a", "x");
    }
    m.sequence = 1;
    machine_put(&m, "a", "again");
    CHECK(m.error == HTI_KV_OLD_REQUEST);
    m.sequence = 2;
    machine_put(&m, "a", "again");
    CHECK(m.error == HTI_KV_DONE);
    assert_string_equal(machine_get(&m, "a"), "x");
}

static void test_clients_are_bounded(void **state)
{
    char name[32];

    (void)state;
    m.sequence = 1;
    m.client = name;
    for (unsigned i = 0; i < HTI_KV_CLIENTS_MAX + 1; i++) {
        snprintf(name, sizeof(name), "client-%u", i);
        machine_put(&m, "a", name);
        if (i == 10) {
            m.sequence = 2;
            snprintf(name, sizeof(name), "client-0");
            machine_put(&m, "a", name); /* wrote lately: client-1 goes first */
            m.sequence = 1;
        }
    }
    CHECK(m.kv->dedupe.count == HTI_KV_CLIENTS_MAX);
    snprintf(name, sizeof(name), "client-0");
    machine_put(&m, "a", "again");
    CHECK(strcmp(machine_get(&m, "a"), "again") != 0);
    snprintf(name, sizeof(name), "client-1");
    machine_put(&m, "a", "again");
    assert_string_equal(machine_get(&m, "a"), "again"); /* forgotten: anew */
}

static void test_large_answers_are_not_kept(void **state)
{
    PutRequest put = HARDTACK__KV__PUT_REQUEST__INIT;
    size_t len = HTI_KV_ANSWER_MAX + 1;
    char *value = calloc(1, len);
    PutReply *reply;

    (void)state;
    put.key = (char *)"a";
    put.data_case = HARDTACK__KV__PUT_REQUEST__DATA_VALUE;
    put.value.data = (uint8_t *)value;
    put.value.len = len;
    machine_put_more(&m, &put, &reply);
    hardtack__kv__put_reply__free_unpacked(reply, NULL);
    put.want_previous = true;
    m.client = "c";
    machine_put_more(&m, &put, &reply);
    CHECK(reply->previous->value.len == len);
    hardtack__kv__put_reply__free_unpacked(reply, NULL);
    machine_put_more(&m, &put, &reply);
    CHECK(reply == NULL && m.error == HTI_KV_TOO_BIG);
    CHECK(m.kv->revision == 2);
    free(value);
}

/* What is forgotten for its size is not done again: it may have been. */
static void test_answers_are_bounded(void **state)
{
    PutRequest put = HARDTACK__KV__PUT_REQUEST__INIT;
    char *value = calloc(1, HTI_KV_ANSWER_MAX);
    unsigned count = HTI_KV_ANSWERS_BYTES_MAX / HTI_KV_ANSWER_MAX + 20;
    char name[32];

    (void)state;
    put.key = (char *)"a";
    put.data_case = HARDTACK__KV__PUT_REQUEST__DATA_VALUE;
    put.value.data = (uint8_t *)value;
    put.value.len = HTI_KV_ANSWER_MAX - 200;
    put.want_previous = true;
    m.client = name;
    m.sequence = 5;
    for (unsigned i = 0; i < count; i++) {
        PutReply *reply;

        snprintf(name, sizeof(name), "client-%u", i);
        machine_put_more(&m, &put, &reply);
        CHECK(m.error == HTI_KV_DONE);
        hardtack__kv__put_reply__free_unpacked(reply, NULL);
    }
    CHECK(m.kv->dedupe.bytes <= HTI_KV_ANSWERS_BYTES_MAX);
    CHECK(m.kv->dedupe.count == count);
    snprintf(name, sizeof(name), "client-0");
    machine_put(&m, "a", "again");
    CHECK(m.error == HTI_KV_OLD_REQUEST);
    m.sequence = 6;
    machine_put(&m, "a", "new");
    assert_string_equal(machine_get(&m, "a"), "new");
    free(value);
}

static void put_settled(uint64_t sequence, const char *text)
{
    PutRequest put = HARDTACK__KV__PUT_REQUEST__INIT;
    RequestId id = HARDTACK__KV__REQUEST_ID__INIT;
    PutReply *reply;

    id.client = (char *)"c";
    id.sequence = sequence;
    id.settled = true;
    put.key = (char *)"a";
    put.data_case = HARDTACK__KV__PUT_REQUEST__DATA_TEXT;
    put.text = (char *)(uintptr_t)text;
    put.request = &id;
    machine_put_more(&m, &put, &reply);
    if (reply != NULL) {
        hardtack__kv__put_reply__free_unpacked(reply, NULL);
    }
}

/* One that was given up and comes late does not undo what came after it. */
static void test_settled(void **state)
{
    (void)state;
    put_settled(1, "one");
    put_settled(3, "three");
    put_settled(2, "two");
    CHECK(m.error == HTI_KV_OLD_REQUEST);
    assert_string_equal(machine_get(&m, "a"), "three");
    put_settled(3, "three again");
    assert_string_equal(machine_get(&m, "a"), "three");
}

/* ---- snapshots ----------------------------------------------------------- */

/* A state that is half there does not say that nothing has changed. */
static void test_no_changes_while_restoring(void **state)
{
    const struct hti_kv_filter all = {.by_prefix = true, .key = (char *)""};
    struct machine other;
    struct hti_kv_changes changes;
    struct hti_kv_turn turn;
    ht_bytes snapshot;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        machine_put(&m, "a", "x");
    }
    snapshot = machine_snapshot(m.kv, 1000);
    machine_start(&other);
    CHECK_OK(hti_kv_restore_begin(other.kv));
    CHECK_OK(hti_kv_restore_data(other.kv,
                                 (ht_bytes){snapshot.data, snapshot.len - 4}));
    CHECK(other.kv->revision == 100);
    CHECK_OK(hti_kv_turn_begin(&turn, other.kv));
    CHECK_ERR(hti_kv_changes(&turn, &all, 50, 100, &changes), HT_ENOENT);
    hti_kv_turn_end(&turn);
    machine_end(&other);
    free((void *)(uintptr_t)snapshot.data);
}

static void fill(unsigned count)
{
    uint64_t lease = machine_grant(&m, 9000);
    char key[32], text[32];

    m.client = "filler";
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "key-%u", i);
        snprintf(text, sizeof(text), "text-%u", i);
        m.sequence++;
        if (i % 10 == 0) {
            put_tied(key, lease, i % 20 == 0 ? 100000 : 0);
        } else {
            machine_put(&m, key, text);
        }
    }
}

static void test_snapshot_restores_all(void **state)
{
    struct machine other;
    ht_bytes first, second;

    (void)state;
    fill(500);
    first = machine_snapshot(m.kv, 700);
    machine_start(&other);
    CHECK_OK(machine_restore(other.kv, first, 333));
    second = machine_snapshot(other.kv, 4096);
    CHECK(first.len == second.len);
    CHECK(memcmp(first.data, second.data, first.len) == 0);
    CHECK(other.kv->map.bytes == m.kv->map.bytes);
    CHECK(other.kv->dedupe.bytes == m.kv->dedupe.bytes);
    other.time_ms = 200000;
    machine_tick(&other);
    CHECK(other.kv->map.count == 450);
    machine_end(&other);
    free((void *)(uintptr_t)first.data);
    free((void *)(uintptr_t)second.data);
}

/* What is read is the state when the snapshot was opened, whatever comes
 * meanwhile. */
static void test_snapshot_while_commands_go_on(void **state)
{
    struct hti_kv_cursor *cursor, *another;
    struct machine other;
    struct hti_kv_buf all = {0};
    ht_bytes before;
    char key[32];
    size_t len = 1;
    unsigned i = 0;

    (void)state;
    fill(300);
    before = machine_snapshot(m.kv, 1 << 20);
    CHECK_OK(hti_kv_snapshot_open(m.kv, &cursor));
    CHECK_ERR(hti_kv_snapshot_open(m.kv, &another), HT_EBUSY);
    while (len > 0) {
        uint8_t *at = hti_kv_buf_add(&all, 256);

        CHECK_OK(hti_kv_snapshot_read(m.kv, cursor, at, 256, &len));
        all.len -= 256 - len;
        m.sequence++;
        snprintf(key, sizeof(key), "key-%u", (i * 37) % 300);
        if (i % 3 == 0) {
            (void)machine_del(&m, key);
            m.sequence++;
            machine_put(&m, key, "anew");
        } else if (i % 3 == 1) {
            (void)machine_del(&m, key);
        } else {
            snprintf(key, sizeof(key), "new-%u", i);
            machine_put(&m, key, "new");
            (void)machine_del(&m, "new-2");
        }
        i++;
    }
    hti_kv_snapshot_close(m.kv, cursor);
    CHECK(i > 20);
    CHECK(all.len == before.len);
    CHECK(memcmp(all.data, before.data, all.len) == 0);
    machine_start(&other);
    CHECK_OK(machine_restore(other.kv, before, 1000));
    CHECK(other.kv->map.count == 300);
    machine_end(&other);
    hti_kv_buf_fini(&all);
    free((void *)(uintptr_t)before.data);
}

static void test_broken_snapshots_are_refused(void **state)
{
    struct machine other;
    ht_bytes good;

    (void)state;
    fill(20);
    good = machine_snapshot(m.kv, 4096);
    machine_start(&other);
    for (size_t len = 1; len < good.len; len++) {
        CHECK_ERR(machine_restore(other.kv, (ht_bytes){good.data, len}, 64),
                  HT_EPROTO);
    }
    CHECK_OK(machine_restore(other.kv, good, 64));
    CHECK_OK(machine_restore(other.kv, (ht_bytes){NULL, 0}, 64));
    CHECK(other.kv->map.count == 0 && other.kv->revision == 0);
    machine_end(&other);
    free((void *)(uintptr_t)good.data);
}

/* ---- what is wrong ------------------------------------------------------- */

static void test_wrong_requests(void **state)
{
    static char long_key[HTI_KV_KEY_MAX + 2];

    (void)state;
    machine_put(&m, "", "x");
    assert_string_equal(m.words, "bad_request: a key is missing");
    memset(long_key, 'k', sizeof(long_key) - 1);
    machine_put(&m, long_key, "x");
    CHECK(m.error == HTI_KV_TOO_BIG);
    long_key[HTI_KV_KEY_MAX] = '\0';
    machine_put(&m, long_key, "x");
    CHECK(m.error == HTI_KV_DONE);
    machine_put(&m, "\xff", "x");
    CHECK(m.error == HTI_KV_BAD_REQUEST);
    (void)machine_grant(&m, 999);
    CHECK(m.error == HTI_KV_BAD_REQUEST);
    machine_keep_alive(&m, 0);
    CHECK(m.error == HTI_KV_BAD_REQUEST);
    CHECK(m.kv->map.count == 1);
}

static void test_wrong_commands(void **state)
{
    ht_bytes answer;

    (void)state;
    CHECK_ERR(hti_kv_apply(m.kv, (ht_bytes){"\xff\xff", 2}, &answer),
              HT_EPROTO);
    CHECK_ERR(hti_kv_apply(m.kv, (ht_bytes){NULL, 0}, &answer), HT_EPROTO);
    /* A command of a later version. */
    CHECK_ERR(hti_kv_apply(m.kv, (ht_bytes){"\xa2\x06\x00", 3}, &answer),
              HT_EPROTO);
    CHECK(m.kv->revision == 0);
}

static void test_error_words(void **state)
{
    (void)state;
    CHECK(hti_kv_error_of("no_leader: x") == HTI_KV_NO_LEADER);
    CHECK(hti_kv_error_of("no_leader") == HTI_KV_DONE);
    CHECK(hti_kv_error_of("no: leader") == HTI_KV_DONE);
    CHECK(hti_kv_error_code(HTI_KV_TOO_BIG) == HT_ETOOBIG);
    assert_string_equal(hti_kv_error_word(HTI_KV_COMPACTED), "compacted");
}

/* ---- history ------------------------------------------------------------- */

static void test_history_forgets_whole_revisions(void **state)
{
    const struct hti_kv_opts opts = {.history_max = 10};
    struct hti_kv_history *history;
    DelReply *reply;

    (void)state;
    hti_kv_free(m.kv);
    m.kv = hti_kv_new(&opts);
    history = &m.kv->history;
    for (unsigned i = 0; i < 6; i++) {
        char key[16];

        snprintf(key, sizeof(key), "p%u", i);
        machine_put(&m, key, "x");
    }
    CHECK(hti_kv_history_find(history, 3) == 2);
    CHECK(history->compacted == 0);
    reply = machine_del_prefix(&m, "p"); /* six changes, one revision */
    hardtack__kv__del_reply__free_unpacked(reply, NULL);
    CHECK(history->count == 10 && history->compacted == 2);
    CHECK(hti_kv_history_at(history, 9)->kind == HTI_KV_DEL);
    for (unsigned i = 0; i < 5; i++) {
        machine_put(&m, "a", "x");
    }
    /* The first of the six had to go, and took the others along. */
    CHECK(history->compacted == 7 && history->count == 5);
    CHECK(hti_kv_history_find(history, 1) == 0);
    CHECK(hti_kv_history_find(history, 100) == 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

CHECK_MAIN(TEST(put_get_del),
           TEST(revisions_of_a_key),
           TEST(compare_and_swap),
           TEST(range_pages),
           TEST(range_is_bounded_in_bytes),
           TEST(del_prefix_in_parts),
           TEST(txn),
           TEST(txn_does_nothing_when_a_step_cannot),
           TEST(time_to_live),
           TEST(leases),
           TEST(lease_with_many_keys),
           TEST(sent_again_is_done_once),
           TEST(refusals_are_remembered_too),
           TEST(window),
           TEST(clients_are_bounded),
           TEST(large_answers_are_not_kept),
           TEST(answers_are_bounded),
           TEST(settled),
           TEST(no_changes_while_restoring),
           TEST(snapshot_restores_all),
           TEST(snapshot_while_commands_go_on),
           TEST(broken_snapshots_are_refused),
           TEST(wrong_requests),
           TEST(wrong_commands),
           TEST(error_words),
           TEST(history_forgets_whole_revisions))
