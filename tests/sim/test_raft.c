/* SPDX-License-Identifier: Apache-2.0 */
/* test_raft.c - Raft groups under faults, from seeds.
 *
 *   test_raft                   what `make test` runs
 *   test_raft FROM COUNT        that many seeds; prints `N passed, N failed`
 *   test_raft --trace SEED      one, with what happens
 */
#include "tests/lib/check.h"

#include "tests/sim/raft_sim.h"

#define FAULTS_MS 20000

static bool run_seed(uint64_t seed, bool trace, uint64_t *ret_signature)
{
    struct rsim_options options = {.seed = seed, .trace = trace};
    struct rsim *sim = rsim_new(&options);
    bool good = rsim_run(sim, FAULTS_MS);

    if (ret_signature != NULL) {
        *ret_signature = rsim_signature(sim);
    }
    rsim_free(sim);
    return good;
}

static void test_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        CHECK(run_seed(seed, false, NULL));
    }
}

/* A replay that is not exact is no replay. */
static void test_same_seed_same_run(void **state)
{
    uint64_t first = 0;
    uint64_t second = 0;

    (void)state;
    CHECK(run_seed(7, false, &first));
    CHECK(run_seed(7, false, &second));
    CHECK(first == second);
    CHECK(run_seed(8, false, &second));
    CHECK(first != second);
}

static int run_range(uint64_t from, uint64_t count)
{
    uint64_t failed = 0;

    for (uint64_t seed = from; seed < from + count; seed++) {
        if (!run_seed(seed, false, NULL)) {
            failed++;
            printf("not ok seed %llu\n", (unsigned long long)seed);
            fflush(stdout);
        }
    }
    printf("%llu passed, %llu failed\n", (unsigned long long)(count - failed),
           (unsigned long long)failed);
    return failed != 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_same_seed_same_run),
    };

    if (argc == 3 && strcmp(argv[1], "--trace") == 0) {
        return run_seed(strtoull(argv[2], NULL, 10), true, NULL) ? 0 : 1;
    }
    if (argc == 3) {
        return run_range(strtoull(argv[1], NULL, 10),
                         strtoull(argv[2], NULL, 10));
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
