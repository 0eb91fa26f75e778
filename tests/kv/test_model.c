/* SPDX-License-Identifier: Apache-2.0 */
/* Random commands against a model that is as simple as can be, and against a
 * second store that lives on snapshots of the first: from a seed.
 *
 *   test_model [SEED [COUNT]]
 */
#include "kv/limits.h"
#include "tests/kv/machine.h"

#define KEYS   24u
#define LEASES 8u
#define STEPS  2000u

struct model_key {
    bool there;
    char text[16];
    uint64_t revision, create_revision, version, due_ms;
    uint64_t lease;
};

struct model_lease {
    uint64_t id; /* 0: none */
    uint64_t ttl_ms, due_ms;
};

struct model {
    struct model_key keys[KEYS];
    struct model_lease leases[LEASES];
    uint64_t revision, time_ms;
};

static struct machine m;   /* what is tested */
static struct machine two; /* the same commands, and restored now and then */
static struct model model;
static uint64_t random_state;

static unsigned draw(unsigned below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % below;
}

static const char *key_name(unsigned i)
{
    static char name[16];

    snprintf(name, sizeof(name), "%c/%u", (char)('a' + i % 3), i);
    return name;
}

/* ---- the model ----------------------------------------------------------- */

static void model_remove(unsigned key)
{
    model.keys[key] = (struct model_key){.there = false};
}

static struct model_lease *model_lease(uint64_t id)
{
    for (unsigned i = 0; id != 0 && i < LEASES; i++) {
        if (model.leases[i].id == id) {
            return &model.leases[i];
        }
    }
    return NULL;
}

static bool model_remove_of(uint64_t lease)
{
    bool any = false;

    for (unsigned i = 0; i < KEYS; i++) {
        if (model.keys[i].there && model.keys[i].lease == lease) {
            model_remove(i);
            any = true;
        }
    }
    return any;
}

/* Everything due ends, under one revision if it was a key. */
static void model_time(uint64_t time_ms)
{
    bool any = false;

    model.time_ms = time_ms > model.time_ms ? time_ms : model.time_ms;
    for (unsigned i = 0; i < LEASES; i++) {
        if (model.leases[i].id != 0 &&
            model.leases[i].due_ms <= model.time_ms) {
            any |= model_remove_of(model.leases[i].id);
            model.leases[i].id = 0;
        }
    }
    for (unsigned i = 0; i < KEYS; i++) {
        if (model.keys[i].there && model.keys[i].due_ms != 0 &&
            model.keys[i].due_ms <= model.time_ms) {
            model_remove(i);
            any = true;
        }
    }
    model.revision += any;
}

static void
model_put(unsigned key, const char *text, uint64_t lease, uint64_t ttl_ms)
{
    struct model_key *k = &model.keys[key];

    if (lease != 0 && model_lease(lease) == NULL) {
        return;
    }
    model.revision++;
    k->create_revision = k->there ? k->create_revision : model.revision;
    k->version = k->there ? k->version + 1 : 1;
    k->there = true;
    k->revision = model.revision;
    k->lease = lease;
    k->due_ms = ttl_ms > 0 ? model.time_ms + ttl_ms : 0;
    snprintf(k->text, sizeof(k->text), "%s", text);
}

/* ---- both machines ------------------------------------------------------- */

