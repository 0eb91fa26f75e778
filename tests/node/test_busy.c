/* SPDX-License-Identifier: Apache-2.0 */
/* A loop that polls tries its busiest sockets first: the others are still
 * served, however much those bring. */
#include <sched.h>

#include "tests/node/fixture.h"

#define BUSY_PEERS 2 /* as many as a loop holds to be hot */

static _Atomic bool done;

static void *shout(void *arg)
{
    ht_node *node = arg;
    static const uint8_t bytes[512];

    while (!atomic_load(&done)) {
        ht_err err = ht_cast_name(node, "b@localhost", "echo", "Cast", bytes,
                                  sizeof(bytes));

        if (err != HT_OK) {
            CHECK_ERR(err, HT_EBUSY);
            sched_yield();
        }
    }
    return NULL;
}

static void a_quiet_one_is_heard(ht_encryption encryption)
{
    struct log log = LOG_INIT;
    ht_config config = node_config("b", encryption, &log);
    ht_node *b, *quiet, *busy[BUSY_PEERS];
    pthread_t threads[BUSY_PEERS];
    struct echo echo = {0};
    char name[16], buf[64];

    atomic_store(&done, false);
    config.threads = 1;
    config.spin_us = 100000; /* never sleeps while anything comes */
    b = node_start(&config);
    (void)echo_spawn(b, &echo);
    config.spin_us = 0;
    config.name = "quiet";
    quiet = node_start(&config);
    CHECK_OK(ht_client_connect(quiet, node_address(b, buf), NULL));
    for (int i = 0; i < BUSY_PEERS; i++) {
        snprintf(name, sizeof(name), "busy%d", i);
        config.name = name;
        busy[i] = node_start(&config);
        CHECK_OK(ht_client_connect(busy[i], node_address(b, buf), NULL));
        CHECK(pthread_create(&threads[i], NULL, shout, busy[i]) == 0);
    }
    for (int i = 0; i < 50; i++) {
        check_echo(quiet, "b@localhost", "anybody?", 8);
    }
    atomic_store(&done, true);
    for (int i = 0; i < BUSY_PEERS; i++) {
        pthread_join(threads[i], NULL);
        ht_node_free(busy[i]);
    }
    CHECK(atomic_load(&echo.casts) > 0);
    ht_node_free(quiet);
    ht_node_free(b);
    log_fini(&log);
}

static void test_plain(void **state)
{
    (void)state;
    a_quiet_one_is_heard(HT_ENCRYPT_NONE);
}

static void test_encrypted(void **state)
{
    (void)state;
    a_quiet_one_is_heard(HT_ENCRYPT_COOKIE);
}

CHECK_MAIN(cmocka_unit_test(test_plain), cmocka_unit_test(test_encrypted))
