/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/watch_json.h"

#include <jansson.h>
#include <stdlib.h>

#include "json/base64.h"

static json_t *number(uint64_t value)
{
    return json_sprintf("%llu", (unsigned long long)value);
}

static json_t *bytes(ProtobufCBinaryData data)
{
    char *text = hti_base64_encode(data.data, data.len);
    json_t *json = text == NULL ? NULL : json_string_nocheck(text);

    free(text);
    return json;
}

static json_t *kind_json(Hardtack__Kv__Event__Kind kind)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &hardtack__kv__event__kind__descriptor, (int)kind);

    return json_string_nocheck(value == NULL ? "" : value->name);
}

/* Takes what it is given; NULL if any of it is. */
static json_t *event_json(const Event *event)
{
    const KeyValue *kv = event->kv;
    json_t *inner =
        json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "key", kv->key,
                  "value", bytes(kv->value), "text", kv->text,
                  "create_revision", number(kv->create_revision), "revision",
                  number(kv->revision), "version", number(kv->version), "lease",
                  number(kv->lease), "ttl_ms", number(kv->ttl_ms));

    return json_pack("{s:o, s:o}", "kind", kind_json(event->kind), "kv", inner);
}

char *hti_kv_events_json(const Events *events)
{
    json_t *list = json_array();
    json_t *all;
    char *text = NULL;

    for (size_t i = 0; i < events->n_events; i++) {
        if (json_array_append_new(list, event_json(events->events[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    all = json_pack("{s:o, s:o, s:o, s:o, s:s}", "watch", number(events->watch),
                    "from_revision", number(events->from_revision),
                    "next_revision", number(events->next_revision), "events",
                    list, "ended", events->ended);
    if (all != NULL) {
        text = json_dumps(all, JSON_COMPACT);
        json_decref(all);
    }
    return text;
}
