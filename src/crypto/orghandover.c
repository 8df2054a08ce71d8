#include "crypto/orghandover.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "base/wire.h"

#define PURPOSE "engawa handover v1"

enum {
	BODY_MAX_BYTES = sizeof((struct orgfile *)0)->id + SIGN_POINT_BYTES
};

/* organisation ‖ 0x00 ‖ next key */
static size_t
body_of(const char *organisation, const uint8_t *next, uint8_t out[static BODY_MAX_BYTES])
{
	struct wr w = wr_init(out, BODY_MAX_BYTES);
	wr_bytes(&w, organisation, strlen(organisation) + 1);
	wr_bytes(&w, next, SIGN_POINT_BYTES);
	return w.failed ? 0 : w.len;
}

int
orghandover_make(struct evp_pkey_st *old, const char *organisation,
	const uint8_t next[static SIGN_POINT_BYTES], char ret_value[static ORGHANDOVER_LINE_SIZE])
{
	uint8_t body[BODY_MAX_BYTES], point[SIGN_POINT_BYTES], der[SIGN_DER_MAX_BYTES];
	char key[SIGN_POINT_BYTES * 2], signature[SIGN_DER_MAX_BYTES * 2];
	size_t len = body_of(organisation, next, body), der_len;
	int r = len ? sign_key_point(old, point) : -ERR_CRYPTO;
	if (r == 0)
		r = sign_bytes(old, PURPOSE, body, len, der, &der_len);
	if (r < 0)
		return r;
	str_base64(key, point, sizeof point);
	str_base64(signature, der, der_len);
	return str_print(ret_value, ORGHANDOVER_LINE_SIZE, "%s %s", key, signature) < 0
		       ? -ERR_CRYPTO
		       : 0;
}

int
orghandover_take(const char *value, struct orgfile_handover *ret_handover)
{
	struct orgfile_handover *h = ret_handover;
	size_t key_len = strcspn(value, " "), len;
	struct evp_pkey_st *key = NULL;
	if (!value[key_len] || str_unbase64(value, key_len, h->point, sizeof h->point, &len) < 0 ||
		len != sizeof h->point || !(key = sign_key_public(h->point)))
		return -ERR_SETTING;
	sign_key_free(key);
	value += key_len + 1;
	return str_unbase64(value, strlen(value), h->der, sizeof h->der, &h->der_len) < 0
		       ? -ERR_SETTING
		       : 0;
}

int
orghandover_check(const struct orgfile *org)
{
	uint8_t body[BODY_MAX_BYTES];
	int r = 0;
	for (size_t i = 0; r == 0 && i < org->handover_count; i++) {
		const struct orgfile_handover *h = &org->handovers[i];
		size_t len = body_of(
			org->id, i + 1 < org->handover_count ? h[1].point : org->signing_key, body);
		r = sign_check(h->point, PURPOSE, body, len, h->der, h->der_len);
	}
	return r;
}

int
orghandover_leads(const struct orgfile *org, const uint8_t from[static SIGN_POINT_BYTES])
{
	for (size_t i = 0; i < org->handover_count; i++)
		if (memcmp(org->handovers[i].point, from, SIGN_POINT_BYTES) == 0)
			return 1;
	return 0;
}
