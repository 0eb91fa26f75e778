/* SPDX-License-Identifier: Apache-2.0 */
/* Every recycled block refused once, at each point of a connect: whatever
 * fails, the nodes are connected in the end and nothing leaks. */
#include "tests/lib/check.h"
#include "tests/lib/probe.h"

static void count_ready(const ht_peer_info *info, void *arg)
{
    *(unsigned *)arg += strcmp(info->state, "ready") == 0;
}

static bool connect_with_failure(long nth)
{
    struct pipe_world *w = pipe_new(51);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    struct probe pa = {0}, pb = {0};
    unsigned ready = 0;
    ht_ref refs[2];

    CHECK_OK(probe_spawn(a, "pa", false, &pa));
    CHECK_OK(probe_spawn(b, "pb", false, &pb));
    CHECK_OK(ht_group_join(a->node, "g", pa.ref));
    CHECK_OK(ht_group_join(b->node, "g", pb.ref));
    hti_alloc_fail_after(nth);
    (void)pipe_connect(a, "b:1", NULL, false, NULL, NULL);
    pipe_settle(w);
    hti_alloc_fail_after(0);
    pipe_run(w, 20000);
    ht_peer_each(a->node, count_ready, &ready);
    ht_peer_each(b->node, count_ready, &ready);
    CHECK(ready == 2);
    CHECK(ht_group_members(a->node, NULL, "g", refs, 2) == 2);
    CHECK(ht_group_members(b->node, NULL, "g", refs, 2) == 2);
    pipe_free(w);
    return nth < 60;
}

static void test_each_allocation_fails_once(void **state)
{
    long nth = 1;

    (void)state;
    while (connect_with_failure(nth)) {
        nth++;
    }
}

CHECK_MAIN(cmocka_unit_test(test_each_allocation_fails_once))
