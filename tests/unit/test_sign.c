/* crypto/sign: signatures, envelopes and key files, seen by somebody who would like to forge them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pb_decode.h>
#include <pb_encode.h>

#include "base/conf.h"
#include "base/err.h"
#include "crypto/cert.h"
#include "crypto/sign.h"
#include "signed.pb.h"

static EVP_PKEY *key, *other;
static uint8_t points[2][SIGN_POINT_BYTES];

static int
setup(void **state)
{
	(void)state;
	key = sign_key_generate();
	other = sign_key_generate();
	return !key || !other || sign_key_point(key, points[0]) < 0 ||
	       sign_key_point(other, points[1]) < 0;
}

static int
teardown(void **state)
{
	(void)state;
	sign_key_free(key);
	sign_key_free(other);
	return 0;
}

static void
test_sign_and_check(void **state)
{
	(void)state;
	uint8_t der[SIGN_DER_MAX_BYTES];
	size_t len;
	assert_int_equal(sign_bytes(key, "a v1", "body", 4, der, &len), 0);
	assert_int_equal(sign_check(points[0], "a v1", "body", 4, der, len), 0);
	assert_int_equal(sign_check(points[1], "a v1", "body", 4, der, len), -ERR_SIGNATURE);
	assert_int_equal(sign_check(points[0], "b v1", "body", 4, der, len), -ERR_SIGNATURE);
	assert_int_equal(sign_check(points[0], "a v1", "bodY", 4, der, len), -ERR_SIGNATURE);
	/* the zero byte keeps purpose and body apart */
	assert_int_equal(sign_check(points[0], "a v", "1\0body", 6, der, len), -ERR_SIGNATURE);
	assert_int_equal(sign_check(points[0], "a v1", "body", 3, der, len), -ERR_SIGNATURE);
	assert_int_equal(sign_bytes(key, "a v1", "", 0, der, &len), 0);
	assert_int_equal(sign_check(points[0], "a v1", "", 0, der, len), 0);
}

/* Only the one DER form passes: BER lengths, leading zeros and trailing bytes would make a second
 * signature of one. */
static void
test_der_is_strict(void **state)
{
	(void)state;
	uint8_t der[SIGN_DER_MAX_BYTES], bad[80] = {0};
	size_t len;
	assert_int_equal(sign_bytes(key, "p", "body", 4, der, &len), 0);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(sign_check(points[0], "p", "body", 4, der, cut), -ERR_SIGNATURE);
	memcpy(bad, der, len);
	assert_int_equal(sign_check(points[0], "p", "body", 4, bad, len + 1), -ERR_SIGNATURE);
	assert_int_equal(sign_check(points[0], "p", "body", 4, bad, sizeof bad), -ERR_SIGNATURE);
	bad[0] = der[0], bad[1] = 0x81, bad[2] = der[1]; /* long form of a short length */
	memcpy(bad + 3, der + 2, len - 2);
	assert_int_equal(sign_check(points[0], "p", "body", 4, bad, len + 1), -ERR_SIGNATURE);
	bad[0] = der[0], bad[1] = (uint8_t)(der[1] + 1), bad[2] = 2, bad[3] = (uint8_t)(der[3] + 1),
	bad[4] = 0;
	memcpy(bad + 5, der + 4, len - 4); /* a zero more in front of r */
	assert_int_equal(sign_check(points[0], "p", "body", 4, bad, len + 1), -ERR_SIGNATURE);
	static const uint8_t zeros[] = {0x30, 6, 2, 1, 0, 2, 1, 0};
	assert_int_equal(
		sign_check(points[0], "p", "body", 4, zeros, sizeof zeros), -ERR_SIGNATURE);
	for (size_t at = 0; at < len; at++) {
		memcpy(bad, der, len);
		bad[at] ^= 1;
		assert_int_equal(sign_check(points[0], "p", "body", 4, bad, len), -ERR_SIGNATURE);
	}
}

static void
test_points(void **state)
{
	(void)state;
	uint8_t der[SIGN_DER_MAX_BYTES], point[SIGN_POINT_BYTES];
	size_t len;
	assert_int_equal(sign_bytes(key, "p", "body", 4, der, &len), 0);
	memcpy(point, points[0], sizeof point);
	point[64] ^= 1; /* not on the curve */
	assert_null(sign_key_public(point));
	assert_int_equal(sign_check(point, "p", "body", 4, der, len), -ERR_SIGNATURE);
	memcpy(point, points[0], sizeof point);
	point[0] = 6 + (point[64] & 1); /* hybrid form of the same point */
	assert_null(sign_key_public(point));
	memset(point, 0, sizeof point); /* infinity */
	assert_null(sign_key_public(point));
	EVP_PKEY *root = cert_root_key();
	assert_int_equal(sign_bytes(root, "p", "body", 4, der, &len),
		-ERR_CRYPTO); /* P-384: would not fit */
	assert_int_equal(sign_key_point(root, point), -ERR_CRYPTO);
	sign_key_free(root);
}

static int
open_envelope(const char *purpose, const void *envelope, size_t len, uint8_t *body, size_t cap,
	size_t *body_len)
{
	return sign_open((const void *)points, 2, purpose, envelope, len, body, cap, body_len);
}

