/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/kv_steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 6

struct line {
    char *words[WORDS_MAX];
    size_t count;
    size_t number; /* from 1 */
    char *error;
};

/* Always false. */
static bool fail(const struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool fail(const struct line *line, const char *format, ...)
{
    va_list args;
    int n =
        snprintf(line->error, KV_STEPS_ERROR_MAX, "line %zu: ", line->number);

    va_start(args, format);
    (void)vsnprintf(line->error + n, KV_STEPS_ERROR_MAX - (size_t)n, format,
                    args);
    va_end(args);
    return false;
}

/* ---- words --------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* In place: what is read is never behind what is written. *at is behind the
 * opening quote. */
static bool read_quoted(const struct line *line, char **at, char **ret_end)
{
    char *out = *at;
    char *in = *at;

    for (; *in != '"'; in++) {
        if (*in == '\0') {
            return fail(line, "a quote is not closed");
        }
        if (*in != '\\') {
            *out++ = *in;
            continue;
        }
        in++;
        if (*in == 'n') {
            *out++ = '\n';
        } else if (*in == '"' || *in == '\\') {
            *out++ = *in;
        } else {
            return fail(line, "after \\ stands \", \\ or n");
        }
    }
    *ret_end = out;
    *at = in + 1;
    return true;
}

/* The words of one line, which ends with a NUL; # begins a comment. */
static bool read_words(struct line *line, char *at)
{
    line->count = 0;
    for (;;) {
        char *end = at;

        while (is_blank(*at)) {
            at++;
        }
        if (*at == '\0' || *at == '#') {
            return true;
        }
        if (line->count == WORDS_MAX) {
            return fail(line, "too many words: one with blanks stands in "
                              "\"quotes\"");
        }
        if (*at == '"') {
            line->words[line->count] = ++at;
            if (!read_quoted(line, &at, &end)) {
                return false;
            }
            if (*at != '\0' && !is_blank(*at)) {
                return fail(line, "a blank is missing behind a quote");
            }
        } else {
            line->words[line->count] = at;
            while (*at != '\0' && !is_blank(*at)) {
                at++;
            }
            end = at;
        }
        line->count++;
        if (*at != '\0') {
            at++;
        }
        *end = '\0';
    }
}

/* ---- conditions ---------------------------------------------------------- */

static bool read_relation(const char *word, Hardtack__Kv__Relation *ret)
{
    static const struct {
        const char *word;
        Hardtack__Kv__Relation relation;
    } all[] = {{"=", HARDTACK__KV__RELATION__EQUAL},
               {"!=", HARDTACK__KV__RELATION__NOT_EQUAL},
               {"<", HARDTACK__KV__RELATION__LESS},
               {">", HARDTACK__KV__RELATION__GREATER}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(word, all[i].word) == 0) {
            *ret = all[i].relation;
            return true;
        }
    }
    return false;
}

/* if KEY revision = N, and its like. */
static bool read_number_condition(const struct line *line,
                                  Hardtack__Kv__Condition *condition)
{
    static const struct {
        const char *word;
        Hardtack__Kv__Condition__ToCase to;
    } all[] = {{"revision", HARDTACK__KV__CONDITION__TO_REVISION},
               {"create", HARDTACK__KV__CONDITION__TO_CREATE_REVISION},
               {"version", HARDTACK__KV__CONDITION__TO_VERSION},
               {"lease", HARDTACK__KV__CONDITION__TO_LEASE}};
    const char *text = line->words[4];
    char *end = NULL;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(line->words[2], all[i].word) == 0) {
            condition->to_case = all[i].to;
        }
    }
    if (condition->to_case == HARDTACK__KV__CONDITION__TO__NOT_SET) {
        return fail(line, "\"%s\": expected revision, version, create or lease",
                    line->words[2]);
    }
    if (!read_relation(line->words[3], &condition->is)) {
        return fail(line, "\"%s\": expected = != < or >", line->words[3]);
    }
    /* They share their place in the message. */
    condition->revision = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0') {
        return fail(line, "\"%s\": expected a number", text);
    }
    return true;
}

static bool read_exists(const struct line *line,
                        Hardtack__Kv__Condition *condition)
{
    condition->to_case = HARDTACK__KV__CONDITION__TO_EXISTS;
    condition->exists = strcmp(line->words[2], "exists") == 0;
    if (!condition->exists && strcmp(line->words[2], "absent") != 0) {
        return fail(line, "\"%s\": expected exists or absent", line->words[2]);
    }
    return true;
}

static bool read_value_condition(const struct line *line,
                                 Hardtack__Kv__Condition *condition)
{
    if (!read_relation(line->words[2], &condition->is)) {
        return fail(line, "\"%s\": expected = != < or >", line->words[2]);
    }
    condition->to_case = HARDTACK__KV__CONDITION__TO_VALUE;
    condition->value.data = (uint8_t *)line->words[3];
    condition->value.len = strlen(line->words[3]);
    return true;
}

