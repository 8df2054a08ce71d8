#include "crypto/token.h"

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	SLOTS_MAX = 64,
	ID_MAX_BYTES = 256,
	POINT_OFFSET = 2 /* of an EC_POINT: DER octet string around it */
};

static const uint8_t p256_params[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
/* DigestInfo of SHA-256 (RFC 8017 9.2, note 1) */
static const uint8_t sha256_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
	0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

struct card {
	CK_FUNCTION_LIST *p11;
	P11KitUri *uri;
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
	uint8_t id[ID_MAX_BYTES]; /* CKA_ID: key, public key and certificate share it */
	CK_ULONG id_len;
	int is_rsa;
	CK_BBOOL always; /* CKA_ALWAYS_AUTHENTICATE */
};

static int
from_rv(CK_RV rv)
{
	switch (rv) {
	case CKR_OK:
		return 0;
	case CKR_PIN_INCORRECT:
	case CKR_PIN_LEN_RANGE:
	case CKR_PIN_INVALID:
	case CKR_USER_NOT_LOGGED_IN:
		return -ERR_TOKEN_PIN;
	case CKR_PIN_LOCKED:
	case CKR_PIN_EXPIRED:
		return -ERR_TOKEN_LOCKED;
	default:
		LOG(DEBUG, "token", F_INT("rv", rv));
		return -ERR_TOKEN_FAILED;
	}
}

/* Exactly one slot has a token that fits. 0, or -ERR_TOKEN_NONE. */
static int
find_slot(struct card *card, CK_SLOT_ID *ret_slot, CK_TOKEN_INFO *ret_info)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG count = SLOTS_MAX, found = 0;
	CK_TOKEN_INFO info;
	CK_RV rv = card->p11->C_GetSlotList(CK_TRUE, slots, &count);
	if (rv != CKR_OK)
		return rv == CKR_BUFFER_TOO_SMALL ? -ERR_TOKEN_FAILED : from_rv(rv);
	for (CK_ULONG i = 0; i < count; i++) {
		if (card->p11->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
			!p11_kit_uri_match_token_info(card->uri, &info))
			continue;
		*ret_slot = slots[i];
		*ret_info = info;
		found++;
	}
	return found == 1 ? 0 : -ERR_TOKEN_NONE;
}

static int
enter_pin(struct card *card, const char *pin, const CK_TOKEN_INFO *info)
{
	if (!(info->flags & CKF_LOGIN_REQUIRED))
		return 0;
	if (info->flags & CKF_USER_PIN_LOCKED)
		return -ERR_TOKEN_LOCKED;
	if (!pin[0] && !(info->flags & CKF_PROTECTED_AUTHENTICATION_PATH))
		return -ERR_TOKEN_PIN;
	CK_RV rv = card->p11->C_Login(card->session, CKU_USER,
		pin[0] ? (CK_UTF8CHAR *)(uintptr_t)pin : NULL, strlen(pin));
	return rv == CKR_USER_ALREADY_LOGGED_IN ? 0 : from_rv(rv);
}

/* Objects of this class that have the attributes; how many (of the first two), or negative. */
static int
find(struct card *card, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *ret_object)
{
	CK_OBJECT_HANDLE found[2];
	CK_ULONG n = 0;
	CK_RV rv = card->p11->C_FindObjectsInit(card->session, attributes, count);
	if (rv != CKR_OK)
		return from_rv(rv);
	rv = card->p11->C_FindObjects(card->session, found, 2, &n);
	card->p11->C_FindObjectsFinal(card->session);
	if (rv != CKR_OK || n > 2)
		return from_rv(rv == CKR_OK ? CKR_GENERAL_ERROR : rv);
	if (n > 0)
		*ret_object = found[0];
	return (int)n;
}

/* Length, or -1 when it has none or it does not fit. */
static long
attribute(struct card *card, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *out, size_t cap)
{
	CK_ATTRIBUTE a = {type, out, cap};
	return card->p11->C_GetAttributeValue(card->session, object, &a, 1) == CKR_OK &&
			       a.ulValueLen <= cap
		       ? (long)a.ulValueLen
		       : -1;
}

/* The key's own names in the URI, behind attributes that are there; how many there are then. */
static CK_ULONG
add_names(const struct card *card, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	static const CK_ATTRIBUTE_TYPE names[] = {CKA_LABEL, CKA_ID};
	for (size_t i = 0; i < 2; i++) {
		CK_ATTRIBUTE *a = p11_kit_uri_get_attribute(card->uri, names[i]);
		if (a)
			attributes[count++] = *a;
	}
	return count;
}

