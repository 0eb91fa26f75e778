/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack/plugin.h - actors in a shared object, for `hardtack start --load`.
 *
 * The object exports one variable:
 *
 *   HT_PLUGIN = { HT_PLUGIN_ABI, "calculator", calculator_start, NULL };
 */
#ifndef HARDTACK_PLUGIN_H
#define HARDTACK_PLUGIN_H

#include <hardtack.h>

#define HT_PLUGIN_ABI 1

typedef struct ht_plugin {
    unsigned abi;     /* HT_PLUGIN_ABI */
    const char *name; /* in logs */
    /* Spawn actors, join groups. args is what followed "PATH:" in --load, ""
     * if nothing. An error ends the program's start. */
    ht_err (*start)(ht_node *node, const char *args);
    /* Called after every actor has ended. May be NULL. */
    void (*stop)(void);
} ht_plugin;

#ifdef __cplusplus
#define HT_PLUGIN extern "C" HT_API const ht_plugin ht_plugin_main
#else
#define HT_PLUGIN HT_API const ht_plugin ht_plugin_main
#endif

#endif /* HARDTACK_PLUGIN_H */
