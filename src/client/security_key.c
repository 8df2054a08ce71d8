#include "client/security_key.h"

#include <fido.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	KEYS_MAX = 8,
	USER_BYTES = 32,
	CLIENT_DATA_SIZE = 512,
	CHALLENGE_SIZE = 48
};

fido_dev_t *
security_key_open(void *user, size_t i)
{
	fido_dev_info_t *list = fido_dev_info_new(KEYS_MAX);
	fido_dev_t *dev = NULL;
	size_t count = 0;
	(void)user;
	if (list && fido_dev_info_manifest(list, KEYS_MAX, &count) == FIDO_OK && i < count)
		dev = fido_dev_new_with_info(fido_dev_info_ptr(list, i));
	if (dev && fido_dev_open_with_info(dev) != FIDO_OK)
		fido_dev_free(&dev);
	fido_dev_info_free(&list, KEYS_MAX);
	return dev;
}

/* One credential per office PC and person: the first half is the office PC's. */
static void
user_of(const struct security_key_question *q, uint8_t out[static USER_BYTES])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	SHA256((const uint8_t *)q->terminal, strlen(q->terminal), hash);
	memcpy(out, hash, USER_BYTES / 2);
	SHA256((const uint8_t *)q->asked.person, strlen(q->asked.person), hash);
	memcpy(out + USER_BYTES / 2, hash, USER_BYTES / 2);
}

