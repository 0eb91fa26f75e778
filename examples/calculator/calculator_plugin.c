/* SPDX-License-Identifier: Apache-2.0 */
/* calculator_plugin - the calculator and its memory as actors of
 *
 *   hardtack start --load calculator_plugin.so
 */
#include <hardtack/plugin.h>

#include "memory.pb-c.h"
#include "service.h"

/* A service's state is what stands beside its generated struct; an actor's
 * handlers never overlap, so it needs no lock. */
struct memory {
    Calc__Memory_Service service;
    double value;
};

static void memory__store(Calc__Memory_Service *self,
                          const Calc__Number *in,
                          Hardtack__None_Closure reply,
                          void *call)
{
    (void)reply;
    (void)call;
    ((struct memory *)self)->value = in->value;
}

static void memory__recall(Calc__Memory_Service *self,
                           const Hardtack__Empty *in,
                           Calc__Number_Closure reply,
                           void *call)
{
    Calc__Number out = CALC__NUMBER__INIT;

    (void)in;
    out.value = ((struct memory *)self)->value;
    reply(&out, call);
}

/* The actors borrow them for their lives, which end with the node. */
static Calc__Calculator_Service calculator =
    CALC__CALCULATOR__INIT(calculator__);
static const ht_behavior around = {.handle = calculator_text};
static struct memory memory = {CALC__MEMORY__INIT(memory__), 0};

static ht_err calculator_start(ht_node *node, const char *args)
{
    const ht_spawn_opts opts = {.name = "calculator"};
    ht_ref ref = {0, 0};
    ht_err err = ht_spawn_service_opts(node, &calculator.base, &around, NULL,
                                       &opts, &ref);

    (void)args;
    if (!err)
        err = ht_group_join(node, "calculators", ref);
    if (!err)
        err = ht_spawn_service(node, "memory", &memory.service.base, &ref);
    return err;
}

HT_PLUGIN = {HT_PLUGIN_ABI, "calculator", calculator_start, NULL};