static void check_same(void)
{
    ht_bytes a = machine_snapshot(m.kv, 1 + draw(5000));
    ht_bytes b = machine_snapshot(two.kv, 4096);

    CHECK(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    if (draw(2) == 0) {
        CHECK_OK(machine_restore(two.kv, a, 1 + draw(3000)));
    }
    free((void *)(uintptr_t)a.data);
    free((void *)(uintptr_t)b.data);
}

static void check_key(unsigned i)
{
    const struct hti_kv_item *item =
        hti_kv_map_find(&m.kv->map, key_name(i), strlen(key_name(i)));
    const struct model_key *want = &model.keys[i];

    CHECK((item != NULL) == want->there);
    if (item == NULL) {
        return;
    }
    CHECK(item->now->revision == want->revision);
    CHECK(item->now->create_revision == want->create_revision);
    CHECK(item->now->version == want->version);
    CHECK(item->now->lease == want->lease);
    CHECK(item->now->due_ms == want->due_ms);
    assert_string_equal(hti_kv_version_value(item->now), want->text);
}

static void check_all(void)
{
    size_t count = 0, leases = 0;

    CHECK(m.kv->revision == model.revision);
    for (unsigned i = 0; i < KEYS; i++) {
        check_key(i);
        count += model.keys[i].there;
    }
    for (unsigned i = 0; i < LEASES; i++) {
        leases += model.leases[i].id != 0;
    }
    CHECK(m.kv->map.count == count);
    CHECK(m.kv->leases.count == leases);
}

/* ---- steps --------------------------------------------------------------- */

static uint64_t some_lease(void)
{
    return draw(3) == 0 ? model.leases[draw(LEASES)].id : 0;
}

static void step_put(void)
{
    PutRequest put = HARDTACK__KV__PUT_REQUEST__INIT;
    unsigned key = draw(KEYS);
    char text[16];
    PutReply *reply;

    snprintf(text, sizeof(text), "t%u", draw(1000));
    put.key = (char *)(uintptr_t)key_name(key);
    put.data_case = HARDTACK__KV__PUT_REQUEST__DATA_TEXT;
    put.text = text;
    put.lease = some_lease();
    put.ttl_ms = draw(4) == 0 ? 1 + draw(2000) : 0;
    for (unsigned i = 0; i < 2; i++) {
        machine_put_more(i == 0 ? &m : &two, &put, &reply);
        if (reply != NULL) {
            hardtack__kv__put_reply__free_unpacked(reply, NULL);
        }
    }
    model_put(key, text, put.lease, put.ttl_ms);
}

static void step_del(void)
{
    unsigned key = draw(KEYS);
    uint64_t deleted = machine_del(&m, key_name(key));

    CHECK(machine_del(&two, key_name(key)) == deleted);
    CHECK(deleted == (model.keys[key].there ? 1 : 0));
    model.revision += model.keys[key].there;
    model_remove(key);
}

static void step_del_prefix(void)
{
    static const char *const prefixes[] = {"a/", "b/1", "c/2"};
    const char *prefix = prefixes[draw(3)];
    uint64_t deleted = 0;

    hardtack__kv__del_reply__free_unpacked(machine_del_prefix(&m, prefix),
                                           NULL);
    hardtack__kv__del_reply__free_unpacked(machine_del_prefix(&two, prefix),
                                           NULL);
    for (unsigned i = 0; i < KEYS; i++) {
        if (model.keys[i].there &&
            strncmp(key_name(i), prefix, strlen(prefix)) == 0) {
            model_remove(i);
            deleted++;
        }
    }
    model.revision += deleted > 0;
}

static void step_swap(void)
{
    SwapRequest swap = HARDTACK__KV__SWAP_REQUEST__INIT;
    unsigned key = draw(KEYS);
    const struct model_key *now = &model.keys[key];
    bool want;

    swap.key = (char *)(uintptr_t)key_name(key);
    swap.expected_case = HARDTACK__KV__SWAP_REQUEST__EXPECTED_EXPECT_REVISION;
    swap.expect_revision = draw(3) == 0 ? 0 : now->revision;
    swap.data_case = HARDTACK__KV__SWAP_REQUEST__DATA_TEXT;
    swap.text = (char *)"swapped";
    want = swap.expect_revision == now->revision;
    for (unsigned i = 0; i < 2; i++) {
        SwapReply *reply = machine_swap(i == 0 ? &m : &two, &swap);

        CHECK((reply->swapped != 0) == want);
        hardtack__kv__swap_reply__free_unpacked(reply, NULL);
    }
    if (want) {
        model_put(key, "swapped", 0, 0);
    }
}

/* Two keys change places, if both are there. */
static void step_txn(void)
{
    Condition conditions[2];
    Condition *condition_list[2] = {&conditions[0], &conditions[1]};
    PutRequest puts[2];
    Op ops[2];
    Op *op_list[2] = {&ops[0], &ops[1]};
    TxnRequest txn = HARDTACK__KV__TXN_REQUEST__INIT;
    unsigned keys[2] = {draw(KEYS), draw(KEYS)};
    char names[2][16], texts[2][16];
    bool want = true;

    for (unsigned i = 0; i < 2; i++) {
        snprintf(names[i], sizeof(names[i]), "%s", key_name(keys[i]));
        snprintf(texts[i], sizeof(texts[i]), "%s",
                 model.keys[keys[1 - i]].text);
        want = want && model.keys[keys[i]].there;
        hardtack__kv__condition__init(&conditions[i]);
        hardtack__kv__put_request__init(&puts[i]);
        hardtack__kv__op__init(&ops[i]);
        conditions[i].key = names[i];
        conditions[i].to_case = HARDTACK__KV__CONDITION__TO_EXISTS;
        conditions[i].exists = true;
        puts[i].key = names[i];
        puts[i].data_case = HARDTACK__KV__PUT_REQUEST__DATA_TEXT;
        puts[i].text = texts[i];
        ops[i].op_case = HARDTACK__KV__OP__OP_PUT;
        ops[i].put = &puts[i];
    }
    txn.conditions = condition_list;
    txn.n_conditions = 2;
    txn.then = op_list;
    txn.n_then = 2;
    for (unsigned i = 0; i < 2; i++) {
        TxnReply *reply = machine_txn(i == 0 ? &m : &two, &txn);

        CHECK((reply->held != 0) == want);
        hardtack__kv__txn_reply__free_unpacked(reply, NULL);
    }
    if (want) {
        model_put(keys[0], texts[0], 0, 0);
        model.revision--; /* both in one */
        model_put(keys[1], texts[1], 0, 0);
    }
}

static void step_lease(void)
{
    struct model_lease *lease = &model.leases[draw(LEASES)];
    uint64_t id = lease->id;

    if (id == 0) {
        uint64_t ttl_ms = 1000 + draw(3000);

        id = machine_grant(&m, ttl_ms);
        CHECK(machine_grant(&two, ttl_ms) == id);
        model.revision++;
        *lease = (struct model_lease){id, ttl_ms, model.time_ms + ttl_ms};
        CHECK(id == model.revision);
    } else if (draw(2) == 0) {
        machine_keep_alive(&m, id);
        machine_keep_alive(&two, id);
        lease->due_ms = model.time_ms + lease->ttl_ms;
    } else {
        machine_revoke(&m, id);
        machine_revoke(&two, id);
        lease->id = 0;
        model.revision += model_remove_of(id);
    }
}

static void step(void)
{
    m.time_ms += draw(100);
    if (draw(50) == 0) {
        m.time_ms -= m.time_ms / 2; /* another leader's clock */
    }
    two.time_ms = m.time_ms;
    model_time(m.time_ms);
    machine_tick(&m);
    machine_tick(&two);
    switch (draw(8)) {
    case 0:
        step_del();
        break;
    case 1:
        step_swap();
        break;
    case 2:
        step_txn();
        break;
    case 3:
        step_lease();
        break;
    case 4:
        if (draw(8) == 0) {
            step_del_prefix();
        }
        break;
    default:
        step_put();
        break;
    }
}

static void run(uint64_t seed)
{
    print_message("seed=%llu\n", (unsigned long long)seed);
    random_state = seed * 2654435761u + 1;
    model = (struct model){.revision = 0};
    machine_start(&m);
    machine_start(&two);
    for (unsigned i = 0; i < STEPS; i++) {
        step();
        check_all();
        if (draw(40) == 0) {
            check_same();
        }
    }
    machine_end(&m);
    machine_end(&two);
}

static uint64_t first_seed = 1, seeds = 60;

static void test_like_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        run(seed);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_like_the_model)};

    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
