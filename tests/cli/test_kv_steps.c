/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a transaction: what it becomes, and the words for what is none.
 */
#include "tests/lib/check.h"

#include <stdlib.h>

#include "cli/kv_steps.h"

#define TXN(x) HARDTACK__KV__##x

struct text {
    struct kv_steps steps;
    char copy[1 << 16];
    char error[KV_STEPS_ERROR_MAX];
};

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct text));
    return *state == NULL;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static const Hardtack__Kv__TxnRequest *read_text(struct text *text,
                                                 const char *from)
{
    CHECK(strlen(from) < sizeof(text->copy));
    memcpy(text->copy, from, strlen(from) + 1);
    text->error[0] = '\0';
    if (!kv_steps_read(&text->steps, text->copy, text->error)) {
        fail_msg("%s", text->error);
    }
    return &text->steps.request;
}

static void error_is(struct text *text, const char *from, const char *want)
{
    memcpy(text->copy, from, strlen(from) + 1);
    text->error[0] = '\0';
    CHECK(!kv_steps_read(&text->steps, text->copy, text->error));
    assert_string_equal(text->error, want);
}

static void value_is(const ProtobufCBinaryData *value, const char *want)
{
    assert_int_equal(value->len, strlen(want));
    assert_memory_equal(value->data, want, value->len);
}

static void test_steps(void **state)
{
    const Hardtack__Kv__TxnRequest *txn =
        read_text(*state, "# a comment\n"
                          "if owner = me\n"
                          "\n"
                          "put a 1   # another\r\n"
                          "del b\n"
                          "get c\n"
                          "else\n"
                          "get owner");

    assert_int_equal(txn->n_conditions, 1);
    assert_int_equal(txn->n_then, 3);
    assert_int_equal(txn->n_otherwise, 1);
    assert_string_equal(txn->conditions[0]->key, "owner");
    value_is(&txn->conditions[0]->value, "me");
    assert_int_equal(txn->then[0]->op_case, TXN(OP__OP_PUT));
    assert_string_equal(txn->then[0]->put->key, "a");
    value_is(&txn->then[0]->put->value, "1");
    assert_int_equal(txn->then[1]->op_case, TXN(OP__OP_DEL));
    assert_string_equal(txn->then[1]->del->key, "b");
    assert_int_equal(txn->then[2]->op_case, TXN(OP__OP_GET));
    assert_string_equal(txn->then[2]->get->key, "c");
    assert_string_equal(txn->otherwise[0]->get->key, "owner");
}

static void test_conditions(void **state)
{
    const Hardtack__Kv__TxnRequest *txn =
        read_text(*state, "if a exists\nif b absent\nif c != x\nif d < x\n"
                          "if e revision = 12\nif f create > 3\n"
                          "if g version = 0\nif h lease != 7\nget a\n");
    Hardtack__Kv__Condition **all = txn->conditions;

    assert_int_equal(txn->n_conditions, 8);
    assert_int_equal(all[0]->to_case, TXN(CONDITION__TO_EXISTS));
    CHECK(all[0]->exists && !all[1]->exists);
    assert_int_equal(all[2]->is, TXN(RELATION__NOT_EQUAL));
    assert_int_equal(all[3]->is, TXN(RELATION__LESS));
    assert_int_equal(all[4]->to_case, TXN(CONDITION__TO_REVISION));
    assert_int_equal(all[4]->revision, 12);
    assert_int_equal(all[5]->to_case, TXN(CONDITION__TO_CREATE_REVISION));
    assert_int_equal(all[5]->create_revision, 3);
    assert_int_equal(all[5]->is, TXN(RELATION__GREATER));
    assert_int_equal(all[6]->to_case, TXN(CONDITION__TO_VERSION));
    assert_int_equal(all[7]->to_case, TXN(CONDITION__TO_LEASE));
    assert_int_equal(all[7]->lease, 7);
}

static void test_quotes(void **state)
{
    const Hardtack__Kv__TxnRequest *txn = read_text(
        *state, "put \"a b\" \"say \\\"hi\\\"\\n\\\\\"\nput empty \"\"\n"
                "put \"#\" x\n");

    assert_string_equal(txn->then[0]->put->key, "a b");
    value_is(&txn->then[0]->put->value, "say \"hi\"\n\\");
    value_is(&txn->then[1]->put->value, "");
    assert_string_equal(txn->then[2]->put->key, "#");
}

static void test_errors(void **state)
{
    error_is(*state, "", "there is no step to do");
    error_is(*state, "if a exists\n", "there is no step to do");
    error_is(*state, "jump a",
             "line 1: \"jump\": expected if, put, del, get "
             "or else");
    error_is(*state, "\nput a", "line 2: expected put KEY VALUE");
    error_is(*state, "get a b", "line 1: expected get KEY");
    error_is(*state, "put a \"b", "line 1: a quote is not closed");
    error_is(*state, "put a \"b\"c",
             "line 1: a blank is missing behind a "
             "quote");
    error_is(*state, "put a \"\\x\"", "line 1: after \\ stands \", \\ or n");
    error_is(*state, "put a b c d e f g",
             "line 1: too many words: one with blanks stands in \"quotes\"");
    error_is(*state, "get a\nif b exists",
             "line 2: conditions stand before all steps");
    error_is(*state, "else\nelse", "line 2: one `else`, alone in its line");
    error_is(*state, "if a is\nget a",
             "line 1: \"is\": expected exists or absent");
    error_is(*state, "if a ~ b", "line 1: \"~\": expected = != < or >");
    error_is(*state, "if a rev = 1",
             "line 1: \"rev\": expected revision, version, create or lease");
    error_is(*state, "if a revision = -1", "line 1: \"-1\": expected a number");
    error_is(*state, "if a",
             "line 1: expected if KEY = VALUE, if KEY exists, "
             "if KEY absent or if KEY revision = N");
}

static void repeat(char *to, const char *line, size_t times)
{
    size_t len = strlen(line);

    for (size_t i = 0; i < times; i++) {
        memcpy(to + i * len, line, len + 1);
    }
}

static void test_limits(void **state)
{
    static char text[1 << 15];

    repeat(text, "get a\n", KV_STEPS_MAX);
    assert_int_equal(read_text(*state, text)->n_then, KV_STEPS_MAX);
    repeat(text, "get a\n", KV_STEPS_MAX + 1);
    error_is(*state, text, "line 129: more than 128 steps");
    repeat(text, "if a exists\n", KV_STEPS_MAX + 1);
    error_is(*state, text, "line 129: more than 128 conditions");
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

CHECK_MAIN(CASE(test_steps),
           CASE(test_conditions),
           CASE(test_quotes),
           CASE(test_errors),
           CASE(test_limits))
