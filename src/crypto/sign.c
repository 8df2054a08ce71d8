#include "crypto/sign.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "signed.pb.h"

enum {
	KEY_FILE_MAX_BYTES = 4096
};

EVP_PKEY *
sign_key_generate(void)
{
	return EVP_EC_gen("P-256");
}

void
sign_key_free(EVP_PKEY *key)
{
	EVP_PKEY_free(key);
}

int
sign_key_save(EVP_PKEY *key, const char *path)
{
	char *pem;
	int r = -ERR_CRYPTO;
	BIO *bio = BIO_new(BIO_s_secmem());
	if (!bio)
		return -ENOMEM;
	if (PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)) {
		long len = BIO_get_mem_data(bio, &pem);
		r = conf_write_new(path, pem, (size_t)len, 0600);
	}
	BIO_free(bio); /* a secmem BIO wipes itself */
	return r;
}

static int
is_curve(EVP_PKEY *key, const char *curve)
{
	char name[32];
	size_t len;
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, name, sizeof name, &len) &&
	       strcmp(name, curve) == 0;
}

/* An encrypted PEM must not stop at a terminal. */
static int
no_passphrase(char *out, int size, int writing, void *user)
{
	(void)out, (void)size, (void)writing, (void)user;
	return -1;
}

int
sign_key_load(const char *path, EVP_PKEY **ret_key)
{
	char *pem;
	size_t len;
	EVP_PKEY *key = NULL;
	int r = conf_read_secret(path, KEY_FILE_MAX_BYTES, &pem, &len);
	if (r < 0)
		return r;
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	mem_wipe_free(pem, len);
	/* P-384 is the root's; sign_bytes takes P-256 only */
	if (!key || !(is_curve(key, "prime256v1") || is_curve(key, "secp384r1"))) {
		EVP_PKEY_free(key);
		return -ERR_CRYPTO;
	}
	*ret_key = key;
	return 0;
}

int
sign_key_point(EVP_PKEY *key, uint8_t ret_point[static SIGN_POINT_BYTES])
{
	uint8_t point[SIGN_POINT_BYTES];
	size_t len;
	if (!is_curve(key, "prime256v1") ||
		!EVP_PKEY_get_octet_string_param(
			key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &len) ||
		len != sizeof point || point[0] != 4)
		return -ERR_CRYPTO;
	memcpy(ret_point, point, sizeof point);
	return 0;
}

void
sign_key_id(const uint8_t point[static SIGN_POINT_BYTES], uint8_t ret_id[static SIGN_KEY_ID_BYTES])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	SHA256(point, SIGN_POINT_BYTES, hash);
	memcpy(ret_id, hash, SIGN_KEY_ID_BYTES);
}

EVP_PKEY *
sign_key_public(const uint8_t point[static SIGN_POINT_BYTES])
{
	EVP_PKEY *key = NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){"prime256v1"},
			sizeof "prime256v1" - 1),
		OSSL_PARAM_octet_string(
			OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point, SIGN_POINT_BYTES),
		OSSL_PARAM_END,
	};
	EVP_PKEY_CTX *ctx = point[0] == 4 ? EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL) : NULL;
	if (ctx && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

int
sign_bytes(EVP_PKEY *key, const char *purpose, const void *body, size_t len,
	uint8_t ret_der[static SIGN_DER_MAX_BYTES], size_t *ret_len)
{
	uint8_t der[SIGN_DER_MAX_BYTES];
	size_t der_len = sizeof der;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok = md && is_curve(key, "prime256v1") &&
		 EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
		 EVP_DigestSignUpdate(md, purpose, strlen(purpose) + 1) == 1 &&
		 EVP_DigestSignUpdate(md, body, len) == 1 &&
		 EVP_DigestSignFinal(md, der, &der_len) == 1;
	EVP_MD_CTX_free(md);
	/* out of memory while it encodes, OpenSSL reports success and a length of (size_t)-1 */
	if (!ok || der_len > sizeof der)
		return -ERR_CRYPTO;
	memcpy(ret_der, der, der_len);
	*ret_len = der_len;
	return 0;
}

int
sign_check(const uint8_t point[static SIGN_POINT_BYTES], const char *purpose, const void *body,
	size_t len, const uint8_t *der, size_t der_len)
{
	if (der_len == 0 || der_len > SIGN_DER_MAX_BYTES)
		return -ERR_SIGNATURE;
	EVP_PKEY *key = sign_key_public(point);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok = key && md && EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
		 EVP_DigestVerifyUpdate(md, purpose, strlen(purpose) + 1) == 1 &&
		 EVP_DigestVerifyUpdate(md, body, len) == 1 &&
		 EVP_DigestVerifyFinal(md, der, der_len) == 1;
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	return ok ? 0 : -ERR_SIGNATURE;
}

int
sign_digest(const char *purpose, const void *body, size_t len, uint8_t ret_digest[static 32])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		 EVP_DigestUpdate(md, purpose, strlen(purpose) + 1) == 1 &&
		 EVP_DigestUpdate(md, body, len) == 1 &&
		 EVP_DigestFinal_ex(md, ret_digest, NULL) == 1;
	EVP_MD_CTX_free(md);
	return ok ? 0 : -ERR_CRYPTO;
}

