/* SPDX-License-Identifier: Apache-2.0 */
#include <hardtack/base.h>

#ifndef HT_VERSION
#error "HT_VERSION comes from the Makefile"
#endif

const char *ht_strerror(ht_err err)
{
    switch (err) {
    case HT_OK:
        return "success";
#define HT_ERR_TEXT(name, value, text)                                         \
    case name:                                                                 \
        return text;
        HT_ERR_LIST(HT_ERR_TEXT)
#undef HT_ERR_TEXT
    }
    return "unknown error";
}

const char *ht_errname(ht_err err)
{
    switch (err) {
    case HT_OK:
        return "HT_OK";
#define HT_ERR_NAME(name, value, text)                                         \
    case name:                                                                 \
        return #name;
        HT_ERR_LIST(HT_ERR_NAME)
#undef HT_ERR_NAME
    }
    return "HT_E?";
}

const char *ht_exit_name(ht_exit_kind kind)
{
    switch (kind) {
    case HT_EXIT_NORMAL:
        return "normal";
    case HT_EXIT_SHUTDOWN:
        return "shutdown";
    case HT_EXIT_DRAINED:
        return "drained";
    case HT_EXIT_KILLED:
        return "killed";
    case HT_EXIT_FAILED:
        return "failed";
    case HT_EXIT_NOPROC:
        return "noproc";
    case HT_EXIT_NOCONNECTION:
        return "noconnection";
    }
    return "unknown";
}

const char *ht_version(void)
{
    return HT_VERSION;
}
