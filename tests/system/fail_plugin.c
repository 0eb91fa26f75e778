/* SPDX-License-Identifier: Apache-2.0 */
/* fail_plugin - does not start. */
#include <hardtack/plugin.h>

static ht_err fail_start(ht_node *node, const char *args)
{
    (void)node;
    (void)args;
    return HT_EUNSUPPORTED;
}

HT_PLUGIN = {HT_PLUGIN_ABI, "fail", fail_start, NULL};
