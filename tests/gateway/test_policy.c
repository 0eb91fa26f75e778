/* SPDX-License-Identifier: Apache-2.0 */
/* Who may reach what: nothing that no rule allows. */
#include "gateway/login.h"
#include "gateway/policy.h"
#include "gateway/route.h"
#include "tests/lib/check.h"

static struct gw_policy *policy_of(const char *const *targets,
                                   size_t targets_count,
                                   const ht_gateway_rule *rules,
                                   size_t rules_count)
{
    const ht_gateway_config config = {
        .public_targets = targets,
        .public_targets_count = targets_count,
        .rules = rules,
        .rules_count = rules_count,
    };
    struct gw_policy *policy = NULL;
    char why[300] = "";

    CHECK_OK(gw_policy_new(&config, &policy, why, sizeof(why)));
    return policy;
}

static const char *const ops[] = {"role=ops"};
static const struct gw_identity operators = {
    .token = {.user = "o", .claims = ops, .claims_count = 1, .expires_s = 100},
};
static const struct gw_identity user = {
    .token = {.user = "u", .expires_s = 100},
};

static bool
sends(const struct gw_policy *p, const struct gw_identity *i, const char *to)
{
    return gw_policy_allows(p, i, GW_SEND, to, 50);
}

static void test_nothing_is_allowed_by_default(void **state)
{
    struct gw_policy *p = policy_of(NULL, 0, NULL, 0);

    (void)state;
    CHECK(!sends(p, NULL, "calculator"));
    CHECK(!sends(p, &operators, "calculator"));
    CHECK(!gw_policy_allows(p, &operators, GW_SUBSCRIBE, "group:news", 50));
    gw_policy_free(p);
    gw_policy_free(NULL);
}

static void test_public_is_for_everybody_and_exact(void **state)
{
    const char *targets[] = {"calculator", "group:rooms", "b@host:memory"};
    struct gw_policy *p = policy_of(targets, 3, NULL, 0);

    (void)state;
    CHECK(sends(p, NULL, "calculator"));
    CHECK(sends(p, &user, "calculator"));
    CHECK(sends(p, NULL, "group:rooms"));
    CHECK(sends(p, NULL, "b@host:memory"));
    CHECK(!sends(p, NULL, "calculator2"));
    CHECK(!sends(p, NULL, "calculato"));
    CHECK(!sends(p, NULL, "group:calculator"));
    CHECK(!sends(p, NULL, "b@host:calculator"));
    CHECK(!sends(p, NULL, "memory"));
    CHECK(!sends(p, NULL, ""));
    gw_policy_free(p);
}

static void test_a_star_matches_any_rest(void **state)
{
    const char *targets[] = {"group:room.*", "calc*"};
    struct gw_policy *p = policy_of(targets, 2, NULL, 0);

    (void)state;
    CHECK(sends(p, NULL, "group:room.1"));
    CHECK(sends(p, NULL, "group:room."));
    CHECK(sends(p, NULL, "calc"));
    CHECK(!sends(p, NULL, "group:rooms"));
    CHECK(!sends(p, NULL, "cal"));
    gw_policy_free(p);
}

static void test_no_star_reaches_what_is_hardtacks_own(void **state)
{
    const char *targets[] = {"*", "b@host:*", "group:*"};
    const ht_gateway_rule rules[] = {{"role=ops", "hardtack.admin"},
                                     {"role=ops", "hardtack.*"}};
    struct gw_policy *p = policy_of(targets, 3, rules, 2);

    (void)state;
    CHECK(sends(p, NULL, "anything"));
    CHECK(sends(p, NULL, "b@host:anything"));
    CHECK(!sends(p, NULL, "hardtack.admin"));
    CHECK(!sends(p, NULL, "b@host:hardtack.admin"));
    CHECK(!sends(p, NULL, "group:hardtack.secret"));
    CHECK(sends(p, &operators, "hardtack.admin"));
    CHECK(!sends(p, &operators, "hardtack.other"));
    gw_policy_free(p);
}

static void test_a_rule_is_for_those_who_have_its_claim(void **state)
{
    const ht_gateway_rule rules[] = {{"role=ops", "admin"}, {"*", "chat"}};
    struct gw_policy *p = policy_of(NULL, 0, rules, 2);

    (void)state;
    CHECK(sends(p, &operators, "admin"));
    CHECK(!sends(p, &user, "admin"));
    CHECK(!sends(p, NULL, "admin"));
    CHECK(sends(p, &operators, "chat"));
    CHECK(sends(p, &user, "chat"));
    CHECK(!sends(p, NULL, "chat"));
    gw_policy_free(p);
}

