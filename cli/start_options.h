/* SPDX-License-Identifier: Apache-2.0 */
/* start_options.h - the options of `hardtack start`, and the configuration that
 * comes of them and of the file.
 *
 * Options come after the file and win.  They are kept, so that the same
 * configuration can be made again when the file has changed (SIGHUP).
 */
#ifndef CLI_START_OPTIONS_H
#define CLI_START_OPTIONS_H

#include <argp.h>

#include "cli/config.h"

#define START_OVERRIDES_MAX 128

struct start_override {
    const char *section;
    const char *name;
    const char *value;
};

struct start_options {
    const char *file; /* NULL: search */
    bool no_file;
    struct start_override overrides[START_OVERRIDES_MAX];
    size_t overrides_count;
    const char *connect[CONFIG_PEERS_MAX];
    size_t connect_count;
    const char *load[CONFIG_PLUGINS_MAX];
    size_t load_count;
    const char *port_file;
    int ready_fd; /* -1: none */
};

extern const struct argp start_argp; /* its input is a struct start_options */

/* The finished configuration. HT_ECONFIG, HT_ENOENT, HT_EACCES, HT_EIO,
 * HT_ENOMEM with words in error. */
HT_MUSTUSE ht_err start_config(const struct start_options *start,
                               struct config *ret_config,
                               char error[CONFIG_ERROR_MAX]);

#endif /* CLI_START_OPTIONS_H */
