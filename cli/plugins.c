/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plugins.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static ht_err load_one(const struct config_plugin *plugin,
                       const ht_plugin **ret_plugin,
                       char *error)
{
    char path[4096];
    const ht_plugin *loaded;
    void *handle;

    /* Without a slash, dlopen() would search the library path instead of
     * looking where the user is. */
    snprintf(path, sizeof(path), "%s%s",
             strchr(plugin->path, '/') == NULL ? "./" : "", plugin->path);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        snprintf(error, CONFIG_ERROR_MAX, "cannot load the plugin %s: %s",
                 plugin->path, dlerror());
        return HT_ECONFIG;
    }
    loaded = dlsym(handle, "ht_plugin_main");
    if (loaded == NULL) {
        snprintf(error, CONFIG_ERROR_MAX,
                 "%s is no Hardtack plugin: it exports no ht_plugin_main",
                 plugin->path);
    } else if (loaded->abi != HT_PLUGIN_ABI) {
        snprintf(
            error, CONFIG_ERROR_MAX,
            "the plugin %s was built for plugin interface %u; this program "
            "has %u",
            plugin->path, loaded->abi, (unsigned)HT_PLUGIN_ABI);
    } else if (loaded->start == NULL || loaded->name == NULL) {
        snprintf(error, CONFIG_ERROR_MAX,
                 "the plugin %s has no name or no start function",
                 plugin->path);
    } else {
        *ret_plugin = loaded;
        return HT_OK;
    }
    (void)dlclose(handle);
    return HT_ECONFIG;
}

ht_err plugins_load(struct plugins *plugins,
                    const struct config *config,
                    char error[CONFIG_ERROR_MAX])
{
    ht_err err = HT_OK;

    memset(plugins, 0, sizeof(*plugins));
    for (size_t i = 0; err == HT_OK && i < config->plugins_count; i++) {
        err = load_one(&config->plugins[i], &plugins->loaded[i], error);
        plugins->count += err == HT_OK;
    }
    return err;
}

ht_err plugins_start(struct plugins *plugins,
                     const struct config *config,
                     ht_node *node,
                     struct logger *logger,
                     char error[CONFIG_ERROR_MAX])
{
    for (size_t i = 0; i < plugins->count; i++) {
        const ht_plugin *plugin = plugins->loaded[i];
        const char *args = config->plugins[i].args;
        char quoted[1024];
        ht_err err = plugin->start(node, args != NULL ? args : "");

        if (err != HT_OK) {
            snprintf(error, CONFIG_ERROR_MAX,
                     "the plugin %s (%s) did not start: %s", plugin->name,
                     config->plugins[i].path, ht_strerror(err));
            return err;
        }
        plugins->started++;
        logger_line(
            logger, HT_LOG_INFO, "HT-PLUGIN-STARTED", "plugin=%s path=%s",
            plugin->name,
            logger_quote(quoted, sizeof(quoted), config->plugins[i].path));
    }
    return HT_OK;
}

void plugins_stop(struct plugins *plugins)
{
    while (plugins->started > 0) {
        const ht_plugin *plugin = plugins->loaded[--plugins->started];

        if (plugin->stop != NULL) {
            plugin->stop();
        }
    }
}
