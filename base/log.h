/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - structured log lines with a stable id.
 *
 * Library code returns errors and does not log; whoever handles an error logs
 * it, once.  The text is key=value pairs; strings that a peer chose go through
 * hti_quote(), so that no peer writes lines of its own into a log.
 *
 * Thread: any.  Lifetime: the log outlives everything that was given it.
 */
#ifndef HTI_BASE_LOG_H
#define HTI_BASE_LOG_H

#include <hardtack/node.h>
#include <stdarg.h>

struct hti_log {
    ht_log_fn fn; /* never NULL */
    void *arg;
    ht_log_level level;
};

/* fn NULL: warnings and errors to stderr; level 0: info. */
void hti_log_init(struct hti_log *log,
                  ht_log_fn fn,
                  void *arg,
                  ht_log_level level);

void hti_log(const struct hti_log *log,
             ht_log_level level,
             const char *id,
             const char *format,
             ...) __attribute__((format(printf, 4, 5)));
void hti_log_v(const struct hti_log *log,
               ht_log_level level,
               const char *id,
               const char *format,
               va_list args) __attribute__((format(printf, 4, 0)));

/* Write s as a quoted, escaped, cut string: "..." with \xNN for what is not
 * printable ASCII or valid UTF-8.  Returns buf. */
const char *hti_quote(char *buf, size_t buf_len, const void *s, size_t len);

/* At most burst lines (1 or more) in HTI_LOG_PERIOD_MS; the first line of a new
 * period says how many were left out.  For what a stranger can cause. */
#define HTI_LOG_PERIOD_MS 1000
struct hti_log_limit {
    uint64_t period_start_ms;
    unsigned count;
    unsigned suppressed;
};
bool hti_log_allow(struct hti_log_limit *limit,
                   uint64_t now_ms,
                   unsigned burst,
                   unsigned *ret_suppressed);

#endif /* HTI_BASE_LOG_H */
