/* SPDX-License-Identifier: Apache-2.0 */
/* call_rust - ask a Rust calculator: call_rust HOST:PORT COOKIE-FILE "10 + 5"
 *
 * The same stub as for a calculator in C; only the way there is another: no
 * encryption, and the cookie that is shared with ractor nodes. */
#include <hardtack.h>

#include <stdio.h>

#include "examples/calculator/calculator.pb-c.h"

static void print(const Calc__Result *result, void *ret_ok)
{
    if (result != NULL)
        printf("%g\n", result->value);
    else
        fprintf(stderr, "call_rust: %s\n", ht_strerror(ht_stub_error(NULL)));
    *(bool *)ret_ok = result != NULL;
}

int main(int argc, char **argv)
{
    Calc__Expression in = CALC__EXPRESSION__INIT;
    ht_config config = {
        .name = "call-rust",
        .encryption = HT_ENCRYPT_NONE,
        .peers = HT_PEERS_ANY,
    };
    ht_node *node = NULL;
    ht_stub *stub = NULL;
    ht_ref calc;
    bool ok = false;
    ht_err err;

    if (argc != 4)
        return fputs("usage: call_rust HOST:PORT COOKIE-FILE EXPRESSION\n",
                     stderr),
               2;
    config.ractor_cookie_file = argv[2];
    in.text = argv[3];
    err = ht_node_start(&config, &node);
    if (!err)
        err = ht_client_connect(node, argv[1], NULL);
    if (!err)
        err = ht_group_pick(node, NULL, "calculators", false, &calc);
    if (!err)
        err = ht_stub_new(node, calc, &calc__calculator__descriptor, &stub);
    if (!err) {
        /* Rust does not say no; it says nothing. */
        ht_stub_set_timeout(stub, 1000);
        calc__calculator__eval(ht_stub_service(stub), &in, print, &ok);
    } else {
        fprintf(stderr, "call_rust: %s: %s\n", ht_strerror(err),
                ht_start_error());
    }
    ht_stub_free(stub);
    ht_node_free(node);
    return !ok;
}
