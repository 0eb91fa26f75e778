/* SPDX-License-Identifier: Apache-2.0 */
/* Global names and singletons on three real nodes, some of which die. */
#include <hardtack/args.h>

#include "tests/kv/cluster.h"

static struct cluster c;

/* An actor that notes that it has lost its name. */
struct owner {
    _Atomic uint64_t lost; /* the token */
    _Atomic uint64_t lost_ms;
};

static ht_err owner_init(ht_actor *self, void *arg)
{
    ht_set_state(self, arg);
    return HT_OK;
}

static ht_err owner_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct owner *owner = ht_state(self);
    ht_reader reader = ht_reader_args(msg);

    (void)call;
    if (strcmp(ht_msg_variant(msg), "HtGlobalLost") != 0) {
        return HT_ENOVARIANT;
    }
    (void)ht_read_str(&reader);
    owner->lost_ms = clock_ms();
    owner->lost = ht_read_u64(&reader);
    return ht_read_end(&reader);
}

static const ht_behavior owner_behavior = {.init = owner_init,
                                           .handle = owner_handle};

static ht_ref spawn_owner(ht_node *node, struct owner *owner)
{
    ht_ref ref;

    *owner = (struct owner){0};
    CHECK_OK(ht_spawn(node, &owner_behavior, owner, NULL, &ref));
    return ref;
}

static void use_short_leases(ht_node *node)
{
    const ht_global_config config = {.lease_ms = 1000};

    CHECK_OK(ht_global_start(node, &config));
}

static int setup(void **state)
{
    (void)state;
    cluster_start(&c, 3);
    for (size_t i = 0; i < 3; i++) {
        use_short_leases(c.members[i].node);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cluster_stop(&c);
    return 0;
}

static void up_again(size_t i)
{
    cluster_up(&c, i);
    use_short_leases(c.members[i].node);
}

/* ---- names --------------------------------------------------------------- */

static void test_one_owner(void **state)
{
    struct owner one, two;
    ht_node *a = c.members[0].node, *b = c.members[1].node;
    ht_ref ref_a = spawn_owner(a, &one), ref_b = spawn_owner(b, &two), found;
    uint64_t first = 0, second = 0, token = 0;
    char text[300], expected[300];

    (void)state;
    CHECK_ERR(ht_whereis_global(a, "boss", &found, NULL), HT_ENOENT);
    CHECK_OK(ht_register_global(a, "boss", ref_a, &first));
    CHECK_ERR(ht_register_global(b, "boss", ref_b, NULL), HT_EEXIST);
    CHECK_ERR(ht_register_global(a, "boss", ref_a, NULL), HT_EEXIST);
    CHECK_ERR(ht_register_global(a, "", ref_a, NULL), HT_EINVAL);
    CHECK_ERR(ht_global_start(a, &(ht_global_config){0}), HT_EEXIST);
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(ht_whereis_global(c.members[i].node, "boss", &found, &token));
        CHECK(token == first);
        (void)ht_ref_format(c.members[i].node, found, text, sizeof(text));
        (void)ht_ref_format(a, ref_a, expected, sizeof(expected));
        assert_string_equal(text, expected);
    }
    CHECK_OK(ht_unregister_global(a, "boss"));
    CHECK_ERR(ht_unregister_global(a, "boss"), HT_ENOENT);
    WAIT_FOR(ht_register_global(b, "boss", ref_b, &second) == HT_OK);
    CHECK(second > first);
    /* It ends: the name is free. */
    CHECK_OK(ht_stop(b, ref_b, NULL));
    WAIT_FOR(ht_register_global(a, "boss", ref_a, &token) == HT_OK);
    CHECK(token > second);
    CHECK_ERR(ht_register_global(b, "other", ref_b, NULL), HT_ENOPROC);
    CHECK_OK(ht_stop(a, ref_a, NULL));
    WAIT_FOR(ht_whereis_global(b, "boss", &found, NULL) == HT_ENOENT);
}

