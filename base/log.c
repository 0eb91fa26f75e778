/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define LINE_BYTES_MAX 2048

static const char *level_name(ht_log_level level)
{
    switch (level) {
    case HT_LOG_DEBUG:
        return "debug";
    case HT_LOG_INFO:
        return "info";
    case HT_LOG_WARN:
        return "warning";
    case HT_LOG_ERROR:
        return "error";
    }
    return "?";
}

/* A program that gave no log function hears of trouble only.  One call, so that
 * lines of several threads do not mix. */
static void
log_stderr(ht_log_level level, const char *id, const char *text, void *arg)
{
    (void)arg;
    if (level >= HT_LOG_WARN) {
        fprintf(stderr, "hardtack: %s: %s %s\n", level_name(level), id, text);
    }
}

void hti_log_init(struct hti_log *log,
                  ht_log_fn fn,
                  void *arg,
                  ht_log_level level)
{
    log->fn = fn != NULL ? fn : log_stderr;
    log->arg = arg;
    log->level = level != 0 ? level : HT_LOG_INFO;
}

void hti_log(const struct hti_log *log,
             ht_log_level level,
             const char *id,
             const char *format,
             ...)
{
    va_list args;

    va_start(args, format);
    hti_log_v(log, level, id, format, args);
    va_end(args);
}

void hti_log_v(const struct hti_log *log,
               ht_log_level level,
               const char *id,
               const char *format,
               va_list args)
{
    char line[LINE_BYTES_MAX];
    int n;

    if (level < log->level) {
        return;
    }
    n = vsnprintf(line, sizeof line, format, args);
    if (n < 0) {
        line[0] = '\0';
    } else if ((size_t)n >= sizeof line) {
        memcpy(line + sizeof line - 4, "...", 4);
    }
    log->fn(level, id, line, log->arg);
}

/* One character of s as it goes between quotes, at most 4 bytes; returns how
 * many were written, and in *ret_used how many were read. */
static size_t
quote_one(char out[4], const uint8_t *s, size_t len, size_t *ret_used)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = hti_utf8_next(s, len);

    *ret_used = 1;
    if (n == 1 && (s[0] == '"' || s[0] == '\\')) {
        out[0] = '\\';
        out[1] = (char)s[0];
        return 2;
    }
    /* 0xc2 0x80..0x9f are the C1 controls, which a terminal may obey. */
    if ((n == 1 && s[0] >= 0x20 && s[0] < 0x7f) ||
        (n > 1 && !(s[0] == 0xc2 && s[1] < 0xa0))) {
        memcpy(out, s, n);
        *ret_used = n;
        return n;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex[s[0] >> 4];
    out[3] = hex[s[0] & 15];
    return 4;
}

const char *hti_quote(char *buf, size_t buf_len, const void *s, size_t len)
{
    const uint8_t *p = s;
    size_t at = 0, cut = 1; /* where a cut mark would fit */

    /* The quotes, a cut mark and the end must fit. */
    if (buf_len < 6) {
        if (buf_len > 0) {
            buf[0] = '\0';
        }
        return buf;
    }
    buf[at++] = '"';
    while (len > 0) {
        char out[4];
        size_t used, n = quote_one(out, p, len, &used);

        if (at + 3 + 2 <= buf_len) {
            cut = at;
        }
        if (at + n + 2 > buf_len) {
            memcpy(buf + cut, "...", 3);
            at = cut + 3;
            break;
        }
        memcpy(buf + at, out, n);
        at += n;
        p += used;
        len -= used;
    }
    buf[at++] = '"';
    buf[at] = '\0';
    return buf;
}

bool hti_log_allow(struct hti_log_limit *limit,
                   uint64_t now_ms,
                   unsigned burst,
                   unsigned *ret_suppressed)
{
    unsigned suppressed = 0;

    if (limit->count == 0 ||
        now_ms - limit->period_start_ms >= HTI_LOG_PERIOD_MS) {
        suppressed = limit->suppressed;
        limit->period_start_ms = now_ms;
        limit->count = 0;
        limit->suppressed = 0;
    }
    if (limit->count >= burst) {
        limit->suppressed++;
        return false;
    }
    limit->count++;
    *ret_suppressed = suppressed;
    return true;
}
