/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - standard output: one JSON object a line.
 *
 * Thread: any; lines are whole.  Each function takes the json_t it is given.
 */
#ifndef INTEROP_REPORT_H
#define INTEROP_REPORT_H

#include <jansson.h>
#include <stddef.h>

void report(json_t *line);
/** A command's result, or its error. */
void report_value(const char *id, json_t *value);
void report_error(const char *id, const char *error);
/** What an actor received; args is an array of texts. kind: "cast", "call". */
void report_message(const char *kind,
                    const char *actor,
                    const char *variant,
                    json_t *args);

#endif /* INTEROP_REPORT_H */
