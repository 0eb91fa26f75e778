/* SPDX-License-Identifier: Apache-2.0 */
/* client - ask a calculator of the cluster: client HOST:PORT COOKIE "10 + 5" */
#include <hardtack.h>

#include <stdio.h>

#include "calculator.pb-c.h"

static void print(const Calc__Result *result, void *ret_ok)
{
    const char *reason;
    ht_err err = ht_stub_error(&reason);

    if (result != NULL)
        printf("%g\n", result->value);
    else
        fprintf(stderr, "client: %s: %s\n", ht_strerror(err), reason);
    *(bool *)ret_ok = result != NULL;
}

int main(int argc, char **argv)
{
    Calc__Expression in = CALC__EXPRESSION__INIT;
    ht_config config = {.name = "calc-client", .hidden = true};
    ht_node *node = NULL;
    ht_stub *stub = NULL;
    ht_ref calc = {0, 0};
    bool ok = false;
    ht_err err;

    if (argc != 4) {
        fprintf(stderr, "usage: client HOST:PORT COOKIE-FILE EXPRESSION\n");
        return 2;
    }
    config.cookie_file = argv[2];
    in.text = argv[3];
    err = ht_node_start(&config, &node);
    if (!err)
        err = ht_client_connect(node, argv[1], NULL);
    if (!err)
        err = ht_group_pick(node, NULL, "calculators", false, &calc);
    if (!err)
        err = ht_stub_new(node, calc, &calc__calculator__descriptor, &stub);
    if (!err)
        calc__calculator__eval(ht_stub_service(stub), &in, print, &ok);
    else
        fprintf(stderr, "client: %s: %s\n", ht_strerror(err), ht_start_error());
    ht_stub_free(stub);
    ht_node_free(node);
    return !ok;
}
