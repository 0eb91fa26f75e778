/* SPDX-License-Identifier: Apache-2.0 */
/* test_sim.c - clusters under faults, from seeds.
 *
 *   test_sim                   what `make test` runs: some seeds, and that the
 *                              same seed gives the same run
 *   test_sim FROM COUNT        that many seeds; prints `N passed, N failed`
 *   test_sim --trace SEED      one, with every event
 */
#include "tests/lib/check.h"

#include "tests/sim/sim.h"

/* One life of a cluster: connect, live with faults, heal, settle. */
static bool run_seed(uint64_t seed, bool trace, uint64_t *ret_signature)
{
    struct sim_options options = {.seed = seed, .trace = trace};
    struct sim *sim = sim_new(&options);
    uint64_t chance = seed * 0x9e3779b97f4a7c15u + 1;
    unsigned rounds = 20 + (unsigned)(chance >> 59);
    bool good;

    sim_connect_all(sim);
    for (unsigned i = 0; i < rounds; i++) {
        unsigned a;
        unsigned b;
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        a = (unsigned)(chance >> 40) % sim_nodes(sim);
        b = (unsigned)(chance >> 50) % sim_nodes(sim);
        switch ((chance >> 33) % 14) {
        case 0:
            sim_cut(sim);
            break;
        case 1:
            sim_silence(sim);
            break;
        case 2:
            sim_crash(sim, a);
            break;
        case 3:
            sim_restart(sim, a);
            break;
        case 4:
            if (a != b) {
                sim_partition(sim, a, b, (chance >> 20) % 2 == 0);
            }
            break;
        case 5:
            sim_drain(sim, a);
            break;
        case 6:
            sim_stop(sim, a);
            break;
        case 7:
        case 8:
            sim_client(sim);
            break;
        case 9:
        case 10:
            sim_freeze(sim, a, 100 + (chance >> 22) % 12000);
            break;
        default:
            break;
        }
        for (unsigned j = 0; j < 10; j++) {
            sim_act(sim);
            sim_run(sim, (chance >> 25) % 300);
        }
    }
    sim_heal(sim);
    sim_run(sim, 60000);
    good = sim_check_settled(sim);
    if (ret_signature != NULL) {
        *ret_signature = sim_signature(sim);
    }
    sim_free(sim);
    if (!good) {
        printf("to replay: test_sim --trace %llu\n", (unsigned long long)seed);
    }
    return good;
}

static void test_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
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
