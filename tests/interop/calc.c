/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/interop/calc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/calculator/calculator.pb-c.h"
#include "examples/calculator/eval.h"
#include "tests/interop/report.h"
#include "tests/interop/value.h"

struct calc {
    Calc__Calculator_Service service; /* first: handlers get its address */
    char label[];
};

/* ---- serving ------------------------------------------------------------- */

static void report_call(const Calc__Calculator_Service *service,
                        const char *method,
                        const char *type,
                        const ProtobufCMessage *message)
{
    const struct calc *calc = (const struct calc *)(const void *)service;
    struct value value = {
        .type = type_find(type),
        .count = 1,
        .message = (ProtobufCMessage *)(uintptr_t)message, /* only shown */
    };
    char *text = value_show(&value);

    report_message("call", calc->label, method, json_pack("[s]", text));
    free(text);
}

static void answer(double value, Calc__Result_Closure reply, void *call)
{
    Calc__Result result = CALC__RESULT__INIT;

    result.value = value;
    reply(&result, call);
}

static void calc_add(Calc__Calculator_Service *self,
                     const Calc__Operands *in,
                     Calc__Result_Closure reply,
                     void *call)
{
    report_call(self, "Add", "Operands", &in->base);
    answer(in->a + in->b, reply, call);
}

static void calc_sub(Calc__Calculator_Service *self,
                     const Calc__Operands *in,
                     Calc__Result_Closure reply,
                     void *call)
{
    report_call(self, "Sub", "Operands", &in->base);
    answer(in->a - in->b, reply, call);
}

static void calc_mul(Calc__Calculator_Service *self,
                     const Calc__Operands *in,
                     Calc__Result_Closure reply,
                     void *call)
{
    report_call(self, "Mul", "Operands", &in->base);
    answer(in->a * in->b, reply, call);
}

static void calc_div(Calc__Calculator_Service *self,
                     const Calc__Operands *in,
                     Calc__Result_Closure reply,
                     void *call)
{
    report_call(self, "Div", "Operands", &in->base);
    if (in->b == 0) {
        ht_fail(call, HT_EFAILED, "division by zero");
        return;
    }
    answer(in->a / in->b, reply, call);
}

static void calc_eval(Calc__Calculator_Service *self,
                      const Calc__Expression *in,
                      Calc__Result_Closure reply,
                      void *call)
{
    struct eval e;
    double value = 0;
    const char *error = evaluate(in->text, &value, &e);

    report_call(self, "Eval", "Expression", &in->base);
    if (error != NULL) {
        ht_fail(call, HT_EFAILED, error);
        return;
    }
    answer(value, reply, call);
}

static ht_err around_init(ht_actor *self, void *arg)
{
    ht_set_state(self, arg);
    return HT_OK;
}

static void around_terminate(ht_actor *self, const ht_exit *why)
{
    (void)why;
    free(ht_state(self));
}

ht_err spawn_calc(ht_node *node,
                  const char *label,
                  const ht_spawn_opts *opts,
                  ht_ref *ret_ref)
{
    static const ht_behavior around = {around_init, NULL, NULL,
                                       around_terminate};
    static const Calc__Calculator_Service service =
        CALC__CALCULATOR__INIT(calc_);
    struct calc *calc = calloc(1, sizeof(*calc) + strlen(label) + 1);
    ht_err err;

    if (calc == NULL) {
        return HT_ENOMEM;
    }
    calc->service = service;
    memcpy(calc->label, label, strlen(label) + 1);
    err = ht_spawn_service_opts(node, &calc->service.base, &around, calc, opts,
                                ret_ref);
    if (err) {
        free(calc);
    }
    return err;
}

/* ---- calling ------------------------------------------------------------- */

struct pending {
    ht_stub *stub;
    char id[];
};

const char *calc_error(ht_err err)
{
    return err == HT_ETIMEDOUT    ? "timeout"
           : err == HT_ENODEDOWN  ? "node down"
           : err == HT_ENOPROC    ? "no such actor"
           : err == HT_EFAILED    ? "failed"
           : err == HT_ECANCELLED ? "no reply"
           : err == HT_EARGS      ? "bad reply"
           : err == HT_EEXPIRED   ? "expired"
                                  : ht_strerror(err);
}

/* The shortest text that reads back as the same number. */
static json_t *number(double value)
{
    char text[40];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    return json_string(text);
}

static void on_answer(const ProtobufCMessage *message, void *data)
{
    struct pending *pending = data;
    const Calc__Result *result = (const Calc__Result *)(const void *)message;

    if (result != NULL) {
        report_value(pending->id, number(result->value));
    } else {
        report_error(pending->id, calc_error(ht_stub_error(NULL)));
    }
    ht_stub_free(pending->stub);
    free(pending);
}

static char *join_words(char *const *words, size_t count)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s%s", i != 0 ? " " : "", words[i]);
    }
    fclose(out);
    return text;
}

void calc_call(ht_node *node,
               ht_ref to,
               const char *id,
               const char *method,
               uint32_t timeout_ms,
               char *const *words,
               size_t count)
{
    const ProtobufCServiceDescriptor *calculator =
        &calc__calculator__descriptor;
    const ProtobufCMethodDescriptor *found =
        protobuf_c_service_descriptor_get_method_by_name(calculator, method);
    Calc__Operands operands = CALC__OPERANDS__INIT;
    Calc__Expression expression = CALC__EXPRESSION__INIT;
    bool eval = found != NULL && found->input == expression.base.descriptor;
    struct pending *pending;
    ProtobufCService *service;

    if (found == NULL || (!eval && count != 2)) {
        report_error(id, "no such variant");
        return;
    }
    pending = calloc(1, sizeof(*pending) + strlen(id) + 1);
    if (pending == NULL ||
        ht_stub_new(node, to, calculator, &pending->stub) != HT_OK) {
        free(pending);
        report_error(id, "out of memory");
        return;
    }
    memcpy(pending->id, id, strlen(id) + 1);
    ht_stub_set_timeout(pending->stub, timeout_ms);
    service = ht_stub_service(pending->stub);
    expression.text = join_words(words, count);
    if (!eval) {
        operands.a = strtod(words[0], NULL);
        operands.b = strtod(words[1], NULL);
    }
    service->invoke(service, (unsigned)(found - calculator->methods),
                    eval ? &expression.base : &operands.base, on_answer,
                    pending);
    free(expression.text);
}