static int
find_key(struct card *card)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_KEY_TYPE type;
	CK_ATTRIBUTE attributes[3] = {{CKA_CLASS, &class, sizeof class}};
	int n = find(card, attributes, add_names(card, attributes, 1), &card->key);
	if (n != 1)
		return n < 0 ? n : -ERR_TOKEN_NONE;
	long len = attribute(card, card->key, CKA_ID, card->id, sizeof card->id);
	card->id_len = len > 0 ? (CK_ULONG)len : 0;
	if (attribute(card, card->key, CKA_KEY_TYPE, &type, sizeof type) != sizeof type ||
		(type != CKK_EC && type != CKK_RSA))
		return -ERR_TOKEN_NONE;
	card->is_rsa = type == CKK_RSA;
	if (attribute(card, card->key, CKA_ALWAYS_AUTHENTICATE, &card->always,
		    sizeof card->always) != sizeof card->always)
		card->always = CK_FALSE;
	return 0;
}

/* The object beside the key, by its id. */
static int
beside(struct card *card, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *ret_object)
{
	CK_ATTRIBUTE attributes[] = {
		{CKA_CLASS, &class, sizeof class}, {CKA_ID, card->id, card->id_len}};
	return card->id_len > 0 && find(card, attributes, 2, ret_object) == 1;
}

static int
read_point(struct card *card, uint8_t ret_point[static SIGN_POINT_BYTES])
{
	uint8_t params[64], der[POINT_OFFSET + SIGN_POINT_BYTES + 1];
	CK_OBJECT_HANDLE object;
	if (!beside(card, CKO_PUBLIC_KEY, &object) ||
		attribute(card, object, CKA_EC_PARAMS, params, sizeof params) !=
			sizeof p256_params ||
		memcmp(params, p256_params, sizeof p256_params) != 0)
		return -ERR_TOKEN_NONE;
	long len = attribute(card, object, CKA_EC_POINT, der, sizeof der);
	/* some modules give it bare */
	const uint8_t *point = len == SIGN_POINT_BYTES ? der : der + POINT_OFFSET;
	if (len != SIGN_POINT_BYTES && (len != POINT_OFFSET + SIGN_POINT_BYTES || der[0] != 0x04 ||
					       der[1] != SIGN_POINT_BYTES))
		return -ERR_TOKEN_NONE;
	if (point[0] != 4)
		return -ERR_TOKEN_NONE;
	memcpy(ret_point, point, SIGN_POINT_BYTES);
	return 0;
}

static int
sign(struct card *card, const char *pin, const uint8_t *digest, struct token_answer *answer)
{
	uint8_t info[sizeof sha256_info + TOKEN_DIGEST_BYTES];
	CK_MECHANISM mechanism = {card->is_rsa ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0};
	CK_ULONG len = sizeof answer->signature;
	memcpy(info, sha256_info, sizeof sha256_info);
	memcpy(info + sizeof sha256_info, digest, TOKEN_DIGEST_BYTES);
	CK_RV rv = card->p11->C_SignInit(card->session, &mechanism, card->key);
	/* signature keys of some cards want the PIN for each signature */
	if (rv == CKR_OK && card->always)
		rv = card->p11->C_Login(card->session, CKU_CONTEXT_SPECIFIC,
			(CK_UTF8CHAR *)(uintptr_t)pin, strlen(pin));
	if (rv == CKR_OK)
		rv = card->is_rsa ? card->p11->C_Sign(card->session, info, sizeof info,
					    answer->signature, &len)
				  : card->p11->C_Sign(card->session, (CK_BYTE *)(uintptr_t)digest,
					    TOKEN_DIGEST_BYTES, answer->signature, &len);
	if (rv != CKR_OK)
		return from_rv(rv);
	if (len == 0 || len > sizeof answer->signature || (!card->is_rsa && len != SIGN_RAW_BYTES))
		return -ERR_TOKEN_FAILED;
	answer->signature_len = len;
	answer->is_rsa = card->is_rsa;
	return 0;
}

/* One that the token keeps to itself. How many, as find. */
static int
find_secret(struct card *card)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE attributes[6] = {{CKA_CLASS, &class, sizeof class},
		{CKA_SIGN, &yes, sizeof yes}, {CKA_SENSITIVE, &yes, sizeof yes},
		{CKA_EXTRACTABLE, &no, sizeof no}};
	return find(card, attributes, add_names(card, attributes, 4), &card->key);
}

