/* SPDX-License-Identifier: Apache-2.0 */
/* eval.h - the value of "10 + 5 * (2 - 1)": numbers, + - * /, parentheses.
 *
 * Shared by the server and the plugin.  Returns NULL and writes *ret_value, or
 * returns what is wrong, in words for the caller.
 */
#ifndef CALCULATOR_EVAL_H
#define CALCULATOR_EVAL_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* Parentheses and signs within each other; the parser is recursive, and its
 * input comes from the network. */
#define EVAL_DEPTH_MAX 64

struct eval {
    const char *at;
    unsigned depth;
    char error[80]; /* "" while all is well */
};

static inline double eval_sum(struct eval *e);

static inline double eval_fail(struct eval *e, const char *what)
{
    if (e->error[0] == '\0') {
        snprintf(e->error, sizeof(e->error), "%s", what);
    }
    return 0;
}

static inline char eval_peek(struct eval *e)
{
    while (isspace((unsigned char)*e->at)) {
        e->at++;
    }
    return *e->at;
}

static inline double eval_number(struct eval *e)
{
    char c = eval_peek(e);
    char *end = NULL;
    double value;

    if (c == '\0') {
        return eval_fail(e, "expression ends where a number is expected");
    }
    /* strtod() would take "inf", "nan" and hexadecimal too. */
    if (!isdigit((unsigned char)c) && c != '.') {
        snprintf(e->error, sizeof(e->error),
                 isprint((unsigned char)c) ? "expected a number, not '%c'"
                                           : "expected a number",
                 c);
        return 0;
    }
    if (c == '0' && (e->at[1] == 'x' || e->at[1] == 'X')) {
        return eval_fail(e, "numbers are decimal");
    }
    value = strtod(e->at, &end);
    if (end == e->at) {
        return eval_fail(e, "expected a number, not '.'");
    }
    e->at = end;
    return value;
}

/* A number, a sign and a factor, or a sum in parentheses. */
static inline double eval_factor(struct eval *e)
{
    char c = eval_peek(e);
    double value;

    if (c != '-' && c != '(') {
        return eval_number(e);
    }
    if (++e->depth > EVAL_DEPTH_MAX) {
        return eval_fail(e, "too many parentheses or signs");
    }
    e->at++;
    value = c == '-' ? -eval_factor(e) : eval_sum(e);
    if (c == '(' && e->error[0] == '\0' && eval_peek(e) != ')') {
        return eval_fail(e, "a parenthesis is not closed");
    }
    e->at += c == '(' && e->error[0] == '\0';
    e->depth--;
    return value;
}

static inline double eval_product(struct eval *e)
{
    double value = eval_factor(e);
    char op = '\0';

    while (e->error[0] == '\0' && ((op = eval_peek(e)) == '*' || op == '/')) {
        double right;

        e->at++;
        right = eval_factor(e);
        if (op == '/' && right == 0 && e->error[0] == '\0') {
            return eval_fail(e, "division by zero");
        }
        value = op == '*' ? value * right : value / right;
    }
    return value;
}

static inline double eval_sum(struct eval *e)
{
    double value = eval_product(e);
    char op = '\0';

    while (e->error[0] == '\0' && ((op = eval_peek(e)) == '+' || op == '-')) {
        double right;

        e->at++;
        right = eval_product(e);
        value = op == '+' ? value + right : value - right;
    }
    return value;
}

/* error is a buffer that the answer may point into. */
static inline const char *
evaluate(const char *text, double *ret_value, struct eval *e)
{
    double value;
    char c;

    *e = (struct eval){.at = text};
    value = eval_sum(e);
    c = eval_peek(e);
    if (e->error[0] == '\0' && c != '\0') {
        snprintf(e->error, sizeof(e->error),
                 isprint((unsigned char)c) ? "unknown operator '%c'"
                                           : "unknown operator",
                 c);
    }
    if (e->error[0] != '\0') {
        return e->error;
    }
    *ret_value = value;
    return NULL;
}

#endif /* CALCULATOR_EVAL_H */
