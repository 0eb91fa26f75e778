/* SPDX-License-Identifier: Apache-2.0 */
/* abi_plugin - built for a plugin interface that does not exist. */
#include <hardtack/plugin.h>

static ht_err abi_start(ht_node *node, const char *args)
{
    (void)node;
    (void)args;
    return HT_OK;
}

HT_PLUGIN = {HT_PLUGIN_ABI + 98, "abi", abi_start, NULL};
