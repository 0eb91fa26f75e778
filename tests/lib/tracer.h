/* SPDX-License-Identifier: Apache-2.0 */
/* tracer.h - an actor that writes down, in order, what happens to it, and does
 * what a test tells it to, as a turn of its own.
 *
 * The trace is words with a space after each:
 *   name(args)          a cast       ?name(args)        a call
 *   reply(HT_OK:data)   an answer    reply(HT_EFAILED:reason)
 *   down(killed:text)   exit(..)     timer(arg)  writable  node(name)
 *   end(normal:text)    the terminate hook
 *
 * Thread: the node's; for single-threaded nodes.
 */
#ifndef TESTS_LIB_TRACER_H
#define TESTS_LIB_TRACER_H

#include "actor/runtime.h"

#define TRACER_CALLS_MAX 64

struct tracer {
    ht_ref ref;
    char trace[4096];
    ht_call calls[TRACER_CALLS_MAX]; /* open ones, in order */
    unsigned calls_count;
    bool echo;       /* answer calls with their args */
    ht_err init_err; /* what init returns */
    ht_err ret;      /* what handle and on_event return */
    ht_ref from;     /* of the last message */
    uint64_t number; /* whatever a step made last: a monitor, timer, call */
    ht_err err;      /* what a step got */
    void (*on_terminate)(ht_actor *self, struct tracer *tracer);
};

extern const ht_behavior tracer_behavior;

/* Spawn with opts (may be NULL) and run what that makes runnable. */
ht_ref
tracer_spawn(ht_node *node, struct tracer *tracer, const ht_spawn_opts *o);
/* Queue fn(self, arg) as a turn of the tracer; arg is handed on as it is. */
void tracer_do(ht_node *node,
               struct tracer *tracer,
               void (*fn)(ht_actor *self, void *arg),
               const void *arg);
/* An ht_reply_fn that traces; its arg is the tracer. */
void tracer_on_reply(ht_actor *self, const ht_reply *reply, void *arg);
/* Write a word into the trace. */
void tracer_note(struct tracer *tracer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Compare the trace, and begin a new one. */
void tracer_check_(struct tracer *tracer,
                   const char *want,
                   const char *file,
                   int line);
#define TRACER_CHECK(tracer, want)                                             \
    tracer_check_(tracer, want, __FILE__, __LINE__)

#endif /* TESTS_LIB_TRACER_H */
