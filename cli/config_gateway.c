/* SPDX-License-Identifier: Apache-2.0 */
/* config_gateway.c - the lists of [gateway] and [allow NAME], as arrays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/config.h"

static const char *next_word(const char *text, size_t *ret_len)
{
    text += strspn(text, ", \t");
    *ret_len = strcspn(text, ",");
    while (*ret_len > 0 && strchr(" \t", text[*ret_len - 1]) != NULL) {
        (*ret_len)--;
    }
    return text;
}

/* text NULL: none. */
static size_t count_words(const char *text)
{
    size_t count = 0;
    size_t len = 0;

    while (text != NULL) {
        text = next_word(text, &len);
        if (len == 0) {
            break;
        }
        text += len;
        count++;
    }
    return count;
}

/* Copies of all words to *at, which moves on. */
static bool
copy_words(struct config *config, const char *text, const char ***at)
{
    char word[CONFIG_LINE_MAX + 1];
    size_t len = 0;

    while (text != NULL) {
        text = next_word(text, &len);
        if (len == 0) {
            break;
        }
        (void)snprintf(word, sizeof(word), "%.*s", (int)len, text);
        **at = config_string(config, word);
        if (**at == NULL) {
            return false;
        }
        (*at)++;
        text += len;
    }
    return true;
}

static bool allocate(struct config *config)
{
    size_t rules = 0;

    for (size_t i = 0; i < config->allows_count; i++) {
        rules += count_words(config->allows[i].targets);
    }
    free(config->word_array);
    free(config->rule_array);
    config->word_array =
        calloc(count_words(config->gateway_public) +
                   count_words(config->gateway_origins) + rules + 1,
               sizeof(const char *));
    config->rule_array = calloc(rules + 1, sizeof(ht_gateway_rule));
    return config->word_array != NULL && config->rule_array != NULL;
}

/* Each word of an [allow] is one rule with its claim. */
static bool add_rules(struct config *config,
                      const struct config_allow *allow,
                      const char ***at)
{
    const char **word = *at;

    if (!copy_words(config, allow->targets, at)) {
        return false;
    }
    for (; word != *at; word++) {
        ht_gateway_rule *rule =
            &config->rule_array[config->gateway.rules_count++];

        rule->claim = allow->claim;
        rule->target = *word;
    }
    return true;
}

ht_err config_finish_gateway(struct config *config)
{
    ht_gateway_config *gateway = &config->gateway;
    const char **at;

    if (!allocate(config)) {
        return HT_ENOMEM;
    }
    at = config->word_array;
    gateway->public_targets = at;
    if (!copy_words(config, config->gateway_public, &at)) {
        return HT_ENOMEM;
    }
    gateway->public_targets_count = (size_t)(at - gateway->public_targets);
    gateway->origins = at;
    if (!copy_words(config, config->gateway_origins, &at)) {
        return HT_ENOMEM;
    }
    gateway->origins_count = (size_t)(at - gateway->origins);
    gateway->rules = config->rule_array;
    gateway->rules_count = 0;
    for (size_t i = 0; i < config->allows_count; i++) {
        if (!add_rules(config, &config->allows[i], &at)) {
            return HT_ENOMEM;
        }
    }
    return HT_OK;
}