/* As WebAuthn 5.8.1.1 serializes it. Its length. */
static size_t
client_data(
	const struct security_key_question *q, const char *type, char out[static CLIENT_DATA_SIZE])
{
	static const char label[] = "engawa webauthn v1"; /* with its NUL */
	uint8_t text[sizeof label + sizeof q->hash], challenge[SHA256_DIGEST_LENGTH];
	char encoded[CHALLENGE_SIZE];
	memcpy(text, label, sizeof label);
	memcpy(text + sizeof label, q->hash, sizeof q->hash);
	SHA256(text, sizeof text, challenge);
	str_base64(encoded, challenge, sizeof challenge);
	for (char *p = encoded; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	encoded[strcspn(encoded, "=")] = '\0';
	snprintf(out, CLIENT_DATA_SIZE,
		"{\"type\":\"%s\",\"challenge\":\"%s\",\"origin\":\"engawa:%s\",\"crossOrigin\":false}",
		type, encoded, q->asked.rp_id);
	return strlen(out);
}

/* An ID goes into JSON as it stands. */
static int
rp_id_fits(const char *id)
{
	return *id && !id[strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789.-")];
}

/* NULL where the key asks by itself (fingerprint), or nothing is asked for. */
static const char *
pin_of(const struct security_key_question *q, fido_dev_t *dev)
{
	return q->pin[0] && fido_dev_has_pin(dev) ? q->pin : NULL;
}

static int
wants_uv(const struct security_key_question *q, fido_dev_t *dev)
{
	return q->asked.user_verification && fido_dev_has_uv(dev) && !pin_of(q, dev);
}

/* Why libfido2 could not. */
static int
failure(int r)
{
	return r == FIDO_ERR_PIN_INVALID || r == FIDO_ERR_PIN_REQUIRED       ? -ERR_WEBAUTHN_PIN
	       : r == FIDO_ERR_PIN_BLOCKED || r == FIDO_ERR_PIN_AUTH_BLOCKED ? -ERR_WEBAUTHN_BLOCKED
									     : -ERR_WEBAUTHN_DEVICE;
}

/* A signature that does not say what was asked for is a failure that counts at the office PC. */
static int
can_verify(const struct security_key_question *q, fido_dev_t *dev)
{
	return !q->asked.user_verification || pin_of(q, dev) || fido_dev_has_uv(dev);
}

static void
close_key(fido_dev_t *dev)
{
	fido_dev_close(dev);
	fido_dev_free(&dev);
}

/* libfido2 gives the data of the authenticator as a byte string of CBOR: its head is two bytes for
 * these lengths. */
static int
take_authenticator_data(
	const fido_assert_t *a, size_t i, engawa_WebauthnAssertion_authenticator_data_t *out)
{
	const uint8_t *p = fido_assert_authdata_ptr(a, i);
	size_t len = fido_assert_authdata_len(a, i);
	if (!p || len < 2 || p[0] != 0x58 || p[1] != len - 2 || len - 2 > sizeof out->bytes)
		return -1;
	out->size = (pb_size_t)(len - 2);
	memcpy(out->bytes, p + 2, len - 2);
	return 0;
}

static int
take(uint8_t *out, size_t cap, pb_size_t *ret_len, const void *p, size_t len)
{
	if (!p || len > cap)
		return -1;
	memcpy(out, p, len);
	*ret_len = (pb_size_t)len;
	return 0;
}
#define TAKE(out, p, len) take((out).bytes, sizeof(out).bytes, &(out).size, p, len)

/* Of several for this domain the one of this office PC. */
static int
take_assertion(const struct security_key_question *q, const fido_assert_t *a,
	engawa_WebauthnAssertion *out)
{
	uint8_t user[USER_BYTES];
	user_of(q, user);
	for (size_t i = 0; i < fido_assert_count(a); i++) {
		if (fido_assert_user_id_len(a, i) != USER_BYTES ||
			memcmp(fido_assert_user_id_ptr(a, i), user, USER_BYTES / 2) != 0)
			continue;
		return TAKE(out->credential, fido_assert_id_ptr(a, i), fido_assert_id_len(a, i)) ==
					       0 &&
				       TAKE(out->signature, fido_assert_sig_ptr(a, i),
					       fido_assert_sig_len(a, i)) == 0 &&
				       take_authenticator_data(a, i, &out->authenticator_data) == 0
			       ? 0
			       : -ERR_WEBAUTHN_DEVICE;
	}
	return -ERR_WEBAUTHN_DEVICE;
}

static int
sign_with(const struct security_key_question *q, fido_dev_t *dev, engawa_WebauthnAssertion *out)
{
	char data[CLIENT_DATA_SIZE];
	size_t len = client_data(q, "webauthn.get", data);
	fido_assert_t *a = fido_assert_new();
	int r = a ? fido_assert_set_rp(a, q->asked.rp_id) : FIDO_ERR_INTERNAL;
	if (r == FIDO_OK)
		r = fido_assert_set_clientdata(a, (const uint8_t *)data, len);
	if (r == FIDO_OK && wants_uv(q, dev))
		r = fido_assert_set_uv(a, FIDO_OPT_TRUE);
	if (r == FIDO_OK)
		r = fido_dev_get_assert(dev, a, pin_of(q, dev));
	int result = r != FIDO_OK                             ? failure(r)
		     : TAKE(out->client_data, data, len) == 0 ? take_assertion(q, a, out)
							      : -ERR_WEBAUTHN_DEVICE;
	fido_assert_free(&a);
	return result;
}

static int
make_with(const struct security_key_question *q, fido_dev_t *dev, engawa_WebauthnKey *out)
{
	char data[CLIENT_DATA_SIZE], name[192];
	uint8_t user[USER_BYTES];
	size_t len = client_data(q, "webauthn.create", data);
	user_of(q, user);
	snprintf(name, sizeof name, "%s%sPC …%s", q->asked.person, *q->asked.person ? " " : "",
		strlen(q->terminal) > 4 ? q->terminal + strlen(q->terminal) - 4 : "");
	fido_cred_t *c = fido_cred_new();
	int r = c ? fido_cred_set_type(c, COSE_ES256) : FIDO_ERR_INTERNAL;
	if (r == FIDO_OK)
		r = fido_cred_set_rp(c, q->asked.rp_id, "Engawa");
	if (r == FIDO_OK)
		r = fido_cred_set_user(c, user, sizeof user, name, name, NULL);
	if (r == FIDO_OK)
		r = fido_cred_set_clientdata(c, (const uint8_t *)data, len);
	if (r == FIDO_OK)
		r = fido_cred_set_rk(c, FIDO_OPT_TRUE);
	if (r == FIDO_OK && wants_uv(q, dev))
		r = fido_cred_set_uv(c, FIDO_OPT_TRUE);
	if (r == FIDO_OK)
		r = fido_dev_make_cred(dev, c, pin_of(q, dev));
	out->algorithm = COSE_ES256;
	int result = -ERR_WEBAUTHN_DEVICE;
	if (r != FIDO_OK)
		result = failure(r);
	else if (TAKE(out->credential, fido_cred_id_ptr(c), fido_cred_id_len(c)) == 0 &&
		 TAKE(out->public_key, fido_cred_pubkey_ptr(c), fido_cred_pubkey_len(c)) == 0)
		result = 0;
	fido_cred_free(&c);
	return result;
}

/* One key after another until one has done it: of keys that have no credential libfido2 hears so
 * at once. A PIN that was wrong is not tried at the next one. Exactly one of the two outs. */
static int
use(const struct security_key_question *q, engawa_WebauthnAssertion *assertion,
	engawa_WebauthnKey *key)
{
	int r = -ERR_WEBAUTHN_DEVICE;
	fido_dev_t *dev;
	if (!rp_id_fits(q->asked.rp_id))
		return -ERR_PROTOCOL;
	fido_init(FIDO_DISABLE_U2F_FALLBACK);
	for (size_t i = 0; r == -ERR_WEBAUTHN_DEVICE && i < KEYS_MAX && (dev = q->open(q->user, i));
		i++) {
		fido_dev_set_timeout(dev, SECURITY_KEY_MS);
		r = !can_verify(q, dev) ? -ERR_WEBAUTHN_PIN
		    : assertion         ? sign_with(q, dev, assertion)
					: make_with(q, dev, key);
		close_key(dev);
	}
	return r;
}

int
security_key_sign(const struct security_key_question *q, engawa_WebauthnAssertion *ret_assertion)
{
	engawa_WebauthnAssertion out = engawa_WebauthnAssertion_init_zero;
	int r = use(q, &out, NULL);
	if (r == 0)
		*ret_assertion = out;
	return r;
}

int
security_key_make(const struct security_key_question *q, engawa_WebauthnKey *ret_key)
{
	engawa_WebauthnKey out = engawa_WebauthnKey_init_zero;
	int r = use(q, NULL, &out);
	if (r == 0)
		*ret_key = out;
	return r;
}
