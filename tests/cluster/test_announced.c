/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"

#include "cluster/announced.h"

static void test_adding_twice_is_once(void **state)
{
    struct hti_announced a;

    (void)state;
    hti_announced_init(&a, 42);
    CHECK(!hti_announced_has(&a, 0));
    CHECK(!hti_announced_remove(&a, 0));
    CHECK_OK(hti_announced_add(&a, 0));
    CHECK_OK(hti_announced_add(&a, 0));
    CHECK(hti_announced_has(&a, 0));
    CHECK(a.actors == 1);
    CHECK(hti_announced_remove(&a, 0));
    CHECK(!hti_announced_has(&a, 0));
    CHECK(a.actors == 0);
    hti_announced_fini(&a);
}

static void test_memberships_are_counted_exactly(void **state)
{
    struct hti_announced a;

    (void)state;
    hti_announced_init(&a, 1);
    for (unsigned repeat = 0; repeat < 3; repeat++) {
        for (uint64_t group = 1; group <= 9; group++) {
            CHECK_OK(hti_announced_join(&a, 7, group));
        }
    }
    CHECK(a.actors == 1 && a.memberships == 9);
    CHECK(hti_announced_leave(&a, 7, 3));
    CHECK(hti_announced_leave(&a, 7, 3));
    CHECK(!hti_announced_leave(&a, 8, 3));
    CHECK(a.memberships == 8 && hti_announced_groups(&a, 7) == 8);
    CHECK(hti_announced_remove(&a, 7));
    CHECK(a.actors == 0 && a.memberships == 0);
    hti_announced_fini(&a);
}

static void test_groups_are_bounded(void **state)
{
    struct hti_announced a;
    uint64_t pid = 0, group = 0;

    (void)state;
    hti_announced_init(&a, 3);
    while (group < HTI_ANNOUNCED_GROUPS_MAX) {
        pid += group % HTI_ANNOUNCED_PER_PID == 0;
        CHECK_OK(hti_announced_join(&a, pid, ++group));
    }
    CHECK_ERR(hti_announced_join(&a, pid + 1, group + 1), HT_ETOOBIG);
    CHECK_OK(hti_announced_join(&a, pid + 1, group));
    /* The last member gone, there is room for another group. */
    CHECK(hti_announced_leave(&a, 1, 1));
    CHECK_OK(hti_announced_join(&a, pid + 1, group + 1));
    CHECK_ERR(hti_announced_join(&a, pid + 1, group + 2), HT_ETOOBIG);
    CHECK(hti_announced_remove(&a, 2));
    CHECK_OK(hti_announced_join(&a, pid + 1, group + 2));
    hti_announced_fini(&a);
}

/* Against a plain array, with many collisions and removals. */
static void test_agrees_with_an_array(void **state)
{
    enum { PIDS = 512 };
    static bool there[PIDS];
    struct hti_announced a;
    uint64_t rng = 88172645463325252u;
    size_t count = 0;

    (void)state;
    hti_announced_init(&a, 99);
    for (unsigned i = 0; i < 50000; i++) {
        unsigned pid;

        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        pid = (unsigned)(rng >> 20) % PIDS;
        if (rng % 3 != 0) {
            CHECK_OK(hti_announced_join(&a, pid, rng % 5));
            count += !there[pid];
            there[pid] = true;
        } else {
            CHECK(hti_announced_remove(&a, pid) == there[pid]);
            count -= there[pid];
            there[pid] = false;
        }
        CHECK(a.actors == count);
    }
    for (unsigned pid = 0; pid < PIDS; pid++) {
        CHECK(hti_announced_has(&a, pid) == there[pid]);
    }
    hti_announced_fini(&a);
}

static void test_is_bounded(void **state)
{
    struct hti_announced a;
    ht_err err = HT_OK;
    uint64_t pid = 0;

    (void)state;
    hti_announced_init(&a, 5);
    for (uint64_t group = 0; group < HTI_ANNOUNCED_PER_PID; group++) {
        CHECK_OK(hti_announced_join(&a, 1, group));
    }
    CHECK_ERR(hti_announced_join(&a, 1, HTI_ANNOUNCED_PER_PID), HT_ETOOBIG);
    while (err == HT_OK) {
        err = hti_announced_add(&a, pid++);
    }
    assert_int_equal(err, HT_ETOOBIG);
    CHECK(a.actors + a.memberships == HTI_ANNOUNCED_MAX);
    CHECK_OK(hti_announced_add(&a, 1)); /* known: takes nothing */
    CHECK(hti_announced_remove(&a, 1));
    CHECK_OK(hti_announced_add(&a, pid));
    hti_announced_fini(&a);
}

CHECK_MAIN(cmocka_unit_test(test_adding_twice_is_once),
           cmocka_unit_test(test_memberships_are_counted_exactly),
           cmocka_unit_test(test_groups_are_bounded),
           cmocka_unit_test(test_agrees_with_an_array),
           cmocka_unit_test(test_is_bounded))
