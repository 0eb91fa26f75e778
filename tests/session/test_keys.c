/* SPDX-License-Identifier: Apache-2.0 */
/* test_keys.c - cookies to keys, rings, and how strong a cookie is. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "session/keys.h"
#include "tests/session/fixture.h"

/* Known answers, made with libsodium's Argon2id and another BLAKE2b. */
static void check_keys(enum hti_kdf kdf,
                       const char *id,
                       const char *psk,
                       const char *mac_i,
                       const char *mac_r)
{
    ht_bytes cookie = {"cookie", 6};
    struct hti_keyring *ring;
    const struct hti_keys *keys;
    uint8_t want[HTI_KEY_BYTES];

    CHECK_OK(hti_keyring_new(&cookie, 1, NULL, 0, "test", kdf, &ring));
    CHECK(hti_keyring_count(ring) == 1);
    keys = hti_keyring_at(ring, 0);
    from_hex(id, want, sizeof(want));
    CHECK(memcmp(keys->id, want, HTI_KEY_ID_BYTES) == 0);
    from_hex(psk, want, sizeof(want));
    CHECK(memcmp(keys->psk, want, HTI_KEY_BYTES) == 0);
    from_hex(mac_i, want, sizeof(want));
    CHECK(memcmp(keys->mac_initiator, want, HTI_KEY_BYTES) == 0);
    from_hex(mac_r, want, sizeof(want));
    CHECK(memcmp(keys->mac_acceptor, want, HTI_KEY_BYTES) == 0);
    hti_keyring_unref(ring);
}

static void test_known_answers(void **state)
{
    (void)state;
    check_keys(
        HTI_KDF_FAST, "a6ee51b0d4d34389",
        "4935eaf1698298d070d79de36503a00c4a9738fb59ed69b26558632778780239",
        "701c5f7be0bc2a3b0779220af36d31656872f065038f87cbc15bbe5b0bfe9bc5",
        "f98c907bacc1200ab88e5f4fc895cdc50c26d20b755147579f4504e06672f71b");
    check_keys(
        HTI_KDF_INTERACTIVE, "52de175acb2667e3",
        "4581211b0cba1be3ef88a922bf1de6d562cd512ceaa224a0e02c94a70af1301c",
        "11fababe6ccc4882d2f8e3c28bde444d5690d37dcb7ed1966276885b3a2c09c5",
        "71f51e13a6b1ff8b7b0412f4814e620820053162969749a41a42a62764c4cd47");
}

static void test_cluster_and_cookie_decide(void **state)
{
    ht_bytes cookie = {"cookie", 6}, other = {"cookif", 6};
    struct hti_keyring *a, *b, *c, *d;

    (void)state;
    CHECK_OK(hti_keyring_new(&cookie, 1, NULL, 0, "x", HTI_KDF_FAST, &a));
    CHECK_OK(hti_keyring_new(&cookie, 1, NULL, 0, "y", HTI_KDF_FAST, &b));
    CHECK_OK(hti_keyring_new(&other, 1, NULL, 0, "x", HTI_KDF_FAST, &c));
    CHECK_OK(hti_keyring_new(&cookie, 1, NULL, 0, "x", HTI_KDF_FAST, &d));
    CHECK(hti_keyring_find(b, hti_keyring_at(a, 0)->id) == NULL);
    CHECK(hti_keyring_find(c, hti_keyring_at(a, 0)->id) == NULL);
    CHECK(hti_keyring_find(d, hti_keyring_at(a, 0)->id) ==
          hti_keyring_at(d, 0));
    hti_keyring_unref(a);
    hti_keyring_unref(b);
    hti_keyring_unref(c);
    hti_keyring_unref(d);
}

/* No cluster's name is the same as an empty one. */
static void test_no_cluster(void **state)
{
    ht_bytes cookie = {"cookie", 6};
    struct hti_keyring *a, *b;

    (void)state;
    CHECK_OK(hti_keyring_new(&cookie, 1, NULL, 0, NULL, HTI_KDF_FAST, &a));
    CHECK_OK(hti_keyring_new(&cookie, 1, NULL, 0, "", HTI_KDF_FAST, &b));
    CHECK(hti_keyring_find(b, hti_keyring_at(a, 0)->id) != NULL);
    hti_keyring_unref(a);
    hti_keyring_unref(b);
}

static void test_several_cookies(void **state)
{
    static const char *const cookies[] = {"one", "two", "three", NULL};
    static const char *const ractor[] = {"r", "a longer one", NULL};
    struct hti_keyring *ring = ring_of(cookies, ractor);
    struct hti_keyring *two = ring_one("two");

    (void)state;
    CHECK(hti_keyring_count(ring) == 3);
    CHECK(hti_keyring_find(ring, hti_keyring_at(two, 0)->id) ==
          hti_keyring_at(ring, 1));
    CHECK(hti_keyring_ractor_count(ring) == 2);
    for (size_t i = 0; i < 2; i++) {
        ht_bytes cookie = hti_keyring_ractor_at(ring, i);

        CHECK(cookie.len == strlen(ractor[i]));
        CHECK(memcmp(cookie.data, ractor[i], cookie.len) == 0);
    }
    hti_keyring_unref(ring);
    hti_keyring_unref(two);
    CHECK(hti_keyring_unref(NULL) == NULL);
}

