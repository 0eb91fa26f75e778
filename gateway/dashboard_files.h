/* SPDX-License-Identifier: Apache-2.0 */
/* dashboard_files.h - the files of gateway/dashboard/, built in. */
#ifndef GW_DASHBOARD_FILES_H
#define GW_DASHBOARD_FILES_H

struct gw_dashboard_file {
    const char *path, *type;
    const char *data, *end;
};

/* The last one's path is NULL. */
extern const struct gw_dashboard_file gw_dashboard_files[];

#endif /* GW_DASHBOARD_FILES_H */