static void test_an_expired_token_is_nobodys(void **state)
{
    const ht_gateway_rule rules[] = {{"*", "chat"}};
    struct gw_policy *p = policy_of(NULL, 0, rules, 1);

    (void)state;
    CHECK(gw_policy_allows(p, &user, GW_SEND, "chat", 99));
    CHECK(!gw_policy_allows(p, &user, GW_SEND, "chat", 100));
    gw_policy_free(p);
}

static void test_a_verb_is_about_that_only(void **state)
{
    const char *targets[] = {"subscribe group:news", "send group:jobs",
                             "group:both"};
    struct gw_policy *p = policy_of(targets, 3, NULL, 0);

    (void)state;
    CHECK(gw_policy_allows(p, NULL, GW_SUBSCRIBE, "group:news", 0));
    CHECK(!gw_policy_allows(p, NULL, GW_SEND, "group:news", 0));
    CHECK(!gw_policy_allows(p, NULL, GW_SUBSCRIBE, "group:jobs", 0));
    CHECK(gw_policy_allows(p, NULL, GW_SEND, "group:jobs", 0));
    CHECK(gw_policy_allows(p, NULL, GW_SUBSCRIBE, "group:both", 0));
    CHECK(gw_policy_allows(p, NULL, GW_SEND, "group:both", 0));
    gw_policy_free(p);
}

static void test_a_rule_that_says_nothing_is_refused(void **state)
{
    static const char *const wrong[] = {"",   "send ", "a b",    "a*b",
                                        "**", "\xff",  "talk x", "a\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const ht_gateway_config config = {.public_targets = &wrong[i],
                                          .public_targets_count = 1};
        const ht_gateway_rule rule = {"", "calculator"};
        const ht_gateway_config no_claim = {.rules = &rule, .rules_count = 1};
        struct gw_policy *policy = NULL;
        char why[300] = "";

        CHECK_ERR(gw_policy_new(&config, &policy, why, sizeof(why)),
                  HT_ECONFIG);
        assert_string_not_equal(why, "");
        CHECK_ERR(gw_policy_new(&no_claim, &policy, why, sizeof(why)),
                  HT_ECONFIG);
        assert_null(policy);
    }
}

/* ---- routes -------------------------------------------------------------- */

static void routes_to(const char *to,
                      enum gw_route_kind kind,
                      const char *node,
                      const char *name)
{
    struct gw_route route;

    assert_null(gw_route_parse(&route, to));
    assert_int_equal(route.kind, kind);
    assert_string_equal(route.node, node);
    assert_string_equal(route.name, name);
}

static void test_what_to_means(void **state)
{
    struct gw_route route;
    char big[GW_TO_MAX + 2];

    (void)state;
    routes_to("calculator", GW_ROUTE_NAME, "", "calculator");
    routes_to("a:b", GW_ROUTE_NAME, "", "a:b");
    routes_to("b@host:calculator", GW_ROUTE_NODE, "b@host", "calculator");
    routes_to("b@host:a:b", GW_ROUTE_NODE, "b@host", "a:b");
    routes_to("group:rooms", GW_ROUTE_GROUP, "", "rooms");
    routes_to("group:a@b:c", GW_ROUTE_GROUP, "", "a@b:c");
    routes_to("x@y", GW_ROUTE_NAME, "", "x@y");
    assert_non_null(gw_route_parse(&route, ""));
    assert_non_null(gw_route_parse(&route, "group:"));
    assert_non_null(gw_route_parse(&route, "b@host:"));
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    assert_non_null(gw_route_parse(&route, big));
}

CHECK_MAIN(cmocka_unit_test(test_nothing_is_allowed_by_default),
           cmocka_unit_test(test_public_is_for_everybody_and_exact),
           cmocka_unit_test(test_a_star_matches_any_rest),
           cmocka_unit_test(test_no_star_reaches_what_is_hardtacks_own),
           cmocka_unit_test(test_a_rule_is_for_those_who_have_its_claim),
           cmocka_unit_test(test_an_expired_token_is_nobodys),
           cmocka_unit_test(test_a_verb_is_about_that_only),
           cmocka_unit_test(test_a_rule_that_says_nothing_is_refused),
           cmocka_unit_test(test_what_to_means))