static void
test_envelope(void **state)
{
	(void)state;
	uint8_t envelope[SIGN_ENVELOPE_MAX_BYTES], body[1536], text[1537] = "text";
	size_t len, body_len = 77;
	assert_int_equal(sign_envelope(other, "p", text, 4, envelope, sizeof envelope, &len), 0);
	assert_int_equal(open_envelope("p", envelope, len, body, sizeof body, &body_len), 0);
	assert_int_equal(body_len, 4);
	assert_memory_equal(body, "text", 4);
	assert_int_equal(sign_open((const void *)points, 1, "p", envelope, len, body, sizeof body,
				 &body_len),
		-ERR_SIGNATURE); /* only the other key is known */
	assert_int_equal(sign_open(NULL, 0, "p", envelope, len, body, sizeof body, &body_len),
		-ERR_SIGNATURE);
	assert_int_equal(
		open_envelope("q", envelope, len, body, sizeof body, &body_len), -ERR_SIGNATURE);
	assert_int_equal(open_envelope("p", envelope, len, body, 3, &body_len), -ERR_PROTOCOL);
	for (size_t cut = 0; cut < len; cut++)
		assert_true(open_envelope("p", envelope, cut, body, sizeof body, &body_len) < 0);
	for (size_t at = 0; at < len; at++) {
		envelope[at] ^= 1;
		assert_true(open_envelope("p", envelope, len, body, sizeof body, &body_len) < 0);
		envelope[at] ^= 1;
	}
	assert_int_equal(sign_envelope(key, "p", text, 1536, envelope, sizeof envelope, &len), 0);
	assert_int_equal(open_envelope("p", envelope, len, body, sizeof body, &body_len), 0);
	assert_int_equal(body_len, 1536);
	assert_int_equal(sign_envelope(key, "p", text, 1537, envelope, sizeof envelope, &len),
		-ERR_TOO_LONG);
	assert_int_equal(sign_envelope(key, "p", text, 4, envelope, 20, &len), -ERR_TOO_LONG);
	memset(envelope, 0, sizeof envelope);
	assert_int_equal(
		open_envelope("p", envelope, sizeof envelope, body, sizeof body, &body_len),
		-ERR_PROTOCOL);
}

/* The key id only says which key to try: it proves nothing. */
static void
test_key_id_is_a_hint(void **state)
{
	(void)state;
	engawa_Signed e = engawa_Signed_init_zero;
	uint8_t envelope[SIGN_ENVELOPE_MAX_BYTES], body[16];
	size_t len, body_len;
	assert_int_equal(sign_envelope(key, "p", "x", 1, envelope, sizeof envelope, &len), 0);
	pb_istream_t in = pb_istream_from_buffer(envelope, len);
	assert_true(pb_decode(&in, engawa_Signed_fields, &e));
	sign_key_id(points[1], e.key_id.bytes);
	pb_ostream_t out = pb_ostream_from_buffer(envelope, sizeof envelope);
	assert_true(pb_encode(&out, engawa_Signed_fields, &e));
	assert_int_equal(
		open_envelope("p", envelope, out.bytes_written, body, sizeof body, &body_len),
		-ERR_SIGNATURE);
	e.key_id.size = 7;
	out = pb_ostream_from_buffer(envelope, sizeof envelope);
	assert_true(pb_encode(&out, engawa_Signed_fields, &e));
	assert_int_equal(
		open_envelope("p", envelope, out.bytes_written, body, sizeof body, &body_len),
		-ERR_PROTOCOL);
}

static void
test_key_files(void **state)
{
	(void)state;
	char directory[] = "/tmp/engawa-sign-XXXXXX", path[64];
	uint8_t point[SIGN_POINT_BYTES];
	struct stat st;
	EVP_PKEY *loaded = NULL;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/key", directory);
	assert_int_equal(sign_key_load(path, &loaded), -ENOENT);
	assert_int_equal(sign_key_save(key, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(sign_key_save(other, path), -EEXIST);
	assert_int_equal(sign_key_load(path, &loaded), 0);
	assert_int_equal(sign_key_point(loaded, point), 0);
	assert_memory_equal(point, points[0], sizeof point); /* still the first one */
	sign_key_free(loaded);
	loaded = NULL;
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(sign_key_load(path, &loaded), -EPERM);
	assert_int_equal(conf_write_file(path, "-----BEGIN PRIVATE KEY-----\n", 28, 0600), 0);
	assert_int_equal(sign_key_load(path, &loaded), -ERR_CRYPTO);
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	unlink(path);
	assert_int_equal(sign_key_save(rsa, path), 0);
	assert_int_equal(sign_key_load(path, &loaded), -ERR_CRYPTO);
	assert_null(loaded);
	EVP_PKEY_free(rsa);
	unlink(path);
	assert_int_equal(rmdir(directory), 0); /* and no temporary is left */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sign_and_check),
		cmocka_unit_test(test_der_is_strict),
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_key_id_is_a_hint),
		cmocka_unit_test(test_key_files),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