static void test_the_owner_s_node_dies(void **state)
{
    struct owner one, two;
    ht_ref ref_a = spawn_owner(c.members[1].node, &one);
    ht_ref ref_b = spawn_owner(c.members[2].node, &two);
    uint64_t first = 0, second = 0;

    (void)state;
    WAIT_FOR(ht_register_global(c.members[1].node, "boss", ref_a, &first) ==
             HT_OK);
    cluster_down(&c, 1);
    WAIT_FOR(ht_register_global(c.members[2].node, "boss", ref_b, &second) ==
             HT_OK);
    CHECK(second > first);
    up_again(1);
    CHECK_OK(ht_stop(c.members[2].node, ref_b, NULL));
}

/* A name is given back while nobody leads: it becomes free all the same, though
 * the lease that it hangs on lives on. */
static void test_given_back_without_a_leader(void **state)
{
    const ht_global_config long_leases = {.lease_ms = 20000};
    struct owner one;
    ht_ref ref, found;
    ht_node *a;

    (void)state;
    cluster_down(&c, 0);
    c.config.request_timeout_ms = 300;
    cluster_up(&c, 0);
    c.config.request_timeout_ms = 0;
    a = c.members[0].node;
    CHECK_OK(ht_global_start(a, &long_leases));
    ref = spawn_owner(a, &one);
    WAIT_FOR(ht_register_global(a, "left", ref, NULL) == HT_OK);

    cluster_down(&c, 1);
    cluster_down(&c, 2);
    CHECK_OK(ht_unregister_global(a, "left"));
    CHECK_ERR(ht_kv_put(a, NULL, "k", "v", 1, NULL, NULL), HT_EFAILED);
    CHECK_ERR(ht_kv_put(a, NULL, "k", "v", 1, NULL, NULL), HT_EFAILED);
    up_again(1);
    up_again(2);
    WAIT_FOR(ht_whereis_global(c.members[1].node, "left", &found, NULL) ==
             HT_ENOENT);
    CHECK(one.lost == 0);

    cluster_down(&c, 0);
    up_again(0);
}

/* A node that cannot reach the store tells the owner, before another can hold
 * the name. */
static void test_cut_off(void **state)
{
    struct owner one, two;
    ht_node *a = c.members[0].node;
    ht_ref ref_a = spawn_owner(a, &one), ref_b;
    uint64_t first = 0, second = 0;

    (void)state;
    WAIT_FOR(ht_register_global(a, "boss", ref_a, &first) == HT_OK);
    cluster_down(&c, 1);
    cluster_down(&c, 2);
    WAIT_FOR(one.lost != 0);
    CHECK(one.lost == first);
    up_again(1);
    up_again(2);
    ref_b = spawn_owner(c.members[1].node, &two);
    WAIT_FOR(ht_register_global(c.members[1].node, "boss", ref_b, &second) ==
             HT_OK);
    CHECK(second > first);
    CHECK_OK(ht_stop(c.members[1].node, ref_b, NULL));
    CHECK_OK(ht_stop(a, ref_a, NULL));
}

/* The others go on without it: they hold the name only after the owner was
 * told that it does not any more. */
static void test_cut_off_from_the_majority(void **state)
{
    struct owner one, two;
    ht_node *outside = cluster_client(&c);
    ht_node *inside = c.members[0].node;
    ht_ref ref_a = spawn_owner(outside, &one);
    ht_ref ref_b = spawn_owner(inside, &two);
    uint64_t first = 0, second = 0, held_ms;

    (void)state;
    use_short_leases(outside);
    WAIT_FOR(ht_register_global(outside, "boss", ref_a, &first) == HT_OK);
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(ht_disconnect(outside, ht_node_name(c.members[i].node)));
    }
    WAIT_FOR(ht_register_global(inside, "boss", ref_b, &second) == HT_OK);
    held_ms = clock_ms();
    CHECK(second > first);
    CHECK(one.lost == first && one.lost_ms <= held_ms);
    ht_node_free(outside);
    CHECK_OK(ht_stop(inside, ref_b, NULL));
}

