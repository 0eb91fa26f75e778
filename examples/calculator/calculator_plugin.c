/* SPDX-License-Identifier: Apache-2.0 */
/* calculator_plugin - the calculator as an actor of `hardtack start`:
 *
 *   hardtack start --load calculator_plugin.so
 *
 * Its argument, if any, is the actor's name instead of "calculator". */
#include <hardtack/plugin.h>

#include "service.h"

/* The actor borrows it for its life, which is the node's. */
static Calc__Calculator_Service calculator =
    CALC__CALCULATOR__INIT(calculator__);

static ht_err calculator_start(ht_node *node, const char *args)
{
    ht_ref calc;
    ht_err err = ht_spawn_service(node, args[0] != '\0' ? args : "calculator",
                                  &calculator.base, &calc);

    return err ? err : ht_group_join(node, "calculators", calc);
}

HT_PLUGIN = {HT_PLUGIN_ABI, "calculator", calculator_start, NULL};
