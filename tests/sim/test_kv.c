/* SPDX-License-Identifier: Apache-2.0 */
/* test_kv.c - the store on Raft groups under faults, from seeds.
 *
 *   test_kv                   what `make test` runs
 *   test_kv FROM COUNT        that many seeds; prints `N passed, N failed`
 *   test_kv --trace SEED      one, with what happens
 */
#include "tests/lib/check.h"

#include "tests/sim/kv_app.h"
#include "tests/sim/kv_linear.h"

#define FAULTS_MS 20000

static struct {
    uint64_t answered, again, locked;
} total;

static bool run_seed(uint64_t seed, bool trace)
{
    struct kv_app *app = kv_app_new();
    struct rsim_options options = {
        .seed = seed, .trace = trace, .app = &kv_sim_app, .app_arg = app};
    struct rsim *sim = rsim_new(&options);
    uint64_t answered, again, locked;
    bool good;

    kv_app_begin(app, sim);
    good = rsim_run(sim, FAULTS_MS);
    rsim_free(sim);
    kv_app_counts(app, &answered, &again, &locked);
    total.answered += answered;
    total.again += again;
    total.locked += locked;
    kv_app_free(app);
    return good;
}

static void test_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        CHECK(run_seed(seed, false));
    }
    print_message("%llu answered, %llu sent again, %llu locked\n",
                  (unsigned long long)total.answered,
                  (unsigned long long)total.again,
                  (unsigned long long)total.locked);
    CHECK(total.again > 0);
}

/* ---- the checker itself -------------------------------------------------- */

#define OP(kind_, value_, expected_, result_, begin_, end_)                    \
    {                                                                          \
        .kind = LINEAR_##kind_, .value = (value_), .expected = (expected_),    \
        .result = (result_), .begin = (begin_), .end = (end_)                  \
    }

static void test_the_checker_accepts(void **state)
{
    /* A read beside a write sees it or not; a write without an answer comes
     * late. */
    struct linear_op ops[] = {
        OP(READ, 0, 0, 0, 1, 2),           OP(WRITE, 1, 0, 0, 3, 8),
        OP(READ, 0, 0, 0, 4, 5),           OP(READ, 0, 0, 1, 6, 7),
        OP(WRITE, 2, 0, 0, 9, UINT64_MAX), OP(READ, 0, 0, 1, 10, 11),
        OP(READ, 0, 0, 2, 12, 13),         OP(SWAP, 3, 2, 1, 14, 15),
        OP(SWAP, 4, 2, 0, 16, 17),         OP(DEL, 0, 0, 1, 18, 19),
        OP(DEL, 0, 0, 0, 20, 21),
    };

    (void)state;
    CHECK(linear_check(ops, sizeof(ops) / sizeof(ops[0])));
}

static void test_the_checker_refuses(void **state)
{
    struct linear_op stale[] = {OP(WRITE, 1, 0, 0, 1, 2),
                                OP(READ, 0, 0, 0, 3, 4)};
    struct linear_op back[] = {OP(WRITE, 1, 0, 0, 1, 6),
                               OP(READ, 0, 0, 1, 2, 3),
                               OP(READ, 0, 0, 0, 4, 5)};
    struct linear_op lost[] = {OP(WRITE, 1, 0, 0, 1, 2),
                               OP(WRITE, 2, 0, 0, 3, 4),
                               OP(READ, 0, 0, 1, 5, 6)};
    struct linear_op twice[] = {OP(WRITE, 1, 0, 0, 1, 2),
                                OP(SWAP, 2, 1, 1, 3, 10),
                                OP(SWAP, 3, 1, 1, 4, 11)};
    struct linear_op never[] = {OP(READ, 0, 0, 9, 1, 2)};

    (void)state;
    CHECK(!linear_check(stale, 2));
    CHECK(!linear_check(back, 3));
    CHECK(!linear_check(lost, 3));
    CHECK(!linear_check(twice, 3));
    CHECK(!linear_check(never, 1));
}

static int run_range(uint64_t from, uint64_t count)
{
    uint64_t failed = 0;

    for (uint64_t seed = from; seed < from + count; seed++) {
        if (!run_seed(seed, false)) {
            failed++;
            printf("not ok seed %llu\n", (unsigned long long)seed);
            fflush(stdout);
        }
    }
    printf("%llu answered, %llu sent again, %llu locked\n",
           (unsigned long long)total.answered, (unsigned long long)total.again,
           (unsigned long long)total.locked);
    printf("%llu passed, %llu failed\n", (unsigned long long)(count - failed),
           (unsigned long long)failed);
    return failed != 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_checker_accepts),
        cmocka_unit_test(test_the_checker_refuses),
        cmocka_unit_test(test_seeds),
    };

    if (argc == 3 && strcmp(argv[1], "--trace") == 0) {
        return run_seed(strtoull(argv[2], NULL, 10), true) ? 0 : 1;
    }
    if (argc == 3) {
        return run_range(strtoull(argv[1], NULL, 10),
                         strtoull(argv[2], NULL, 10));
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
