/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_ 4096

static const char *level_name(ht_log_level level)
{
    switch (level) {
    case HT_LOG_DEBUG:
        return "debug";
    case HT_LOG_INFO:
        return "info";
    case HT_LOG_WARN:
        return "warn";
    case HT_LOG_ERROR:
        return "error";
    }
    return "?";
}

void logger_init(struct logger *logger,
                 ht_log_level level,
                 enum log_format format)
{
    atomic_init(&logger->level, (int)(level != 0 ? level : HT_LOG_INFO));
    atomic_init(&logger->format, (int)format);
    logger->fd = STDERR_FILENO;
}

const char *logger_quote(char *buf, size_t len, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;

    if (len < 8) {
        return "";
    }
    buf[at++] = '"';
    for (; *text != '\0' && at + 6 < len; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            buf[at++] = '\\';
            buf[at++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            buf[at++] = '\\';
            buf[at++] = 'x';
            buf[at++] = hex[c >> 4];
            buf[at++] = hex[c & 15];
        } else {
            buf[at++] = (char)c;
        }
    }
    buf[at++] = '"';
    buf[at] = '\0';
    return buf;
}

/* The next "key=value" or "key=\"quoted value\"" of text, unescaped into value;
 * false at the end, or where the text is something else. */
static bool next_pair(const char **text,
                      const char **ret_key,
                      size_t *ret_key_len,
                      char *value,
                      size_t value_len)
{
    const char *at = *text + strspn(*text, " ");
    size_t key_len = strcspn(at, "= ");
    size_t n = 0;
    bool quoted;

    if (*at == '\0' || key_len == 0 || at[key_len] != '=') {
        return false;
    }
    *ret_key = at;
    *ret_key_len = key_len;
    at += key_len + 1;
    quoted = *at == '"';
    at += quoted;
    while (*at != '\0' && *at != (quoted ? '"' : ' ')) {
        at += quoted && *at == '\\' && (at[1] == '"' || at[1] == '\\');
        if (n + 1 < value_len) {
            value[n++] = *at;
        }
        at++;
    }
    at += quoted && *at == '"';
    value[n] = '\0';
    *text = at;
    return true;
}

static json_t *text_object(const char *text)
{
    json_t *object = json_object();
    const char *key;
    size_t key_len;
    char name[64];
    char value[1024];

    while (next_pair(&text, &key, &key_len, value, sizeof(value))) {
        snprintf(name, sizeof(name), "%.*s", (int)key_len, key);
        (void)json_object_set_new(object, name, json_string(value));
    }
    text += strspn(text, " ");
    if (*text != '\0') {
        (void)json_object_set_new(object, "text", json_string(text));
    }
    return object;
}

static size_t format_json(char *buf,
                          size_t len,
                          const char *time,
                          ht_log_level level,
                          const char *id,
                          const char *text)
{
    json_t *line = json_pack("{s:s, s:s, s:s}", "time", time, "level",
                             level_name(level), "event", id);
    json_t *pairs = text_object(text);
    size_t n;

    (void)json_object_update_missing(line, pairs);
    n = json_dumpb(line, buf, len - 1, JSON_COMPACT);
    json_decref(pairs);
    json_decref(line);
    if (n > len - 1) {
        /* Cut, it would not be JSON: say that much at least. */
        n = (size_t)snprintf(
            buf, len - 1,
            "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\","
            "\"text\":\"too long\"}",
            time, level_name(level), id);
    }
    buf[n] = '\n';
    return n + 1;
}

size_t logger_format(char *buf,
                     size_t len,
                     enum log_format format,
                     long long seconds,
                     unsigned ms,
                     ht_log_level level,
                     const char *id,
                     const char *text)
{
    time_t clock = (time_t)seconds;
    struct tm tm;
    char day[32];
    char stamp[48];
    int n;

    if (gmtime_r(&clock, &tm) == NULL ||
        strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        snprintf(day, sizeof(day), "%lld", seconds);
    }
    snprintf(stamp, sizeof(stamp), "%s.%03uZ", day, ms % 1000);
    if (format == LOG_FORMAT_JSON) {
        return format_json(buf, len, stamp, level, id, text);
    }
    n = snprintf(buf, len, "time=%s level=%s event=%s%s%s", stamp,
                 level_name(level), id, text[0] != '\0' ? " " : "", text);
    if (n < 0) {
        return 0;
    }
    if ((size_t)n > len - 2) {
        n = (int)(len - 2);
    }
    buf[n] = '\n';
    return (size_t)n + 1;
}

void logger_write(ht_log_level level,
                  const char *id,
                  const char *text,
                  void *arg)
{
    struct logger *logger = arg;
    char line[LINE_MAX_];
    struct timespec now;
    size_t len;

    if ((int)level <
        atomic_load_explicit(&logger->level, memory_order_relaxed)) {
        return;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    len = logger_format(line, sizeof(line),
                        (enum log_format)atomic_load_explicit(
                            &logger->format, memory_order_relaxed),
                        (long long)now.tv_sec,
                        (unsigned)(now.tv_nsec / 1000000), level, id, text);
    /* Nothing can be done about a log that cannot be written. */
    if (write(logger->fd, line, len) < 0) {
        return;
    }
}

void logger_line(struct logger *logger,
                 ht_log_level level,
                 const char *id,
                 const char *format,
                 ...)
{
    char text[2048];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    logger_write(level, id, text, logger);
}
