/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "gateway/login.h"

#define OWN_PREFIX "hardtack."

struct rule {
    const char *claim; /* NULL: anybody; "*": any token */
    const char *target;
    size_t len;     /* of target, without a `*` at its end */
    bool any_rest;  /* it had one */
    unsigned verbs; /* enum gw_verb */
};

struct gw_policy {
    struct rule *rules;
    size_t count;
    char *text; /* what the rules point into */
};

/* ---- making -------------------------------------------------------------- */

/* The words of a target; NULL: it is none. */
static const char *read_verbs(const char *target, unsigned *ret_verbs)
{
    static const struct {
        const char *word;
        unsigned verbs;
    } words[] = {{"send ", GW_SEND}, {"subscribe ", GW_SUBSCRIBE}};

    *ret_verbs = GW_SEND | GW_SUBSCRIBE;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i].word);

        if (strncmp(target, words[i].word, len) == 0) {
            *ret_verbs = words[i].verbs;
            target += len;
            target += strspn(target, " ");
            break;
        }
    }
    return target;
}

static bool is_good(const char *text)
{
    const char *star = strchr(text, '*');

    return text[0] != '\0' && strlen(text) <= 600 &&
           strpbrk(text, " \t\r\n") == NULL &&
           (star == NULL || star[1] == '\0') &&
           hti_utf8_valid(text, strlen(text));
}

/* claim NULL: anybody.  Strings are copied to *at. */
static bool
add(struct gw_policy *policy, const char *claim, const char *target, char **at)
{
    struct rule *rule = &policy->rules[policy->count];
    const char *rest;

    if (target == NULL || (claim != NULL && claim[0] == '\0')) {
        return false;
    }
    rest = read_verbs(target, &rule->verbs);
    if (!is_good(rest)) {
        return false;
    }
    rule->target = *at;
    *at = stpcpy(*at, rest) + 1;
    rule->len = strlen(rest);
    rule->any_rest = rest[rule->len - 1] == '*';
    rule->len -= rule->any_rest;
    if (claim != NULL) {
        rule->claim = *at;
        *at = stpcpy(*at, claim) + 1;
    }
    policy->count++;
    return true;
}

static size_t text_size(const ht_gateway_config *config)
{
    size_t size = 1;

    for (size_t i = 0; i < config->public_targets_count; i++) {
        const char *target = config->public_targets[i];
        size += target != NULL ? strlen(target) + 1 : 0;
    }
    for (size_t i = 0; i < config->rules_count; i++) {
        const ht_gateway_rule *rule = &config->rules[i];
        size += rule->claim != NULL ? strlen(rule->claim) + 1 : 0;
        size += rule->target != NULL ? strlen(rule->target) + 1 : 0;
    }
    return size;
}

/* false: *ret_bad is the target that is wrong. */
static bool add_all(struct gw_policy *policy,
                    const ht_gateway_config *config,
                    const char **ret_bad)
{
    char *at = policy->text;

    for (size_t i = 0; i < config->public_targets_count; i++) {
        if (!add(policy, NULL, config->public_targets[i], &at)) {
            *ret_bad = config->public_targets[i];
            return false;
        }
    }
    for (size_t i = 0; i < config->rules_count; i++) {
        const ht_gateway_rule *rule = &config->rules[i];

        if (!add(policy, rule->claim != NULL ? rule->claim : "", rule->target,
                 &at)) {
            *ret_bad = rule->target;
            return false;
        }
    }
    return true;
}

ht_err gw_policy_new(const ht_gateway_config *config,
                     struct gw_policy **ret_policy,
                     char *why,
                     size_t why_len)
{
    size_t count = config->public_targets_count + config->rules_count;
    struct gw_policy *policy;
    const char *bad = NULL;

    if (count > GW_RULES_MAX) {
        snprintf(why, why_len, "more than %d rules", GW_RULES_MAX);
        return HT_ECONFIG;
    }
    policy = calloc(1, sizeof(*policy));
    if (policy != NULL) {
        policy->rules = calloc(count + 1, sizeof(*policy->rules));
        policy->text = malloc(text_size(config));
    }
    if (policy == NULL || policy->rules == NULL || policy->text == NULL) {
        gw_policy_free(policy);
        snprintf(why, why_len, "out of memory");
        return HT_ENOMEM;
    }
    if (!add_all(policy, config, &bad)) {
        gw_policy_free(policy);
        snprintf(why, why_len,
                 "\"%s\": expected a claim, and NAME, NODE:NAME or group:NAME, "
                 "with * at its end or not at all",
                 bad != NULL ? bad : "");
        return HT_ECONFIG;
    }
    *ret_policy = policy;
    return HT_OK;
}

void gw_policy_free(struct gw_policy *policy)
{
    if (policy != NULL) {
        free(policy->rules);
        free(policy->text);
        free(policy);
    }
}

/* ---- asking -------------------------------------------------------------- */

/* What is behind "group:" or the node. */
static const char *name_of(const char *target)
{
    const char *colon = strchr(target, ':');

    return colon != NULL ? colon + 1 : target;
}

static bool matches(const struct rule *rule, const char *target)
{
    if (!rule->any_rest) {
        return strcmp(rule->target, target) == 0;
    }
    return strncmp(rule->target, target, rule->len) == 0 &&
           strncmp(name_of(target), OWN_PREFIX, strlen(OWN_PREFIX)) != 0;
}

static bool applies(const struct rule *rule, const struct gw_identity *identity)
{
    return rule->claim == NULL ||
           (identity != NULL &&
            (strcmp(rule->claim, "*") == 0 ||
             ht_token_claims(&identity->token, rule->claim)));
}

bool gw_policy_allows(const struct gw_policy *policy,
                      const struct gw_identity *identity,
                      enum gw_verb verb,
                      const char *target,
                      uint64_t now_s)
{
    if (identity != NULL && now_s >= identity->token.expires_s) {
        identity = NULL;
    }
    for (size_t i = 0; i < policy->count; i++) {
        const struct rule *rule = &policy->rules[i];

        if ((rule->verbs & (unsigned)verb) != 0 && matches(rule, target) &&
            applies(rule, identity)) {
            return true;
        }
    }
    return false;
}