/* With a name, so that it is found again. */
static int
make_secret(struct card *card)
{
	CK_MECHANISM mechanism = {CKM_GENERIC_SECRET_KEY_GEN, NULL, 0};
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_ULONG len = TOKEN_MAC_BYTES;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE attributes[9] = {{CKA_KEY_TYPE, &type, sizeof type},
		{CKA_VALUE_LEN, &len, sizeof len}, {CKA_TOKEN, &yes, sizeof yes},
		{CKA_PRIVATE, &yes, sizeof yes}, {CKA_SIGN, &yes, sizeof yes},
		{CKA_SENSITIVE, &yes, sizeof yes}, {CKA_EXTRACTABLE, &no, sizeof no}};
	CK_ULONG count = add_names(card, attributes, 7);
	return count == 7 ? -ERR_TOKEN_NONE
			  : from_rv(card->p11->C_GenerateKey(
				    card->session, &mechanism, attributes, count, &card->key));
}

static int
mac(struct card *card, const struct token_question *q, struct token_answer *answer)
{
	CK_MECHANISM mechanism = {CKM_SHA256_HMAC, NULL, 0};
	CK_ULONG len = sizeof answer->signature;
	int n = find_secret(card);
	if (n == 0 && q->use == TOKEN_MAC_MAKE)
		n = make_secret(card) == 0 ? 1 : -ERR_TOKEN_FAILED;
	if (n != 1)
		return n < 0 ? n : -ERR_TOKEN_NONE;
	CK_RV rv = card->p11->C_SignInit(card->session, &mechanism, card->key);
	if (rv == CKR_OK)
		rv = card->p11->C_Sign(card->session, (CK_BYTE *)(uintptr_t)q->digest,
			TOKEN_DIGEST_BYTES, answer->signature, &len);
	if (rv != CKR_OK)
		return from_rv(rv);
	answer->signature_len = len;
	return len == TOKEN_MAC_BYTES ? 0 : -ERR_TOKEN_FAILED;
}

/* With the key pair, and what lies beside it. */
static int
use_pair(struct card *card, const struct token_question *q, struct token_answer *answer)
{
	CK_OBJECT_HANDLE object;
	int r = find_key(card);
	if (r == 0 && !card->is_rsa)
		r = read_point(card, answer->point);
	if (r == 0)
		r = sign(card, q->pin, q->digest, answer);
	if (r == 0 && beside(card, CKO_CERTIFICATE, &object)) {
		long len = attribute(card, object, CKA_VALUE, answer->cert, sizeof answer->cert);
		answer->cert_len = len > 0 ? (size_t)len : 0;
	}
	return r;
}

static int
use_card(struct card *card, const struct token_question *q, struct token_answer *answer)
{
	CK_SLOT_ID slot = 0;
	CK_TOKEN_INFO info = {.flags = 0};
	CK_FLAGS writes = q->use == TOKEN_MAC_MAKE ? CKF_RW_SESSION : 0;
	int r = find_slot(card, &slot, &info);
	if (r == 0)
		r = from_rv(card->p11->C_OpenSession(
			slot, CKF_SERIAL_SESSION | writes, NULL, NULL, &card->session));
	if (r < 0)
		return r;
	r = enter_pin(card, q->pin, &info);
	if (r == 0)
		r = q->use == TOKEN_SIGN ? use_pair(card, q, answer) : mac(card, q, answer);
	card->p11->C_Logout(card->session);
	card->p11->C_CloseSession(card->session);
	return r;
}

/* NULL when it is none, or one that a question must not have: a PIN, or a module to load. */
static P11KitUri *
parse_uri(const char *text)
{
	P11KitUri *uri = p11_kit_uri_new();
	if (uri &&
		p11_kit_uri_parse(text, P11_KIT_URI_FOR_OBJECT_ON_TOKEN, uri) == P11_KIT_URI_OK &&
		!p11_kit_uri_any_unrecognized(uri) && !p11_kit_uri_get_pin_value(uri) &&
		!p11_kit_uri_get_pin_source(uri) && !p11_kit_uri_get_module_path(uri))
		return uri;
	p11_kit_uri_free(uri);
	return NULL;
}

int
token_fits(const char *module, const char *uri)
{
	P11KitUri *parsed = parse_uri(uri);
	p11_kit_uri_free(parsed);
	return parsed && module[0] == '/';
}

int
token_sign(const struct token_question *question, struct token_answer *ret_answer)
{
	struct card card = {.uri = parse_uri(question->uri)};
	memset(ret_answer, 0, sizeof *ret_answer);
	card.p11 = card.uri && question->module[0] == '/' ? p11_kit_module_load(question->module, 0)
							  : NULL;
	int r = card.p11 ? 0 : -ERR_TOKEN_NONE;
	if (r == 0)
		r = from_rv(p11_kit_module_initialize(card.p11));
	if (r == 0) {
		r = use_card(&card, question, ret_answer);
		p11_kit_module_finalize(card.p11);
	}
	if (card.p11)
		p11_kit_module_release(card.p11);
	p11_kit_uri_free(card.uri);
	return r;
}
