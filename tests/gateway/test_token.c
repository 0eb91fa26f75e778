/* SPDX-License-Identifier: Apache-2.0 */
/* Login tokens: what is sealed comes back, and nothing else opens. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hardtack/token.h>

#include "gateway/token_keys.h"
#include "proto/gateway.pb-c.h"
#include "tests/lib/check.h"

#define KEY_A   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B   "f00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ISSUED  1000
#define EXPIRES 2000

static ht_token_keys *keys_of(const char *text)
{
    ht_token_keys *keys = NULL;
    char error[200] = "";

    CHECK_OK(gw_token_keys_parse(text, strlen(text), "test", &keys, error,
                                 sizeof(error)));
    return keys;
}

static const char *const claims[] = {"role=operator", "guild=7"};
static const ht_token ada = {
    .user = "ada",
    .claims = claims,
    .claims_count = 2,
    .issued_s = ISSUED,
    .expires_s = EXPIRES,
};

static char *sealed(const ht_token_keys *keys, const ht_token *token)
{
    char *text = NULL;

    CHECK_OK(ht_token_seal(keys, token, &text));
    return text;
}

static void test_what_is_sealed_comes_back(void **state)
{
    ht_token_keys *keys = keys_of(KEY_A);
    char *text = sealed(keys, &ada);
    ht_token token;

    (void)state;
    CHECK(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                       "0123456789-_") == strlen(text));
    CHECK_OK(ht_token_open(keys, text, strlen(text), ISSUED, &token));
    assert_string_equal(token.user, "ada");
    assert_int_equal(token.claims_count, 2);
    CHECK(ht_token_claims(&token, "role=operator"));
    CHECK(ht_token_claims(&token, "guild=7"));
    CHECK(!ht_token_claims(&token, "guild=8"));
    CHECK(!ht_token_claims(&token, "role"));
    assert_int_equal(token.issued_s, ISSUED);
    assert_int_equal(token.expires_s, EXPIRES);
    ht_token_fini(&token);
    ht_token_fini(&token);
    free(text);
    ht_token_keys_free(keys);
}

static void test_two_seals_of_one_token_differ(void **state)
{
    ht_token_keys *keys = keys_of(KEY_A);
    char *one = sealed(keys, &ada);
    char *two = sealed(keys, &ada);

    (void)state;
    assert_string_not_equal(one, two);
    free(one);
    free(two);
    ht_token_keys_free(keys);
}

static void test_a_token_ends_when_it_expires(void **state)
{
    ht_token_keys *keys = keys_of(KEY_A);
    char *text = sealed(keys, &ada);
    ht_token token;

    (void)state;
    CHECK_OK(ht_token_open(keys, text, strlen(text), EXPIRES - 1, &token));
    ht_token_fini(&token);
    CHECK_ERR(ht_token_open(keys, text, strlen(text), EXPIRES, &token),
              HT_EEXPIRED);
    free(text);
    ht_token_keys_free(keys);
}

static void test_any_changed_character_is_refused(void **state)
{
    ht_token_keys *keys = keys_of(KEY_A);
    char *text = sealed(keys, &ada);
    size_t len = strlen(text);
    ht_token token;

    (void)state;
    for (size_t i = 0; i < len; i++) {
        char was = text[i];

        text[i] = was == 'A' ? 'B' : 'A';
        CHECK_ERR(ht_token_open(keys, text, len, ISSUED, &token), HT_EAUTH);
        text[i] = was;
    }
    for (size_t cut = 0; cut < len; cut++) {
        CHECK_ERR(ht_token_open(keys, text, cut, ISSUED, &token), HT_EAUTH);
    }
    free(text);
    ht_token_keys_free(keys);
}

static void test_more_than_a_token_is_refused(void **state)
{
    ht_token_keys *keys = keys_of(KEY_A);
    char *text = sealed(keys, &ada);
    char more[HT_TOKEN_TEXT_MAX + 16];
    ht_token token;

    (void)state;
    for (const char *tail = "A= \n"; *tail != '\0'; tail++) {
        int n = snprintf(more, sizeof(more), "%s%c", text, *tail);
        CHECK_ERR(ht_token_open(keys, more, (size_t)n, ISSUED, &token),
                  HT_EAUTH);
    }
    memset(more, 'A', sizeof(more));
    CHECK_ERR(ht_token_open(keys, more, sizeof(more), ISSUED, &token),
              HT_EAUTH);
    free(text);
    ht_token_keys_free(keys);
}

static void test_two_keys_live_while_they_are_rotated(void **state)
{
    ht_token_keys *old = keys_of(KEY_A "\n");
    ht_token_keys *both = keys_of("# new first\n" KEY_B "\n" KEY_A "\n");
    ht_token_keys *new = keys_of(KEY_B);
    char *by_old = sealed(old, &ada);
    char *by_both = sealed(both, &ada);
    ht_token token;

    (void)state;
    CHECK_OK(ht_token_open(both, by_old, strlen(by_old), ISSUED, &token));
    ht_token_fini(&token);
    CHECK_OK(ht_token_open(new, by_both, strlen(by_both), ISSUED, &token));
    ht_token_fini(&token);
    CHECK_ERR(ht_token_open(old, by_both, strlen(by_both), ISSUED, &token),
              HT_EAUTH);
    CHECK_ERR(ht_token_open(new, by_old, strlen(by_old), ISSUED, &token),
              HT_EAUTH);
    CHECK_ERR(ht_token_open(NULL, by_old, strlen(by_old), ISSUED, &token),
              HT_EAUTH);
    free(by_old);
    free(by_both);
    ht_token_keys_free(old);
    ht_token_keys_free(both);
    ht_token_keys_free(new);
}

static void test_what_cannot_be_said_is_not_sealed(void **state)
{
    ht_token_keys *keys = keys_of(KEY_A);
    const char *empty[] = {""};
    const char *wrong[] = {"\xff"};
    const char *many[HT_TOKEN_CLAIMS_MAX + 1];
    char big[HT_TOKEN_CLAIM_MAX + 2];
    ht_token token = ada;
    char *text = NULL;

    (void)state;
    token.user = "";
    CHECK_ERR(ht_token_seal(keys, &token, &text), HT_EINVAL);
    token.user = NULL;
    CHECK_ERR(ht_token_seal(keys, &token, &text), HT_EINVAL);
    token = ada;
    token.expires_s = token.issued_s;
    CHECK_ERR(ht_token_seal(keys, &token, &text), HT_EINVAL);
    token = ada;
    token.claims_count = 1;
    token.claims = empty;
    CHECK_ERR(ht_token_seal(keys, &token, &text), HT_EINVAL);
    token.claims = wrong;
    CHECK_ERR(ht_token_seal(keys, &token, &text), HT_EINVAL);
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    for (size_t i = 0; i <= HT_TOKEN_CLAIMS_MAX; i++) {
        many[i] = big + 1;
    }
    token.claims = many;
    token.claims_count = HT_TOKEN_CLAIMS_MAX + 1;
    CHECK_ERR(ht_token_seal(keys, &token, &text), HT_EINVAL);
    token.claims_count = HT_TOKEN_CLAIMS_MAX;
    CHECK_ERR(ht_token_seal(keys, &token, &text), HT_ETOOBIG);
    many[0] = big;
    CHECK_ERR(ht_token_seal(keys, &token, &text), HT_EINVAL);
    assert_null(text);
    ht_token_keys_free(keys);
}

/* A token as a holder of the key would make it who does not keep the rules. */
static char *forge(const ht_token_keys *keys, const uint8_t *plain, size_t len)
{
    uint8_t out[512];
    unsigned long long n = 0;
    char *text;

    out[0] = 1;
    memcpy(out + 1, keys->at[0].id, GW_TOKEN_ID_BYTES);
    randombytes_buf(out + 5, 24);
    assert_int_equal(
        crypto_aead_xchacha20poly1305_ietf_encrypt(
            out + 29, &n, plain, len, out, 5, NULL, out + 5, keys->at[0].key),
        0);
    text = malloc(1024);
    assert_non_null(text);
    (void)sodium_bin2base64(text, 1024, out, 29 + (size_t)n,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return text;
}

static void refuse(const ht_token_keys *keys, const void *plain, size_t len)
{
    char *text = forge(keys, plain, len);
    ht_token token;

    CHECK_ERR(ht_token_open(keys, text, strlen(text), 1, &token), HT_EAUTH);
    free(text);
}

static void test_what_is_sealed_is_read_strictly(void **state)
{
    ht_token_keys *keys = keys_of(KEY_A);
    /* user "ada", expires 100; and what must not be taken for it */
    static const uint8_t good[] = "\x0a\x03"
                                  "ada"
                                  "\x20\x64";
    static const uint8_t field[] = "\x0a\x03"
                                   "ada"
                                   "\x20\x64\x28\x01";
    static const uint8_t nul[] = "\x0a\x05"
                                 "ada\0x"
                                 "\x20\x64";
    static const uint8_t nobody[] = "\x20\x64";
    static const uint8_t never[] = "\x0a\x03"
                                   "ada";
    char *text = forge(keys, good, sizeof(good) - 1);
    ht_token token;

    (void)state;
    CHECK_OK(ht_token_open(keys, text, strlen(text), 1, &token));
    ht_token_fini(&token);
    free(text);
    refuse(keys, field, sizeof(field) - 1);
    refuse(keys, nul, sizeof(nul) - 1);
    refuse(keys, nobody, sizeof(nobody) - 1);
    refuse(keys, never, sizeof(never) - 1);
    refuse(keys, "", 0);
    ht_token_keys_free(keys);
}

/* ---- key files ----------------------------------------------------------- */

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    CHECK(fputs(text, file) >= 0);
    CHECK(fclose(file) == 0);
    CHECK(chmod(path, mode) == 0);
}