static bool read_condition(struct kv_steps *steps, const struct line *line)
{
    Hardtack__Kv__Condition *condition;

    if (steps->in_else || steps->counts[0] != 0) {
        return fail(line, "conditions stand before all steps");
    }
    if (steps->conditions_count == KV_STEPS_MAX) {
        return fail(line, "more than %d conditions", KV_STEPS_MAX);
    }
    condition = &steps->conditions[steps->conditions_count];
    hardtack__kv__condition__init(condition);
    steps->condition_list[steps->conditions_count++] = condition;
    condition->key = line->words[1];
    switch (line->count) {
    case 3:
        return read_exists(line, condition);
    case 4:
        return read_value_condition(line, condition);
    case 5:
        return read_number_condition(line, condition);
    default:
        return fail(line, "expected if KEY = VALUE, if KEY exists, if KEY "
                          "absent or if KEY revision = N");
    }
}

/* ---- steps --------------------------------------------------------------- */

static void set_put(struct kv_step *step, const struct line *line)
{
    hardtack__kv__put_request__init(&step->put);
    step->put.key = line->words[1];
    step->put.data_case = HARDTACK__KV__PUT_REQUEST__DATA_VALUE;
    step->put.value.data = (uint8_t *)line->words[2];
    step->put.value.len = strlen(line->words[2]);
    step->op.op_case = HARDTACK__KV__OP__OP_PUT;
    step->op.put = &step->put;
}

static void set_del(struct kv_step *step, const struct line *line)
{
    hardtack__kv__del_request__init(&step->del);
    step->del.what_case = HARDTACK__KV__DEL_REQUEST__WHAT_KEY;
    step->del.key = line->words[1];
    step->op.op_case = HARDTACK__KV__OP__OP_DEL;
    step->op.del = &step->del;
}

static void set_get(struct kv_step *step, const struct line *line)
{
    hardtack__kv__get_request__init(&step->get);
    step->get.key = line->words[1];
    step->get.as_text = true;
    step->op.op_case = HARDTACK__KV__OP__OP_GET;
    step->op.get = &step->get;
}

static bool read_step(struct kv_steps *steps, const struct line *line)
{
    static const struct {
        const char *word;
        size_t words;
        const char *form;
        void (*set)(struct kv_step *step, const struct line *line);
    } all[] = {{"put", 3, "put KEY VALUE", set_put},
               {"del", 2, "del KEY", set_del},
               {"get", 2, "get KEY", set_get}};
    size_t *count = &steps->counts[steps->in_else];
    struct kv_step *step;

    if (*count == KV_STEPS_MAX) {
        return fail(line, "more than %d steps", KV_STEPS_MAX);
    }
    step = &steps->steps[steps->in_else][*count];
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(line->words[0], all[i].word) == 0) {
            if (line->count != all[i].words) {
                return fail(line, "expected %s", all[i].form);
            }
            hardtack__kv__op__init(&step->op);
            all[i].set(step, line);
            steps->lists[steps->in_else][(*count)++] = &step->op;
            return true;
        }
    }
    return fail(line, "\"%s\": expected if, put, del, get or else",
                line->words[0]);
}

static bool read_line(struct kv_steps *steps, struct line *line, char *text)
{
    if (!read_words(line, text)) {
        return false;
    }
    if (line->count == 0) {
        return true;
    }
    if (strcmp(line->words[0], "if") == 0) {
        return read_condition(steps, line);
    }
    if (strcmp(line->words[0], "else") == 0) {
        if (steps->in_else || line->count != 1) {
            return fail(line, "one `else`, alone in its line");
        }
        steps->in_else = true;
        return true;
    }
    return read_step(steps, line);
}

bool kv_steps_read(struct kv_steps *steps,
                   char *text,
                   char error[KV_STEPS_ERROR_MAX])
{
    struct line line = {.error = error};

    memset(steps, 0, sizeof(*steps));
    hardtack__kv__txn_request__init(&steps->request);
    while (text != NULL) {
        char *end = strchr(text, '\n');

        line.number++;
        if (end != NULL) {
            *end++ = '\0';
        }
        if (!read_line(steps, &line, text)) {
            return false;
        }
        text = end;
    }
    if (steps->counts[0] + steps->counts[1] == 0) {
        snprintf(error, KV_STEPS_ERROR_MAX, "there is no step to do");
        return false;
    }
    steps->request.conditions = steps->condition_list;
    steps->request.n_conditions = steps->conditions_count;
    steps->request.then = steps->lists[0];
    steps->request.n_then = steps->counts[0];
    steps->request.otherwise = steps->lists[1];
    steps->request.n_otherwise = steps->counts[1];
    return true;
}
