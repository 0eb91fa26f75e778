/* SPDX-License-Identifier: Apache-2.0 */
/* server - a calculator that the whole cluster can call.
 *
 *   hardtack cookie -o cookie && server 4697 cookie
 */
#include <hardtack.h>

#include <stdio.h>
#include <stdlib.h>

#include "service.h"

int main(int argc, char **argv)
{
    Calc__Calculator_Service calculator = CALC__CALCULATOR__INIT(calculator__);
    ht_config config = {
        .name = "calc",
        .port = argc > 1 ? atoi(argv[1]) : 4697,
        .cookie_file = argc > 2 ? argv[2] : "cookie",
    };
    ht_node *node = NULL;
    ht_ref calc = {0, 0};
    ht_err err = ht_node_start(&config, &node);

    if (!err)
        err = ht_spawn_service(node, "calculator", &calculator.base, &calc);
    if (!err)
        err = ht_group_join(node, "calculators", calc);
    if (!err)
        printf("%s serves on port %d\n", ht_node_name(node),
               ht_node_port(node));
    fflush(stdout);
    if (!err)
        err = ht_node_run(node);
    if (err)
        fprintf(stderr, "calculator: %s: %s\n", ht_strerror(err),
                ht_start_error());
    ht_node_free(node);
    return err != HT_OK;
}
