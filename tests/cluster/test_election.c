/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"

#include "cluster/election.h"

/* Connections between a@h and b@h, as both nodes see them. */
struct conn {
    char by;     /* who initiated it */
    uint64_t id; /* connection id */
};

/* Whether the one at index survives alone, on both nodes. */
static void
check_survivor(const struct conn *conns, size_t count, size_t survivor)
{
    struct hti_candidate a[8], b[8];

    for (size_t i = 0; i < count; i++) {
        /* The order in which they were made differs between the nodes, except
         * where it decides. */
        a[i] =
            (struct hti_candidate){conns[i].by == 'a', conns[i].id, 9 - i, 0};
        b[i] =
            (struct hti_candidate){conns[i].by == 'b', conns[i].id, 1 + i, 0};
    }
    hti_elect("a@h", "b@h", a, count);
    hti_elect("b@h", "a@h", b, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(a[i].survives, i == survivor);
        assert_int_equal(b[i].survives, i == survivor);
    }
}

static void test_one_survives(void **state)
{
    const struct conn conns[] = {{'a', 19}};

    (void)state;
    check_survivor(conns, 1, 0);
}

static void test_greater_name_initiates(void **state)
{
    const struct conn conns[] = {{'a', 19}, {'b', 7}};
    const struct conn swapped[] = {{'a', 7}, {'b', 19}};

    (void)state;
    check_survivor(conns, 2, 1);
    check_survivor(swapped, 2, 1);
}

static void test_smaller_id_wins_in_one_direction(void **state)
{
    const struct conn conns[] = {{'a', 31}, {'a', 11}};

    (void)state;
    check_survivor(conns, 2, 1);
}

static void test_any_id_beats_none(void **state)
{
    const struct conn conns[] = {{'a', 0}, {'a', 23}};

    (void)state;
    check_survivor(conns, 2, 1);
}

static void test_direction_before_id(void **state)
{
    const struct conn conns[] = {{'a', 1}, {'b', 0}, {'b', 9}, {'a', 2}};

    (void)state;
    check_survivor(conns, 4, 2);
}

/* b accepted both: it keeps the older; a waits for b to close the other. */
static void test_acceptor_breaks_ties(void **state)
{
    struct hti_candidate b[] = {{false, 0, 5, 0}, {false, 0, 3, 0}};
    struct hti_candidate a[] = {{true, 0, 1, 0}, {true, 0, 2, 0}};

    (void)state;
    hti_elect("b@h", "a@h", b, 2);
    CHECK(!b[0].survives && b[1].survives);
    hti_elect("a@h", "b@h", a, 2);
    CHECK(a[0].survives && a[1].survives);
}

static void test_shorter_prefix_is_smaller(void **state)
{
    struct hti_candidate c[] = {{true, 5, 1, 0}, {false, 4, 2, 0}};

    (void)state;
    hti_elect("node@h", "node@host", c, 2);
    CHECK(!c[0].survives && c[1].survives);
    hti_elect("\xc3\xa9@h", "z@h", c, 2);
    CHECK(c[0].survives && !c[1].survives);
}

static void test_equal_names_are_not_filtered(void **state)
{
    struct hti_candidate c[] = {{true, 5, 1, 0}, {false, 4, 2, 0}};

    (void)state;
    hti_elect("a@h", "a@h", c, 2);
    CHECK(!c[0].survives && c[1].survives);
}

static enum hti_election
newcomer(const char *self, bool old_ours, uint64_t old_id, uint64_t new_id)
{
    struct hti_candidate c[] = {{old_ours, old_id, 1, 0},
                                {false, new_id, 2, 0}};

    return hti_elect_newcomer(self, strcmp(self, "a@h") ? "a@h" : "b@h", c, 2,
                              1);
}

static void test_verdict_on_a_newcomer(void **state)
{
    struct hti_candidate alone[] = {{false, 7, 1, 0}};

    (void)state;
    assert_int_equal(hti_elect_newcomer("a@h", "b@h", alone, 1, 0),
                     HTI_ELECTION_ALONE);
    assert_int_equal(newcomer("a@h", true, 1, 2), HTI_ELECTION_DISPLACES);
    assert_int_equal(newcomer("b@h", true, 1, 2), HTI_ELECTION_LOSES);
    assert_int_equal(newcomer("b@h", false, 3, 2), HTI_ELECTION_DISPLACES);
    assert_int_equal(newcomer("b@h", false, 2, 3), HTI_ELECTION_LOSES);
    /* Legacy duplicates are let on, and decided when authenticated. */
    assert_int_equal(newcomer("b@h", false, 0, 0), HTI_ELECTION_ALONE);
}

CHECK_MAIN(cmocka_unit_test(test_one_survives),
           cmocka_unit_test(test_greater_name_initiates),
           cmocka_unit_test(test_smaller_id_wins_in_one_direction),
           cmocka_unit_test(test_any_id_beats_none),
           cmocka_unit_test(test_direction_before_id),
           cmocka_unit_test(test_acceptor_breaks_ties),
           cmocka_unit_test(test_shorter_prefix_is_smaller),
           cmocka_unit_test(test_equal_names_are_not_filtered),
           cmocka_unit_test(test_verdict_on_a_newcomer))