/* ---- a singleton --------------------------------------------------------- */

static atomic_uint running;
static atomic_uint started;
static atomic_bool two_at_once;
static atomic_ulong last_token;
static atomic_bool token_went_back;

static ht_err single_init(ht_actor *self, void *arg)
{
    (void)arg;
    (void)self;
    if (atomic_fetch_add(&running, 1) != 0) {
        two_at_once = true;
    }
    atomic_fetch_add(&started, 1);
    return HT_OK;
}

static ht_err single_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    ht_reader reader = ht_reader_args(msg);
    uint64_t token;

    (void)call;
    (void)self;
    if (strcmp(ht_msg_variant(msg), "HtGlobalHeld") != 0) {
        return HT_ENOVARIANT;
    }
    (void)ht_read_str(&reader);
    token = ht_read_u64(&reader);
    token_went_back = token_went_back || token <= last_token;
    last_token = token;
    return ht_read_end(&reader);
}

static void single_terminate(ht_actor *self, const ht_exit *why)
{
    (void)self;
    (void)why;
    atomic_fetch_sub(&running, 1);
}

static const ht_behavior single = {.init = single_init,
                                   .handle = single_handle,
                                   .terminate = single_terminate};

static const ht_singleton_config singleton = {.name = "only",
                                              .behavior = &single};

/* Which node runs it, once it has its name. */
static size_t runs_on(uint64_t above)
{
    uint64_t until = clock_ms() + PATIENCE_MS;

    while (clock_ms() < until) {
        for (size_t i = 0; i < 3; i++) {
            uint64_t token = 0;
            ht_ref ref;

            if (c.members[i].node == NULL ||
                ht_whereis_global(c.members[i].node, "only", &ref, &token) !=
                    HT_OK ||
                token <= above || last_token < token) {
                continue;
            }
            for (size_t n = 0; n < 3; n++) {
                if (c.members[n].node != NULL &&
                    strcmp(ht_node_name(c.members[n].node),
                           ht_ref_node_name(c.members[i].node, ref)) == 0) {
                    return n;
                }
            }
        }
        (void)poll(NULL, 0, 20);
    }
    fail();
    return 0;
}

static void test_a_singleton(void **state)
{
    size_t at, next;
    ht_ref ref;
    char keeper[] = "hardtack.singleton.only";
    uint64_t token;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(ht_singleton_start(c.members[i].node, &singleton));
    }
    CHECK_ERR(ht_singleton_start(c.members[0].node, &singleton), HT_EEXIST);
    at = runs_on(0);
    CHECK(started == 1);

    /* It dies, and runs again. */
    token = last_token;
    CHECK_OK(ht_whereis_global(c.members[at].node, "only", &ref, NULL));
    CHECK_OK(ht_kill(c.members[at].node, ref));
    at = runs_on(token);

    /* Its node dies. */
    token = last_token;
    cluster_down(&c, at);
    next = runs_on(token);
    CHECK(next != at);
    up_again(at);
    CHECK_OK(ht_singleton_start(c.members[at].node, &singleton));

    /* It is sent away. */
    token = last_token;
    CHECK_OK(ht_singleton_stop(c.members[next].node, "only"));
    at = runs_on(token);
    CHECK(at != next);
    WAIT_FOR(ht_ref_is_none(ht_whereis(c.members[next].node, keeper)));
    CHECK_ERR(ht_singleton_stop(c.members[next].node, "only"), HT_ENOENT);

    CHECK(!two_at_once && !token_went_back);
    CHECK(running == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_owner),
        cmocka_unit_test(test_the_owner_s_node_dies),
        cmocka_unit_test(test_given_back_without_a_leader),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_cut_off_from_the_majority),
        cmocka_unit_test(test_a_singleton),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
