/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - the log of `hardtack start`: one line a message on stderr, as
 * key=value pairs or as JSON, each written with one write().
 *
 * Thread: any.  The level and format may change while the node runs.
 */
#ifndef CLI_LOG_H
#define CLI_LOG_H

#include <stdatomic.h>

#include <hardtack.h>

#include "cli/setting.h"

struct logger {
    _Atomic int level;
    _Atomic int format;
    int fd;
};

void logger_init(struct logger *logger,
                 ht_log_level level,
                 enum log_format format);

/* An ht_log_fn; arg is a struct logger. */
void logger_write(ht_log_level level,
                  const char *id,
                  const char *text,
                  void *arg);

void logger_line(struct logger *logger,
                 ht_log_level level,
                 const char *id,
                 const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

/* One line, as logger_write() writes it; returns its length. time is seconds
 * and milliseconds.  For tests. */
size_t logger_format(char *buf,
                     size_t len,
                     enum log_format format,
                     long long seconds,
                     unsigned ms,
                     ht_log_level level,
                     const char *id,
                     const char *text);

/* "..." with what would end it or the line escaped; for values in a log line.
 * Returns buf. */
const char *logger_quote(char *buf, size_t len, const char *text);

#endif /* CLI_LOG_H */
