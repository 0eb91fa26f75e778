/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_survey.c - whatever nodes say of themselves and of each other, the
 * picture of the cluster stays within its bounds and can be shown.
 *
 * Input: rounds, each a byte for how many answers; an answer is a byte for the
 * kind, a byte for the length, and that many bytes of protobuf.
 */
#include <stdlib.h>
#include <string.h>

#include "survey/survey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t take(struct input *in)
{
    uint8_t byte = in->size > 0 ? *in->data : 0;

    in->data += in->size > 0;
    in->size -= in->size > 0;
    return byte;
}

static void answer(struct hti_survey *survey,
                   const char *name,
                   struct input *in,
                   struct hti_survey_now now)
{
    unsigned kind = take(in) % 4;
    size_t len = take(in);
    const uint8_t *at = in->data;
    Hardtack__Admin__LookReply *look;

    len = len < in->size ? len : in->size;
    in->data += len;
    in->size -= len;
    switch (kind) {
    case 0:
        hti_survey_gateway(
            survey, name,
            hardtack__dashboard__gateway_status__unpack(NULL, len, at), now);
        break;
    case 1:
        hti_survey_store(
            survey, name,
            hardtack__dashboard__store_answer__unpack(NULL, len, at), now);
        break;
    case 2:
        (void)hti_survey_lost(survey, name, "lost");
        break;
    default:
        look = hardtack__admin__look_reply__unpack(NULL, len, at);
        if (look != NULL) {
            hti_survey_looked(survey, name, look, now);
        }
        break;
    }
}

static void check(const struct hti_survey *survey,
                  uint64_t after,
                  struct hti_survey_now now)
{
    struct hti_view view;

    require(hti_survey_view(survey, after, now, &view) == HT_OK);
    require(view.reply.n_nodes <= HTI_SURVEY_NODES_MAX);
    require(view.reply.n_events <= HTI_SURVEY_EVENTS_MAX);
    require(view.reply.n_by_handled <= HTI_SURVEY_ACTORS_MAX);
    for (size_t i = 0; i < view.reply.n_nodes; i++) {
        require(view.reply.nodes[i]->n_links <= HTI_SURVEY_LINKS_MAX);
    }
    require(protobuf_c_message_get_packed_size(&view.reply.base) > 0);
    hti_view_fini(&view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct hti_survey_now now = {.ms = 1000, .unix_ms = 1000};
    struct hti_survey *survey = hti_survey_new("a", take(&in) % 2 != 0);
    const char *name;

    require(survey != NULL);
    while (in.size > 0) {
        hti_survey_begin(survey);
        while ((name = hti_survey_next(survey)) != NULL) {
            answer(survey, name, &in, now);
            answer(survey, name, &in, now);
        }
        now.ms += 100 * (uint64_t)take(&in) * take(&in);
        hti_survey_end(survey, now);
        check(survey, hti_survey_rounds(survey) / 2, now);
    }
    hti_survey_free(survey);
    return 0;
}
