/* SPDX-License-Identifier: Apache-2.0 */
/* A provider's cipher does what libssl asks of it for a record: a new IV, the
 * record's head as additional data, all of the record at once, the tag.  More
 * than that (data in several parts, other lengths of IV and tag) is refused. */
#include "node/tls_aes.h"

#include <stddef.h>

#ifndef HTI_WITH_IPSEC_MB

OSSL_LIB_CTX *hti_tls_aes_context(const char **ret_properties)
{
    *ret_properties = NULL;
    return NULL;
}

#else

#include <intel-ipsec-mb.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define OPENSSL_WITH_VAES 0x30100000UL
#define PROPERTY          "provider=hardtack"
#define KEY_BYTES         16
#define IV_BYTES          12
#define TAG_BYTES         16
#define AAD_MAX           16 /* a record's head is 5 */
#define NEEDED                                                                 \
    (IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AVX512_SKX)

/* What is used of the library: these take no manager, and share nothing. */
static struct {
    aes_gcm_pre_t expand;
    aes_gcm_enc_dec_t encrypt, decrypt;
} gcm;

struct cipher {
    struct gcm_key_data key; /* aligned to 64 */
    struct gcm_context_data scratch;
    uint8_t iv[IV_BYTES], aad[AAD_MAX];
    uint8_t tag[TAG_BYTES]; /* decrypting: expected; else: of the last record */
    size_t aad_len;
    bool encrypting, has_key, has_iv, has_tag, failed;
};

/* ---- a cipher -------------------------------------------------------------
 */

static void *cipher_new(void *provider)
{
    struct cipher *c =
        aligned_alloc(_Alignof(struct cipher), sizeof(struct cipher));

    (void)provider;
    if (c != NULL) {
        memset(c, 0, sizeof(*c));
    }
    return c;
}

static void cipher_free(void *ctx)
{
    if (ctx != NULL) {
        OPENSSL_cleanse(ctx, sizeof(struct cipher));
        free(ctx);
    }
}

static int cipher_set(void *ctx, const OSSL_PARAM params[])
{
    struct cipher *c = ctx;
    const OSSL_PARAM *p;
    size_t len = IV_BYTES;

    p = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_TAG);
    if (p != NULL) {
        if (p->data_type != OSSL_PARAM_OCTET_STRING ||
            p->data_size != TAG_BYTES) {
            return 0;
        }
        /* Without data only the length is agreed on. */
        if (p->data != NULL) {
            memcpy(c->tag, p->data, TAG_BYTES);
            c->has_tag = true;
        }
    }
    p = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_IVLEN);
    return p == NULL || (OSSL_PARAM_get_size_t(p, &len) && len == IV_BYTES);
}

static int begin(struct cipher *c,
                 bool encrypting,
                 const uint8_t *key,
                 size_t key_len,
                 const uint8_t *iv,
                 size_t iv_len,
                 const OSSL_PARAM params[])
{
    c->encrypting = encrypting;
    c->aad_len = 0;
    c->failed = false;
    if (key != NULL) {
        if (key_len != KEY_BYTES) {
            return 0;
        }
        gcm.expand(key, &c->key);
        c->has_key = true;
    }
    if (iv != NULL) {
        if (iv_len != IV_BYTES) {
            return 0;
        }
        memcpy(c->iv, iv, IV_BYTES);
        c->has_iv = true;
        c->has_tag = false;
    }
    return cipher_set(c, params);
}

static int cipher_encrypt_init(void *ctx,
                               const unsigned char *key,
                               size_t key_len,
                               const unsigned char *iv,
                               size_t iv_len,
                               const OSSL_PARAM params[])
{
    return begin(ctx, true, key, key_len, iv, iv_len, params);
}

static int cipher_decrypt_init(void *ctx,
                               const unsigned char *key,
                               size_t key_len,
                               const unsigned char *iv,
                               size_t iv_len,
                               const OSSL_PARAM params[])
{
    return begin(ctx, false, key, key_len, iv, iv_len, params);
}

