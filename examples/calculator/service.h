/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - the handlers of calc.Calculator, shared by the server and the
 * plugin.  A handler answers by its closure, or with ht_fail(); either way the
 * actor lives on. */
#ifndef CALCULATOR_SERVICE_H
#define CALCULATOR_SERVICE_H

#include <hardtack.h>

#include <stdio.h>
#include <string.h>

#include "calculator.pb-c.h"
#include "eval.h"

static inline void answer(double value, Calc__Result_Closure reply, void *call)
{
    Calc__Result out = CALC__RESULT__INIT;

    out.value = value;
    reply(&out, call);
}

static inline void calculator__add(Calc__Calculator_Service *self,
                                   const Calc__Operands *in,
                                   Calc__Result_Closure reply,
                                   void *call)
{
    (void)self;
    answer(in->a + in->b, reply, call);
}

static inline void calculator__sub(Calc__Calculator_Service *self,
                                   const Calc__Operands *in,
                                   Calc__Result_Closure reply,
                                   void *call)
{
    (void)self;
    answer(in->a - in->b, reply, call);
}

static inline void calculator__mul(Calc__Calculator_Service *self,
                                   const Calc__Operands *in,
                                   Calc__Result_Closure reply,
                                   void *call)
{
    (void)self;
    answer(in->a * in->b, reply, call);
}

static inline void calculator__div(Calc__Calculator_Service *self,
                                   const Calc__Operands *in,
                                   Calc__Result_Closure reply,
                                   void *call)
{
    (void)self;
    if (in->b == 0) {
        ht_fail(call, HT_EFAILED, "division by zero");
        return;
    }
    answer(in->a / in->b, reply, call);
}

static inline void calculator__eval(Calc__Calculator_Service *self,
                                    const Calc__Expression *in,
                                    Calc__Result_Closure reply,
                                    void *call)
{
    struct eval e;
    double value = 0;
    const char *error = evaluate(in->text, &value, &e);

    (void)self;
    if (error != NULL) {
        ht_fail(call, HT_EFAILED, error);
        return;
    }
    answer(value, reply, call);
}

/* What is no method of the service: a plain text, such as a WebSocket client
 * sends, is an expression, and its answer is a text. */
static inline ht_err
calculator_text(ht_actor *self, const ht_msg *msg, ht_call call)
{
    ht_bytes args = ht_msg_args(msg);
    char text[1024];
    struct eval e;
    double value = 0;
    const char *error = "too long";

    if (ht_msg_variant(msg)[0] != '\0' || call.id == 0)
        return HT_ENOVARIANT;
    if (args.len < sizeof(text)) {
        snprintf(text, sizeof(text), "%.*s", (int)args.len,
                 args.len > 0 ? (const char *)args.data : "");
        error = evaluate(text, &value, &e);
    }
    if (error != NULL) {
        ht_reply_error(self, call, HT_EFAILED, error);
        return HT_OK;
    }
    snprintf(text, sizeof(text), "%.15g", value);
    ht_reply_ok(self, call, text, strlen(text));
    return HT_OK;
}

#endif /* CALCULATOR_SERVICE_H */
