/* SPDX-License-Identifier: Apache-2.0 */
/* chat_plugin - a node of the chat:
 *
 *   hardtack start --config chat.conf
 *
 * with the plugin in it.  Its args are settings between commas:
 *
 *   gateway=HOST:PORT   where clients find this node's gateway, for those whose
 *                       node goes; also by the call Gateway of "chat-world"
 *   linger=MS           how long a user stays without a connection (600000)
 */
#include <hardtack/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "door.h"
#include "world.h"

static bool number(const char *text, uint32_t *ret)
{
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || n > 86400000) {
        return false;
    }
    *ret = (uint32_t)n;
    return true;
}

/* One setting; args is ours to cut. */
static bool set(struct world_config *config, char *word)
{
    char *value = strchr(word, '=');

    if (value == NULL) {
        return false;
    }
    *value++ = '\0';
    if (strcmp(word, "gateway") == 0) {
        config->gateway = value;
        return strlen(value) < 256;
    }
    return strcmp(word, "linger") == 0 && number(value, &config->linger_ms);
}

static ht_err chat_start(ht_node *node, const char *args)
{
    struct world_config config = {.gateway = "", .linger_ms = 600000};
    char *copy = strdup(args), *rest = copy, *word;
    ht_ref world = {0, 0};
    ht_err err = copy != NULL ? HT_OK : HT_ENOMEM;

    while (err == HT_OK && (word = strsep(&rest, ",")) != NULL) {
        if (word[0] != '\0' && !set(&config, word)) {
            ht_node_log(node, HT_LOG_ERROR, "CHAT-ARGS",
                        "setting=\"%s\" text=\"gateway=HOST:PORT or "
                        "linger=MS is expected\"",
                        word);
            err = HT_EINVAL;
        }
    }
    if (err == HT_OK) {
        err = world_start(node, &config, &world);
    }
    if (err == HT_OK) {
        err = door_start(node, world);
    }
    free(copy);
    return err;
}

HT_PLUGIN = {HT_PLUGIN_ABI, "chat", chat_start, NULL};