static int take_aad(struct cipher *c, const uint8_t *in, size_t len)
{
    if (len > sizeof(c->aad) - c->aad_len) {
        return 0;
    }
    memcpy(c->aad + c->aad_len, in, len);
    c->aad_len += len;
    return 1;
}

static void run(struct cipher *c, uint8_t *out, const uint8_t *in, size_t len)
{
    uint8_t tag[TAG_BYTES];

    /* An IV is good for one record: used again it would give both away. */
    c->has_iv = false;
    if (c->encrypting) {
        gcm.encrypt(&c->key, &c->scratch, out, in, len, c->iv, c->aad,
                    c->aad_len, c->tag, TAG_BYTES);
        c->has_tag = true;
        return;
    }
    gcm.decrypt(&c->key, &c->scratch, out, in, len, c->iv, c->aad, c->aad_len,
                tag, TAG_BYTES);
    c->failed = !c->has_tag || CRYPTO_memcmp(tag, c->tag, TAG_BYTES) != 0;
    if (c->failed) {
        OPENSSL_cleanse(out, len);
    }
}

static int cipher_update(void *ctx,
                         unsigned char *out,
                         size_t *ret_len,
                         size_t out_cap,
                         const unsigned char *in,
                         size_t len)
{
    struct cipher *c = ctx;

    if (!c->has_key || !c->has_iv) {
        return 0;
    }
    *ret_len = len;
    if (out == NULL) {
        return take_aad(c, in, len);
    }
    if (out_cap < len) {
        return 0;
    }
    run(c, out, in, len);
    return 1;
}

/* Whether the tag was right is told here, as OpenSSL's own does. */
static int
cipher_final(void *ctx, unsigned char *out, size_t *ret_len, size_t out_cap)
{
    struct cipher *c = ctx;

    (void)out;
    (void)out_cap;
    *ret_len = 0;
    return c->has_key && !c->has_iv && !c->failed;
}

static int cipher_get(void *ctx, OSSL_PARAM params[])
{
    const struct cipher *c = ctx;
    OSSL_PARAM *p;

    if ((p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_KEYLEN)) != NULL &&
        !OSSL_PARAM_set_size_t(p, KEY_BYTES)) {
        return 0;
    }
    if ((p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_IVLEN)) != NULL &&
        !OSSL_PARAM_set_size_t(p, IV_BYTES)) {
        return 0;
    }
    if ((p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD_TAGLEN)) !=
            NULL &&
        !OSSL_PARAM_set_size_t(p, TAG_BYTES)) {
        return 0;
    }
    p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD_TAG);
    return p == NULL ||
           (c->encrypting && c->has_tag && p->data_size == TAG_BYTES &&
            OSSL_PARAM_set_octet_string(p, c->tag, TAG_BYTES));
}

/* ---- what it is ------------------------------------------------------------
 */

static int describe(OSSL_PARAM params[])
{
    static const struct {
        const char *name;
        size_t value;
    } sizes[] = {{OSSL_CIPHER_PARAM_KEYLEN, KEY_BYTES},
                 {OSSL_CIPHER_PARAM_IVLEN, IV_BYTES},
                 {OSSL_CIPHER_PARAM_BLOCK_SIZE, 1}};
    static const char *const flags[] = {OSSL_CIPHER_PARAM_AEAD,
                                        OSSL_CIPHER_PARAM_CUSTOM_IV};
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_MODE);

    if (p != NULL && !OSSL_PARAM_set_uint(p, EVP_CIPH_GCM_MODE)) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        p = OSSL_PARAM_locate(params, sizes[i].name);
        if (p != NULL && !OSSL_PARAM_set_size_t(p, sizes[i].value)) {
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        p = OSSL_PARAM_locate(params, flags[i]);
        if (p != NULL && !OSSL_PARAM_set_int(p, 1)) {
            return 0;
        }
    }
    return 1;
}

