/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/dashboard_files.h"

#include <stddef.h>

/* The assembler reads the file: C17 has no way of its own. */
#define FILE_OF(name, suffix)                                                  \
    __asm__(".section .rodata\n"                                               \
            ".hidden gw_" #name "_" #suffix "\n"                               \
            ".global gw_" #name "_" #suffix "\n"                               \
            ".hidden gw_" #name "_" #suffix "_end\n"                           \
            ".global gw_" #name "_" #suffix "_end\n"                           \
            "gw_" #name "_" #suffix ":\n"                                      \
            ".incbin \"gateway/dashboard/" #name "." #suffix "\"\n"            \
            "gw_" #name "_" #suffix "_end:\n"                                  \
            ".byte 0\n"                                                        \
            ".previous\n");                                                    \
    extern const char gw_##name##_##suffix[], gw_##name##_##suffix##_end[]

FILE_OF(dashboard, html);
FILE_OF(dashboard, css);
FILE_OF(dashboard, js);

const struct gw_dashboard_file gw_dashboard_files[] = {
    {"/dashboard", "text/html; charset=utf-8", gw_dashboard_html,
     gw_dashboard_html_end},
    {"/dashboard.css", "text/css; charset=utf-8", gw_dashboard_css,
     gw_dashboard_css_end},
    {"/dashboard.js", "text/javascript; charset=utf-8", gw_dashboard_js,
     gw_dashboard_js_end},
    {NULL, NULL, NULL, NULL},
};