int
sign_raw(EVP_PKEY *key, const char *purpose, const void *body, size_t len,
	uint8_t ret_raw[static SIGN_RAW_BYTES])
{
	uint8_t der[SIGN_DER_MAX_BYTES];
	size_t der_len;
	int r = sign_bytes(key, purpose, body, len, der, &der_len);
	if (r < 0)
		return r;
	const uint8_t *p = der;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der_len);
	int ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret_raw, 32) == 32 &&
		 BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret_raw + 32, 32) == 32;
	ECDSA_SIG_free(sig);
	return ok ? 0 : -ERR_CRYPTO;
}

int
sign_check_raw(const uint8_t point[static SIGN_POINT_BYTES], const char *purpose, const void *body,
	size_t len, const uint8_t raw[static SIGN_RAW_BYTES])
{
	uint8_t *der = NULL;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw, 32, NULL), *s = BN_bin2bn(raw + 32, 32, NULL);
	int result = -ERR_SIGNATURE;
	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL; /* it owns them now */
		int n = i2d_ECDSA_SIG(sig, &der);
		if (n > 0)
			result = sign_check(point, purpose, body, len, der, (size_t)n);
	}
	OPENSSL_free(der);
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return result;
}

int
sign_envelope(EVP_PKEY *key, const char *purpose, const void *body, size_t len, uint8_t *out,
	size_t cap, size_t *ret_len)
{
	engawa_Signed envelope = engawa_Signed_init_zero;
	uint8_t point[SIGN_POINT_BYTES];
	size_t der_len;
	if (len > sizeof envelope.body.bytes)
		return -ERR_TOO_LONG;
	int r = sign_key_point(key, point);
	if (r == 0)
		r = sign_bytes(key, purpose, body, len, envelope.signature.bytes, &der_len);
	if (r < 0)
		return r;
	memcpy(envelope.body.bytes, body, len);
	envelope.body.size = (pb_size_t)len;
	envelope.signature.size = (pb_size_t)der_len;
	envelope.key_id.size = SIGN_KEY_ID_BYTES;
	sign_key_id(point, envelope.key_id.bytes);
	pb_ostream_t stream = pb_ostream_from_buffer(out, cap);
	if (!pb_encode(&stream, engawa_Signed_fields, &envelope))
		return -ERR_TOO_LONG;
	*ret_len = stream.bytes_written;
	return 0;
}

static const uint8_t *
find_point(const uint8_t (*points)[SIGN_POINT_BYTES], size_t count, const uint8_t *key_id)
{
	uint8_t id[SIGN_KEY_ID_BYTES];
	for (size_t i = 0; i < count; i++) {
		sign_key_id(points[i], id);
		if (memcmp(id, key_id, sizeof id) == 0)
			return points[i];
	}
	return NULL;
}

int
sign_open(const uint8_t (*points)[SIGN_POINT_BYTES], size_t point_count, const char *purpose,
	const void *envelope, size_t len, uint8_t *ret_body, size_t cap, size_t *ret_body_len)
{
	engawa_Signed e = engawa_Signed_init_zero;
	pb_istream_t stream = pb_istream_from_buffer(envelope, len);
	if (len > SIGN_ENVELOPE_MAX_BYTES || !pb_decode(&stream, engawa_Signed_fields, &e) ||
		e.key_id.size != SIGN_KEY_ID_BYTES || e.body.size > cap)
		return -ERR_PROTOCOL;
	const uint8_t *point = find_point(points, point_count, e.key_id.bytes);
	if (!point)
		return -ERR_SIGNATURE;
	int r = sign_check(
		point, purpose, e.body.bytes, e.body.size, e.signature.bytes, e.signature.size);
	if (r < 0)
		return r;
	memcpy(ret_body, e.body.bytes, e.body.size);
	*ret_body_len = e.body.size;
	return 0;
}