static const OSSL_PARAM *gettable(void *ctx, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TAGLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
        OSSL_PARAM_END};

    (void)ctx;
    (void)provider;
    return known;
}

static const OSSL_PARAM *settable(void *ctx, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
        OSSL_PARAM_END};

    (void)ctx;
    (void)provider;
    return known;
}

#define ENTRY(id, function)                                                    \
    {                                                                          \
        id, (void (*)(void))(function)                                         \
    }

static const OSSL_DISPATCH cipher_functions[] = {
    ENTRY(OSSL_FUNC_CIPHER_NEWCTX, cipher_new),
    ENTRY(OSSL_FUNC_CIPHER_FREECTX, cipher_free),
    ENTRY(OSSL_FUNC_CIPHER_ENCRYPT_INIT, cipher_encrypt_init),
    ENTRY(OSSL_FUNC_CIPHER_DECRYPT_INIT, cipher_decrypt_init),
    ENTRY(OSSL_FUNC_CIPHER_UPDATE, cipher_update),
    ENTRY(OSSL_FUNC_CIPHER_FINAL, cipher_final),
    ENTRY(OSSL_FUNC_CIPHER_GET_PARAMS, describe),
    ENTRY(OSSL_FUNC_CIPHER_GET_CTX_PARAMS, cipher_get),
    ENTRY(OSSL_FUNC_CIPHER_SET_CTX_PARAMS, cipher_set),
    ENTRY(OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS, gettable),
    ENTRY(OSSL_FUNC_CIPHER_SETTABLE_CTX_PARAMS, settable),
    {0, NULL},
};

/* ---- the provider ----------------------------------------------------------
 */

static const OSSL_ALGORITHM *query(void *provider, int what, int *ret_no_cache)
{
    static const OSSL_ALGORITHM ciphers[] = {
        {"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", PROPERTY,
         cipher_functions, NULL},
        {NULL, NULL, NULL, NULL}};

    (void)provider;
    *ret_no_cache = 0;
    return what == OSSL_OP_CIPHER ? ciphers : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *core,
                         const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **ret_functions,
                         void **ret_provider)
{
    static const OSSL_DISPATCH functions[] = {
        ENTRY(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), {0, NULL}};

    (void)core;
    (void)in;
    *ret_functions = functions;
    *ret_provider = &gcm;
    return 1;
}

/* The functions for this processor; false: it has not what makes them fast. */
static bool pick_functions(void)
{
    IMB_MGR *manager = alloc_mb_mgr(0);
    bool fast = false;

    if (manager == NULL) {
        return false;
    }
    if ((manager->features & NEEDED) == NEEDED) {
        init_mb_mgr_avx512(manager);
        gcm.expand = manager->gcm128_pre;
        gcm.encrypt = manager->gcm128_enc;
        gcm.decrypt = manager->gcm128_dec;
        fast = gcm.expand != NULL && gcm.encrypt != NULL && gcm.decrypt != NULL;
    }
    free_mb_mgr(manager);
    return fast;
}

static OSSL_LIB_CTX *context;
static pthread_once_t context_once = PTHREAD_ONCE_INIT;

static void context_make(void)
{
    OSSL_LIB_CTX *made;

    if (OpenSSL_version_num() >= OPENSSL_WITH_VAES ||
        EVP_default_properties_is_fips_enabled(NULL) || !pick_functions()) {
        return;
    }
    made = OSSL_LIB_CTX_new();
    if (made == NULL) {
        return;
    }
    if (OSSL_PROVIDER_add_builtin(made, "hardtack", provider_init) != 1 ||
        OSSL_PROVIDER_load(made, "default") == NULL ||
        OSSL_PROVIDER_load(made, "hardtack") == NULL) {
        OSSL_LIB_CTX_free(made);
        return;
    }
    context = made;
}

OSSL_LIB_CTX *hti_tls_aes_context(const char **ret_properties)
{
    pthread_once(&context_once, context_make);
    *ret_properties = context != NULL ? "?" PROPERTY : NULL;
    return context;
}

#endif
