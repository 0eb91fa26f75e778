/* SPDX-License-Identifier: Apache-2.0 */
/* The plugged-in AES-128-GCM against OpenSSL's own: the same bytes both ways,
 * and the same refusals. */
#include "node/tls_aes.h"

#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "tests/lib/check.h"

#define CIPHER    "AES-128-GCM"
#define BYTES_MAX 16700 /* a full record and more */
#define TAG       16

static EVP_CIPHER *ours, *theirs;

static int setup(void **state)
{
    const char *properties;
    OSSL_LIB_CTX *lib = hti_tls_aes_context(&properties);

    (void)state;
    if (lib == NULL) {
        assert_null(properties);
        return 0;
    }
    ours = EVP_CIPHER_fetch(lib, CIPHER, properties);
    theirs = EVP_CIPHER_fetch(NULL, CIPHER, NULL);
    assert_non_null(ours);
    assert_non_null(theirs);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(ours)),
                        "hardtack");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    EVP_CIPHER_free(ours);
    EVP_CIPHER_free(theirs);
    return 0;
}

static void need_ours(void)
{
    if (ours == NULL) {
        print_message("not built in, or of no use with this processor and "
                      "OpenSSL\n");
        skip();
    }
}

/* One record as libssl does it.  Returns what EVP_CipherFinal_ex() says. */
static int record(EVP_CIPHER_CTX *ctx,
                  bool encrypt,
                  const uint8_t *iv,
                  const uint8_t *head,
                  uint8_t *out,
                  const uint8_t *in,
                  int len,
                  uint8_t *tag)
{
    int n = 0, more = 0, ok;

    assert_int_equal(EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, encrypt), 1);
    if (!encrypt) {
        assert_int_equal(
            EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag), 1);
    }
    assert_int_equal(EVP_CipherUpdate(ctx, NULL, &n, head, 5), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &n, in, len), 1);
    assert_int_equal(n, len);
    ok = EVP_CipherFinal_ex(ctx, out + n, &more);
    assert_int_equal(more, 0);
    if (encrypt) {
        assert_int_equal(
            EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, tag), 1);
    }
    return ok;
}

static EVP_CIPHER_CTX *
keyed(const EVP_CIPHER *cipher, const uint8_t *key, bool encrypt)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    /* In libssl's order: cipher, lengths, key. */
    assert_int_equal(EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, encrypt),
                     1);
    assert_int_equal(
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL), 1);
    assert_int_equal(EVP_CipherInit_ex(ctx, NULL, NULL, key, NULL, -1), 1);
    return ctx;
}

/* NIST's test case 4 of the GCM specification, cut to a record's head. */
static void test_known_answer(void **state)
{
    static const uint8_t key[16] = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65,
                                    0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94,
                                    0x67, 0x30, 0x83, 0x08};
    static const uint8_t iv[12] = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce,
                                   0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
    static const uint8_t plain[16] = {0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84,
                                      0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5,
                                      0xaf, 0xf5, 0x26, 0x9a};
    static const uint8_t cipher[16] = {0x42, 0x83, 0x1e, 0xc2, 0x21, 0x77,
                                       0x74, 0x24, 0x4b, 0x72, 0x21, 0xb7,
                                       0x84, 0xd0, 0xd4, 0x9c};
    static const uint8_t head[5] = {0};
    uint8_t out[16], tag[TAG];
    EVP_CIPHER_CTX *ctx;

    (void)state;
    need_ours();
    ctx = keyed(ours, key, true);
    assert_int_equal(record(ctx, true, iv, head, out, plain, 16, tag), 1);
    assert_memory_equal(out, cipher, 16);
    EVP_CIPHER_CTX_free(ctx);
}

