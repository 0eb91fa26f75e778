/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_config.c - any text is a configuration or an error that names the file;
 * and the same text is the same configuration.
 *
 * Input: the file.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void no_difference(void *arg, const char *section, const char *name)
{
    (void)arg;
    (void)section;
    (void)name;
    abort();
}

static ht_err parse(struct config *config, const uint8_t *data, size_t size)
{
    char error[CONFIG_ERROR_MAX];
    ht_err err;

    config_init(config);
    err = config_parse(config, "f", (const char *)data, size, error);
    require(err == HT_OK || strncmp(error, "f:", 2) == 0);
    require(strlen(error) < sizeof(error));
    if (err == HT_OK) {
        err = config_finish(config, error);
        require(err == HT_OK || error[0] != '\0');
    }
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config once;
    struct config again;
    ht_err err = parse(&once, data, size);

    require(parse(&again, data, size) == err);
    if (err == HT_OK) {
        require(once.node.name != NULL);
        require(once.node.peers_list_count == once.peers_count);
        config_differences(&once, &again, no_difference, NULL);
    }
    config_fini(&once);
    config_fini(&again);
    return 0;
}
