/* SPDX-License-Identifier: Apache-2.0 */
/* config_parse.c - a configuration's text in, a struct config out. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "cli/config_internal.h"

/* What parsing is in the middle of. */
struct parse {
    struct config *config;
    const char *file;
    const char *text; /* what the reader has yet to give */
    const char *end;
    unsigned line;
    enum section section;
    void *target;    /* where the section's fields are */
    uint64_t *given; /* its bits */
    ht_err err;
    char *error;
};

static int fail(struct parse *parse, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Returns 0, which stops the reader. Only the first mistake is told. */
static int fail(struct parse *parse, const char *format, ...)
{
    va_list args;
    int len;

    if (parse->err != HT_OK) {
        return 0;
    }
    parse->err = HT_ECONFIG;
    len = snprintf(parse->error, CONFIG_ERROR_MAX, "%s:%u: ", parse->file,
                   parse->line);
    if (len < 0 || len >= CONFIG_ERROR_MAX) {
        return 0;
    }
    va_start(args, format);
    (void)vsnprintf(parse->error + len, (size_t)(CONFIG_ERROR_MAX - len),
                    format, args);
    va_end(args);
    return 0;
}

static int no_memory(struct parse *parse)
{
    parse->err = HT_ENOMEM;
    snprintf(parse->error, CONFIG_ERROR_MAX, "%s", ht_strerror(HT_ENOMEM));
    return 0;
}

static enum section find_section(const char *name, size_t len)
{
    for (size_t i = 0; i < SECTION_NONE; i++) {
        if (strlen(config_sections[i].name) == len &&
            strncmp(config_sections[i].name, name, len) == 0) {
            return (enum section)i;
        }
    }
    return SECTION_NONE;
}

static bool label_is_taken(const struct config *config,
                           enum section section,
                           const char *label)
{
    for (size_t i = 0; i < config_item_count(config, section); i++) {
        if (strcmp(config_item(config, section, i)->label, label) == 0) {
            return true;
        }
    }
    return false;
}

static void open_labelled(struct parse *parse, const char *label)
{
    struct config_head *head;
    const char *copy;

    if (label_is_taken(parse->config, parse->section, label)) {
        fail(parse, "[%s %s] is there twice",
             config_sections[parse->section].name, label);
        return;
    }
    copy = config_string(parse->config, label);
    if (copy == NULL) {
        no_memory(parse);
        return;
    }
    head = config_add_item(parse->config, parse->section);
    if (head == NULL) {
        fail(parse, "too many [%s] sections, or no memory",
             config_sections[parse->section].name);
        return;
    }
    head->label = copy;
    head->line = parse->line;
    parse->target = head;
    parse->given = &head->given;
}

/* line is "[name]" or "[name label]", with whatever follows. */
static void open_section(struct parse *parse, char *line)
{
    char *end = strchr(line, ']');
    char *name = line + 1;
    char *label;
    size_t len;

    if (end == NULL) {
        fail(parse, "\"[\" without \"]\"");
        return;
    }
    *end = '\0';
    end++;
    end += strspn(end, " \t\r\n");
    if (*end != '\0' && *end != ';' && *end != '#') {
        fail(parse, "something follows \"]\"");
        return;
    }
    name += strspn(name, " \t");
    len = strcspn(name, " \t");
    label = name + len + strspn(name + len, " \t");
    for (char *tail = label + strlen(label);
         tail > label && (tail[-1] == ' ' || tail[-1] == '\t');) {
        *--tail = '\0';
    }
    parse->section = find_section(name, len);
    if (parse->section == SECTION_NONE) {
        fail(parse, "unknown section [%.*s]", (int)len, name);
    } else if (parse->section >= SECTION_LABELLED && *label == '\0') {
        fail(parse, "[%s] needs a name of its own: [%s NAME]",
             config_sections[parse->section].name,
             config_sections[parse->section].name);
    } else if (parse->section >= SECTION_LABELLED) {
        open_labelled(parse, label);
    } else if (*label != '\0') {
        fail(parse, "[%s] takes no name", config_sections[parse->section].name);
    } else {
        parse->target = parse->config;
        parse->given = &parse->config->given[parse->section];
    }
}

/* ---- settings ------------------------------------------------------------ */

/* Where else the setting would be right: the usual mistake. */
static const char *section_that_has(const char *name)
{
    for (size_t i = 0; i < config_settings_count; i++) {
        if (strcmp(config_settings[i].name, name) == 0) {
            return config_sections[config_settings[i].section].name;
        }
    }
    return NULL;
}

static int unknown_setting(struct parse *parse, const char *name)
{
    const char *other = section_that_has(name);

    if (strcmp(name, "cookie") == 0) {
        return fail(parse,
                    "a cookie does not belong in a configuration file; put it "
                    "into a file of its own and say [security] cookie_file");
    }
    if (other != NULL) {
        return fail(parse, "unknown setting \"%s\" in [%s]; it belongs in [%s]",
                    name, config_sections[parse->section].name, other);
    }
    return fail(parse, "unknown setting \"%s\" in [%s]", name,
                config_sections[parse->section].name);
}

static int read_value(struct parse *parse,
                      const struct setting *setting,
                      const char *value)
{
    const char *text = value;
    const char *expected;

    if (setting->type == SETTING_STRING) {
        text = config_string(parse->config, value);
        if (text == NULL) {
            return no_memory(parse);
        }
    }
    expected = setting_read(setting->type, text,
                            (char *)parse->target + setting->offset);
    if (expected != NULL) {
        return fail(parse, "%s = \"%s\": expected %s", setting->name, value,
                    expected);
    }
    return 1;
}

/* inih's callback.  The section is ours (open_section): inih cuts long ones and
 * does not mention empty ones. */
static int
on_setting(void *user, const char *section, const char *name, const char *value)
{
    struct parse *parse = user;
    const struct setting *setting;
    uint64_t bit;

    (void)section;
    if (parse->err != HT_OK) {
        return 0;
    }
    if (parse->section == SECTION_NONE) {
        return fail(parse, "setting \"%s\" comes before any [section]", name);
    }
    setting = config_find_setting(parse->section, name);
    if (setting == NULL) {
        return unknown_setting(parse, name);
    }
    bit = config_setting_bit(setting);
    if ((*parse->given & bit) != 0) {
        return fail(parse, "\"%s\" is given twice", name);
    }
    *parse->given |= bit;
    return read_value(parse, setting, value);
}

/* inih's reader: the next line, without its indentation (which inih would take
 * for the continuation of the line before). */
static char *next_line(char *buf, int size, void *stream)
{
    struct parse *parse = stream;
    const char *newline;
    size_t len;

    if (parse->err != HT_OK || parse->text >= parse->end) {
        return NULL;
    }
    parse->line++;
    newline = memchr(parse->text, '\n', (size_t)(parse->end - parse->text));
    len = (size_t)((newline != NULL ? newline : parse->end) - parse->text);
    if (memchr(parse->text, '\0', len) != NULL) {
        fail(parse, "a NUL byte");
        return NULL;
    }
    if (len > CONFIG_LINE_MAX || len + 2 > (size_t)size) {
        fail(parse, "line of more than %d characters", CONFIG_LINE_MAX);
        return NULL;
    }
    memcpy(buf, parse->text, len);
    buf[len] = '\0';
    parse->text += len + (newline != NULL);
    memmove(buf, buf + strspn(buf, " \t\r\v\f"),
            len + 1 - strspn(buf, " \t\r\v\f"));
    if (buf[0] == '[') {
        open_section(parse, buf);
        buf[0] = '\0'; /* seen to */
    }
    return buf;
}

ht_err config_parse(struct config *config,
                    const char *file,
                    const char *text,
                    size_t len,
                    char error[CONFIG_ERROR_MAX])
{
    struct parse parse = {
        .config = config,
        .file = file,
        .text = text,
        .end = text + len,
        .section = SECTION_NONE,
        .error = error,
    };
    int bad_line;

    error[0] = '\0';
    if (len > CONFIG_BYTES_MAX) {
        snprintf(error, CONFIG_ERROR_MAX, "%s: larger than 1 MiB", file);
        return HT_ECONFIG;
    }
    config->file = config_string(config, file);
    if (config->file == NULL) {
        config->file = "";
        return HT_ENOMEM;
    }
    bad_line = ini_parse_stream(next_line, &parse, on_setting, &parse);
    if (bad_line > 0 &&
        (parse.err == HT_OK || (unsigned)bad_line < parse.line)) {
        parse.err = HT_OK; /* an earlier line was no setting at all */
        parse.line = (unsigned)bad_line;
        fail(&parse, "expected a setting, \"name = value\"");
    } else if (bad_line < 0 && parse.err == HT_OK) {
        return HT_ENOMEM;
    }
    return parse.err;
}

/* ---- from a file, from the options --------------------------------------- */

ht_err config_load(struct config *config,
                   const char *path,
                   char error[CONFIG_ERROR_MAX])
{
    FILE *file = fopen(path, "re");
    char *text = malloc(CONFIG_BYTES_MAX + 1);
    size_t len;
    ht_err err = HT_ENOMEM;

    if (file == NULL) {
        err = errno == ENOENT   ? HT_ENOENT
              : errno == EACCES ? HT_EACCES
                                : HT_EIO;
        snprintf(error, CONFIG_ERROR_MAX,
                 "cannot read the configuration file %s: %s", path,
                 strerror(errno));
    } else if (text != NULL) {
        len = fread(text, 1, CONFIG_BYTES_MAX + 1, file);
        if (ferror(file)) {
            err = HT_EIO;
            snprintf(error, CONFIG_ERROR_MAX,
                     "cannot read the configuration file %s: %s", path,
                     strerror(errno));
        } else {
            err = config_parse(config, path, text, len, error);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    free(text);
    return err;
}

ht_err config_set(struct config *config,
                  const char *section,
                  const char *name,
                  const char *value,
                  char error[CONFIG_ERROR_MAX])
{
    struct parse parse = {
        .config = config,
        .file = "options",
        .section = find_section(section, strlen(section)),
        .target = config,
        .error = error,
    };
    const struct setting *setting;

    assert(parse.section < SECTION_LABELLED);
    setting = config_find_setting(parse.section, name);
    assert(setting != NULL);
    (void)read_value(&parse, setting, value);
    return parse.err;
}
