#include "agent/webauthn.h"

#include <fido.h>
#include <fido/eddsa.h>
#include <fido/es256.h>
#include <fido/rs256.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

enum {
	AUTHENTICATOR_DATA_BYTES =
		37, /* hash of the RP ID, flags, counter: nothing else is asked for */
	FLAG_UP = 0x01,
	FLAG_UV = 0x04,
	CHALLENGE_TEXT_SIZE = 44, /* base64 without padding */
	CLIENT_DATA_MAX = 1024
};

_Static_assert(COSE_ES256 == (int)WEBAUTHN_ES256 && COSE_EDDSA == (int)WEBAUTHN_EDDSA &&
		       COSE_RS256 == (int)WEBAUTHN_RS256,
	"libfido2's numbers are those of COSE");

int
webauthn_challenge(
	const uint8_t hash[static 32], uint8_t ret_challenge[static WEBAUTHN_CHALLENGE_BYTES])
{
	static const char label[] = "engawa webauthn v1"; /* with its NUL */
	uint8_t text[sizeof label + 32];
	memcpy(text, label, sizeof label);
	memcpy(text + sizeof label, hash, 32);
	return EVP_Digest(text, sizeof text, ret_challenge, NULL, EVP_sha256(), NULL) == 1
		       ? 0
		       : -ERR_CRYPTO;
}

/* ---- public keys ---- */

struct public_key {
	es256_pk_t *es256;
	eddsa_pk_t *eddsa;
	rs256_pk_t *rs256;
	const void *any; /* NULL: not fit */
};

static void
public_key_fini(struct public_key *k)
{
	es256_pk_free(&k->es256);
	eddsa_pk_free(&k->eddsa);
	rs256_pk_free(&k->rs256);
}

/* Converting it shows whether the point is on the curve. */
static int
is_sound(EVP_PKEY *key)
{
	int sound = key != NULL;
	EVP_PKEY_free(key);
	return sound;
}

static void
public_key_init(struct public_key *k, int32_t algorithm, const uint8_t *p, size_t len)
{
	*k = (struct public_key){0};
	if (algorithm == WEBAUTHN_ES256 && len == 64 && (k->es256 = es256_pk_new()) &&
		es256_pk_from_ptr(k->es256, p, len) == FIDO_OK &&
		is_sound(es256_pk_to_EVP_PKEY(k->es256)))
		k->any = k->es256;
	if (algorithm == WEBAUTHN_EDDSA && len == 32 && (k->eddsa = eddsa_pk_new()) &&
		eddsa_pk_from_ptr(k->eddsa, p, len) == FIDO_OK &&
		is_sound(eddsa_pk_to_EVP_PKEY(k->eddsa)))
		k->any = k->eddsa;
	/* a small modulus in a large field would be a weak key */
	if (algorithm == WEBAUTHN_RS256 && len == 259 && p[0] & 0x80 &&
		(k->rs256 = rs256_pk_new()) && rs256_pk_from_ptr(k->rs256, p, len) == FIDO_OK &&
		is_sound(rs256_pk_to_EVP_PKEY(k->rs256)))
		k->any = k->rs256;
}

int
webauthn_key_fit(int32_t algorithm, const uint8_t *public_key, size_t len)
{
	struct public_key key;
	public_key_init(&key, algorithm, public_key, len);
	int fit = key.any != NULL;
	public_key_fini(&key);
	return fit;
}

/* ---- client data ---- */

/* Takes text from the front. 1 when it was there. */
static int
take(const char **p, size_t *left, const char *text)
{
	size_t len = strlen(text);
	if (*left < len || memcmp(*p, text, len) != 0)
		return 0;
	*p += len;
	*left -= len;
	return 1;
}