static void test_same_as_openssl(void **state)
{
    static uint8_t plain[BYTES_MAX], a[BYTES_MAX], b[BYTES_MAX];
    uint8_t key[16], iv[12], head[5], tag_a[TAG], tag_b[TAG];
    EVP_CIPHER_CTX *seal_a, *seal_b, *open_a;

    (void)state;
    need_ours();
    RAND_bytes(key, sizeof(key));
    RAND_bytes(plain, sizeof(plain));
    seal_a = keyed(ours, key, true);
    seal_b = keyed(theirs, key, true);
    open_a = keyed(ours, key, false);
    for (int len = 1; len <= BYTES_MAX; len += len < 600 ? 1 : 331) {
        RAND_bytes(iv, sizeof(iv));
        RAND_bytes(head, sizeof(head));
        /* In place, as libssl does, and not. */
        memcpy(a, plain, (size_t)len);
        assert_int_equal(record(seal_a, true, iv, head, a, a, len, tag_a), 1);
        assert_int_equal(record(seal_b, true, iv, head, b, plain, len, tag_b),
                         1);
        assert_memory_equal(a, b, (size_t)len);
        assert_memory_equal(tag_a, tag_b, TAG);
        assert_int_equal(record(open_a, false, iv, head, b, a, len, tag_b), 1);
        assert_memory_equal(b, plain, (size_t)len);
    }
    EVP_CIPHER_CTX_free(seal_a);
    EVP_CIPHER_CTX_free(seal_b);
    EVP_CIPHER_CTX_free(open_a);
}

static void test_altered(void **state)
{
    uint8_t plain[100] = "to be altered", sealed[100], out[100];
    uint8_t key[16] = {1}, iv[12] = {2}, head[5] = {3}, tag[TAG];
    EVP_CIPHER_CTX *seal, *open;

    (void)state;
    need_ours();
    seal = keyed(ours, key, true);
    open = keyed(ours, key, false);
    assert_int_equal(record(seal, true, iv, head, sealed, plain, 100, tag), 1);
    for (int i = 0; i < 100 + TAG + 5 + 12; i++) {
        uint8_t *at = i < 100             ? &sealed[i]
                      : i < 100 + TAG     ? &tag[i - 100]
                      : i < 100 + TAG + 5 ? &head[i - 100 - TAG]
                                          : &iv[i - 100 - TAG - 5];

        *at ^= 0x40;
        assert_int_equal(record(open, false, iv, head, out, sealed, 100, tag),
                         0);
        assert_memory_not_equal(out, plain, 100);
        *at ^= 0x40;
    }
    /* And goes on afterwards. */
    assert_int_equal(record(open, false, iv, head, out, sealed, 100, tag), 1);
    assert_memory_equal(out, plain, 100);
    EVP_CIPHER_CTX_free(seal);
    EVP_CIPHER_CTX_free(open);
}

static void test_refused(void **state)
{
    uint8_t key[16] = {1}, iv[16] = {2}, bytes[32] = {0}, tag[TAG];
    EVP_CIPHER_CTX *ctx;
    int n;

    (void)state;
    need_ours();
    ctx = keyed(ours, key, true);
    assert_int_equal(
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 16, NULL), 0);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 12, NULL),
                     0);
    /* No IV yet; then one that is used twice; more head than a record has. */
    assert_int_equal(EVP_CipherUpdate(ctx, bytes, &n, bytes, 16), 0);
    assert_int_equal(record(ctx, true, iv, bytes, bytes, bytes, 16, tag), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, bytes, &n, bytes, 16), 0);
    assert_int_equal(EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, 1), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, NULL, &n, bytes, 17), 0);
    EVP_CIPHER_CTX_free(ctx);

    /* Opening without a tag to compare with. */
    ctx = keyed(ours, key, false);
    assert_int_equal(EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, 0), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, bytes, &n, bytes, 16), 1);
    assert_int_equal(EVP_CipherFinal_ex(ctx, bytes, &n), 0);
    EVP_CIPHER_CTX_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answer),
        cmocka_unit_test(test_same_as_openssl),
        cmocka_unit_test(test_altered),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