static void test_a_key_file_is_strict(void **state)
{
    static const char *const wrong[] = {
        "",
        "\n",
        "# nothing\n",
        "00010203\n",
        KEY_A "00\n",
        KEY_A "\n" KEY_A "\n" KEY_A "\n",
        "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
        " " KEY_A "\n",
    };
    ht_token_keys *keys = NULL;
    char error[200];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        error[0] = '\0';
        CHECK_ERR(gw_token_keys_parse(wrong[i], strlen(wrong[i]), "f", &keys,
                                      error, sizeof(error)),
                  HT_ECONFIG);
        assert_string_not_equal(error, "");
        assert_null(strstr(error, "0102"));
    }
}

static void test_a_key_file_is_ours_alone(void **state)
{
    char path[] = "/tmp/hardtack-key-XXXXXX";
    int fd = mkstemp(path);
    ht_token_keys *keys = NULL;
    char error[300] = "";

    (void)state;
    CHECK(fd >= 0);
    close(fd);
    write_file(path, KEY_A "\r\n", 0600);
    CHECK_OK(ht_token_keys_load(path, &keys, error, sizeof(error)));
    ht_token_keys_free(keys);
    keys = NULL;
    write_file(path, KEY_A "\n", 0640);
    CHECK_ERR(ht_token_keys_load(path, &keys, error, sizeof(error)), HT_EACCES);
    assert_non_null(strstr(error, "chmod 600"));
    CHECK(unlink(path) == 0);
    CHECK_ERR(ht_token_keys_load(path, &keys, NULL, 0), HT_ENOENT);
    CHECK_ERR(ht_token_keys_load("/tmp", &keys, error, sizeof(error)),
              HT_EACCES);
    assert_null(keys);
}

CHECK_MAIN(cmocka_unit_test(test_what_is_sealed_comes_back),
           cmocka_unit_test(test_two_seals_of_one_token_differ),
           cmocka_unit_test(test_a_token_ends_when_it_expires),
           cmocka_unit_test(test_any_changed_character_is_refused),
           cmocka_unit_test(test_more_than_a_token_is_refused),
           cmocka_unit_test(test_two_keys_live_while_they_are_rotated),
           cmocka_unit_test(test_what_cannot_be_said_is_not_sealed),
           cmocka_unit_test(test_what_is_sealed_is_read_strictly),
           cmocka_unit_test(test_a_key_file_is_strict),
           cmocka_unit_test(test_a_key_file_is_ours_alone))
