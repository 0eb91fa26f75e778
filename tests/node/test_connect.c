/* SPDX-License-Identifier: Apache-2.0 */
/* Two real nodes in one process, over loopback: they connect, call and cast, by
 * every encryption. */
#include "tests/node/fixture.h"

static void two_nodes(ht_encryption encryption)
{
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", encryption, &log);
    ht_config cb = node_config("b", encryption, &log);
    ht_node *a = node_start(&ca);
    ht_node *b = node_start(&cb);
    struct echo echo = {0};
    static uint8_t big[1 << 20];
    char address[64];

    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (uint8_t)(i * 31 + i / 251);
    }
    echo_spawn(b, &echo);
    CHECK_OK(ht_client_connect(a, node_address(b, address), NULL));
    check_echo(a, "b@localhost", "hello", 5);
    check_echo(a, "b@localhost", "", 0);
    check_echo(a, "b@localhost", big, 4096);
    check_echo(a, "b@localhost", big, 65536);
    check_echo(a, "b@localhost", big, sizeof(big));
    ht_node_free(a);
    ht_node_free(b);
    assert_int_equal(echo.terminated, 1);
    log_fini(&log);
}

static void test_plain(void **state)
{
    (void)state;
    two_nodes(HT_ENCRYPT_NONE);
}

static void test_cookie(void **state)
{
    (void)state;
    two_nodes(HT_ENCRYPT_COOKIE);
}

CHECK_MAIN(cmocka_unit_test(test_plain), cmocka_unit_test(test_cookie))
