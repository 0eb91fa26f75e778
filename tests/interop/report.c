/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/interop/report.h"

#include <stdio.h>
#include <stdlib.h>

void report(json_t *line)
{
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;

    /* A report that cannot be made would leave the test waiting in vain. */
    if (text == NULL) {
        fputs("cpeer: a report is no JSON\n", stderr);
        abort();
    }
    flockfile(stdout);
    puts(text);
    fflush(stdout);
    funlockfile(stdout);
    free(text);
    json_decref(line);
}

void report_value(const char *id, json_t *value)
{
    report(json_pack("{s:s, s:b, s:o}", "id", id, "ok", 1, "value", value));
}

void report_error(const char *id, const char *error)
{
    report(json_pack("{s:s, s:b, s:s}", "id", id, "ok", 0, "error", error));
}

void report_message(const char *kind,
                    const char *actor,
                    const char *variant,
                    json_t *args)
{
    report(json_pack("{s:s, s:s, s:s, s:o}", "ev", kind, "actor", actor,
                     "variant", variant, "args", args));
}