/* base64url without padding. */
static void
challenge_text(const uint8_t *challenge, char ret_text[static CHALLENGE_TEXT_SIZE + 1])
{
	str_base64(ret_text, challenge, WEBAUTHN_CHALLENGE_BYTES);
	for (char *p = ret_text; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	ret_text[strcspn(ret_text, "=")] = '\0';
}

/* Behind type and challenge: origin, and no frame of another site. What a browser adds behind that
 * is allowed for (5.8.1.1). */
static int
origin_fits(const char *p, size_t left, const char *scheme, const char *origin)
{
	if (!take(&p, &left, scheme) || !take(&p, &left, origin) || !take(&p, &left, "\""))
		return 0;
	if (left == 1)
		return *p == '}';
	return take(&p, &left, ",\"crossOrigin\":false") && p[left - 1] == '}' &&
	       (left == 1 || *p == ',');
}

static const char *
client_data_wrong(
	const struct webauthn_rp *rp, const uint8_t *challenge, const char *p, size_t left)
{
	char text[CHALLENGE_TEXT_SIZE + 1];
	challenge_text(challenge, text);
	if (!take(&p, &left, "{\"type\":\"webauthn.get\",\"challenge\":\""))
		return "type";
	if (!take(&p, &left, text) || !take(&p, &left, "\",\"origin\":\""))
		return "challenge";
	/* of native programs: no web page can have it */
	if (origin_fits(p, left, "engawa:", rp->id))
		return NULL;
	if (rp->origins->count == 0)
		return origin_fits(p, left, "https://", rp->id) ? NULL : "origin";
	for (size_t i = 0; i < rp->origins->count; i++)
		if (origin_fits(p, left, "", rp->origins->items[i]))
			return NULL;
	return "origin";
}

/* ---- assertion ---- */

/* Hash of the RP ID, flags and signature. */
static int
signature_fits(
	const struct webauthn_rp *rp, const struct webauthn_key *key, const struct assertion *a)
{
	struct public_key public;
	fido_assert_t *fido = fido_assert_new();
	public_key_init(&public, key->algorithm, key->public_key, key->public_key_len);
	int r = public.any && fido ? fido_assert_set_count(fido, 1) : FIDO_ERR_INTERNAL;
	if (r == FIDO_OK)
		r = fido_assert_set_rp(fido, rp->id);
	if (r == FIDO_OK)
		r = fido_assert_set_clientdata(fido, a->client_data, a->client_data_len);
	if (r == FIDO_OK)
		r = fido_assert_set_authdata_raw(
			fido, 0, a->authenticator_data, a->authenticator_data_len);
	if (r == FIDO_OK)
		r = fido_assert_set_sig(fido, 0, a->signature, a->signature_len);
	if (r == FIDO_OK)
		r = fido_assert_set_up(fido, FIDO_OPT_TRUE);
	if (r == FIDO_OK && rp->user_verification)
		r = fido_assert_set_uv(fido, FIDO_OPT_TRUE);
	if (r == FIDO_OK)
		r = fido_assert_verify(fido, 0, key->algorithm, public.any);
	fido_assert_free(&fido);
	public_key_fini(&public);
	return r == FIDO_OK;
}

int
webauthn_verify(const struct webauthn_rp *rp,
	const uint8_t challenge[static WEBAUTHN_CHALLENGE_BYTES], const struct webauthn_key *key,
	const struct assertion *a, uint32_t *ret_counter, const char **ret_why)
{
	const uint8_t *data = a->authenticator_data;
	*ret_why =
		client_data_wrong(rp, challenge, (const char *)a->client_data, a->client_data_len);
	if (!*ret_why &&
		(a->authenticator_data_len != AUTHENTICATOR_DATA_BYTES || !a->signature_len))
		*ret_why = "form";
	if (*ret_why)
		return -ERR_WEBAUTHN_WRONG;
	if (!(data[32] & FLAG_UP) || (rp->user_verification && !(data[32] & FLAG_UV)))
		*ret_why = "presence";
	else if (!signature_fits(rp, key, a))
		*ret_why = "signature";
	if (*ret_why)
		return -ERR_WEBAUTHN_WRONG;
	uint32_t counter = (uint32_t)data[33] << 24 | (uint32_t)data[34] << 16 |
			   (uint32_t)data[35] << 8 | data[36];
	/* one that does not go forward comes from a copy of the key, or was recorded; keys that do
	 * not count say 0 */
	if ((key->counter || counter) && counter <= key->counter) {
		*ret_why = "counter";
		return -ERR_WEBAUTHN_WRONG;
	}
	*ret_counter = counter;
	return 0;
}