static void test_refused_cookies(void **state)
{
    static char huge[4097];
    ht_bytes many[HTI_KEYS_MAX + 1];
    struct hti_keyring *ring = NULL;

    (void)state;
    for (size_t i = 0; i <= HTI_KEYS_MAX; i++) {
        many[i] = (ht_bytes){"cookie", 6};
    }
    CHECK_ERR(hti_keyring_new(many, HTI_KEYS_MAX + 1, NULL, 0, "x",
                              HTI_KDF_FAST, &ring),
              HT_EINVAL);
    CHECK_ERR(hti_keyring_new(NULL, 0, many, HTI_KEYS_MAX + 1, "x",
                              HTI_KDF_FAST, &ring),
              HT_EINVAL);
    many[1].len = 0;
    CHECK_ERR(hti_keyring_new(many, 2, NULL, 0, "x", HTI_KDF_FAST, &ring),
              HT_EINVAL);
    CHECK_ERR(hti_keyring_new(many, 1, many, 2, "x", HTI_KDF_FAST, &ring),
              HT_EINVAL);
    many[1] = (ht_bytes){huge, sizeof(huge)};
    CHECK_ERR(hti_keyring_new(many, 2, NULL, 0, "x", HTI_KDF_FAST, &ring),
              HT_EINVAL);
    CHECK(ring == NULL);
    CHECK_OK(hti_keyring_new(NULL, 0, NULL, 0, "x", HTI_KDF_FAST, &ring));
    CHECK(hti_keyring_count(ring) == 0);
    hti_keyring_unref(ring);
}

static void test_peercred_is_constant(void **state)
{
    struct hti_keyring *a, *b;

    (void)state;
    CHECK_OK(hti_keyring_new_peercred(&a));
    CHECK_OK(hti_keyring_new_peercred(&b));
    CHECK(memcmp(hti_keyring_at(a, 0), hti_keyring_at(b, 0),
                 sizeof(struct hti_keys)) == 0);
    CHECK(hti_keyring_ractor_count(a) == 0);
    hti_keyring_unref(hti_keyring_ref(a));
    CHECK(hti_keyring_count(a) == 1);
    hti_keyring_unref(a);
    hti_keyring_unref(b);
}

/* A stray write ends the process instead of changing a key. */
static void test_ring_is_read_only(void **state)
{
    struct hti_keyring *ring = ring_one("cookie");
    int status = 0;
    pid_t child = fork();

    (void)state;
    CHECK(child >= 0);
    if (child == 0) {
        volatile uint8_t *key =
            (volatile uint8_t *)(uintptr_t)hti_keyring_at(ring, 0)->psk;

        signal(SIGSEGV, SIG_DFL); /* not cmocka's, nor a sanitizer's */
        signal(SIGBUS, SIG_DFL);
        key[0] ^= 1;
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    hti_keyring_unref(ring);
}

static void test_bits(void **state)
{
    static const struct {
        const char *cookie;
        unsigned min, max;
    } cases[] = {
        {"", 0, 0},
        {"a", 0, 0},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0, 0},
        {"abababababababababababababababababababababababababababababab", 0, 4},
        {"cookie", 10, 30},
        {"monster", 10, 35},
        {"12345678901234567890123456789012", 30, 40}, /* repeats */
        {"c1f8a2b39d4e7056", 64, 64},
        {"c1f8a2b39d4e70565a1b9c8d2e3f4067", 128, 128},
        {"C1F8A2B39D4E70565A1B9C8D2E3F4067", 128, 128},
        {"k3j9zq0x7w1v5t8r2p6n4m", 113, 113},   /* 22 * 5.17 */
        {"Zm9vYmFyYmF6cXV4cXV1eA==", 128, 132}, /* base64 of 16 */
        {"Zm9vYmFyYmF6cXV4cXV1eA+/", 140, 144},
        {"correct horse battery staple", 44, 44},
        {"0101101001110100101101001011101001", 30, 34}, /* two symbols */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned bits =
            hti_cookie_bits(cases[i].cookie, strlen(cases[i].cookie));

        if (bits < cases[i].min || bits > cases[i].max) {
            print_error("\"%s\" has %u\n", cases[i].cookie, bits);
        }
        CHECK(bits >= cases[i].min && bits <= cases[i].max);
    }
    CHECK(hti_cookie_bits(NULL, 0) == 0);
}

/* What `hardtack cookie` and common tools make is never taken for weak. */
static void test_random_cookies_are_strong(void **state)
{
    uint8_t random[32];
    char hex[65], base64[64];

    (void)state;
    for (uint8_t i = 0; i < 200; i++) {
        uint8_t seed[randombytes_SEEDBYTES] = {i};

        randombytes_buf_deterministic(random, sizeof(random), seed);
        sodium_bin2hex(hex, sizeof(hex), random, 16);
        CHECK(hti_cookie_bits(hex, strlen(hex)) >= 128);
        sodium_bin2hex(hex, sizeof(hex), random, 32);
        CHECK(hti_cookie_bits(hex, strlen(hex)) >= 256);
        sodium_bin2base64(base64, sizeof(base64), random, 32,
                          sodium_base64_VARIANT_ORIGINAL);
        CHECK(hti_cookie_bits(base64, strlen(base64)) >= 240);
    }
}

CHECK_MAIN(cmocka_unit_test(test_known_answers),
           cmocka_unit_test(test_cluster_and_cookie_decide),
           cmocka_unit_test(test_no_cluster),
           cmocka_unit_test(test_several_cookies),
           cmocka_unit_test(test_refused_cookies),
           cmocka_unit_test(test_peercred_is_constant),
           cmocka_unit_test(test_ring_is_read_only),
           cmocka_unit_test(test_bits),
           cmocka_unit_test(test_random_cookies_are_strong))
