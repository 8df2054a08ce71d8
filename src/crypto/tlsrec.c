#include "crypto/tlsrec.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/wire.h"

enum { TAG_BYTES = 16, LEGACY_VERSION = 0x0303 };

/* RFC 8446 5.1 */
enum content_type { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23 };

/* RFC 8446 4 and 4.6.3 */
enum { KEY_UPDATE = 24, UPDATE_NOT_REQUESTED = 0, UPDATE_REQUESTED = 1, ALERT_WARNING = 1, ALERT_FATAL = 2 };

static const struct {
	uint16_t id;
	size_t key_bytes, secret_bytes;
	uint64_t records_max; /* of one key */
} suites[] = {
	[TLSREC_AES_128_GCM] = { 0x1301, 16, 32, TLSREC_KEY_RECORDS_MAX },
	[TLSREC_AES_256_GCM] = { 0x1302, 32, 48, TLSREC_KEY_RECORDS_MAX },
	[TLSREC_CHACHA20_POLY1305] = { 0x1303, 32, 32, UINT64_MAX },
};

enum { SUITE_COUNT = sizeof suites / sizeof suites[0] };

/* A context and the key that it was given last: a connection that moves many records does not pay for the key's schedule with
 * each. */
struct cipher {
	EVP_CIPHER_CTX *ctx;
	uint8_t key[TLSREC_KEY_MAX_BYTES];
	int has_key;
};

struct tlsrec_crypto {
	struct cipher open[SUITE_COUNT], seal[SUITE_COUNT];
};

static const EVP_CIPHER *
cipher_of(size_t suite)
{
	return suite == TLSREC_AES_128_GCM ? EVP_aes_128_gcm()
		: suite == TLSREC_AES_256_GCM ? EVP_aes_256_gcm()
					      : EVP_chacha20_poly1305();
}

static EVP_CIPHER_CTX *
context_new(size_t suite, int sealing)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (ctx && EVP_CipherInit_ex(ctx, cipher_of(suite), NULL, NULL, NULL, sealing) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, TLSREC_IV_BYTES, NULL) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

struct tlsrec_crypto *
tlsrec_crypto_new(void)
{
	struct tlsrec_crypto *crypto = mem_array(1, sizeof *crypto);
	for (size_t i = 0; crypto && i < SUITE_COUNT; i++) {
		crypto->open[i].ctx = context_new(i, 0);
		crypto->seal[i].ctx = context_new(i, 1);
		if (!crypto->open[i].ctx || !crypto->seal[i].ctx) {
			tlsrec_crypto_free(crypto);
			return NULL;
		}
	}
	return crypto;
}

void
tlsrec_crypto_free(struct tlsrec_crypto *crypto)
{
	if (!crypto)
		return;
	for (size_t i = 0; i < SUITE_COUNT; i++) {
		EVP_CIPHER_CTX_free(crypto->open[i].ctx);
		EVP_CIPHER_CTX_free(crypto->seal[i].ctx);
	}
	mem_wipe_free(crypto, sizeof *crypto);
}

/* HKDF-Expand-Label(secret, label, "", length), RFC 8446 7.1; one block is enough for every use here. */
static int
expand_label(const uint8_t *secret, size_t hash_bytes, const char *label, uint8_t *out, size_t length)
{
	uint8_t info[64], block[EVP_MAX_MD_SIZE];
	unsigned block_len = 0;
	size_t label_len = strlen(label);
	struct wr w = wr_init(info, sizeof info);
	wr_u16(&w, (uint16_t)length);
	wr_u8(&w, (uint8_t)(6 + label_len));
	wr_bytes(&w, "tls13 ", 6);
	wr_bytes(&w, label, label_len);
	wr_u8(&w, 0);
	wr_u8(&w, 1); /* HKDF-Expand: T(1) = HMAC(secret, info 0x01) */
	assert(!w.failed && length <= hash_bytes);
	const EVP_MD *md = hash_bytes == 48 ? EVP_sha384() : EVP_sha256();
	int ok = HMAC(md, secret, (int)hash_bytes, info, w.len, block, &block_len) != NULL;
	if (ok)
		memcpy(out, block, length);
	mem_wipe(block, sizeof block);
	return ok ? 0 : -ERR_CRYPTO;
}

/* RFC 8446 7.3 */
static int
derive(struct tlsrec_key *k, uint8_t suite)
{
	size_t n = suites[suite].secret_bytes;
	int r = expand_label(k->secret, n, "key", k->key, suites[suite].key_bytes);
	return r < 0 ? r : expand_label(k->secret, n, "iv", k->iv, TLSREC_IV_BYTES);
}

/* RFC 8446 7.2 */
static int
advance(struct tlsrec_key *k, uint8_t suite)
{
	uint8_t next[TLSREC_SECRET_MAX_BYTES];
	size_t n = suites[suite].secret_bytes;
	int r = expand_label(k->secret, n, "traffic upd", next, n);
	if (r == 0) {
		memcpy(k->secret, next, n);
		k->seq = 0;
		r = derive(k, suite);
	}
	mem_wipe(next, sizeof next);
	return r;
}

int
tlsrec_suite_find(uint16_t cipher_id, enum tlsrec_suite *ret_suite)
{
	for (size_t i = 0; i < SUITE_COUNT; i++) {
		if (suites[i].id == cipher_id) {
			*ret_suite = (enum tlsrec_suite)i;
			return 0;
		}
	}
	return -ERR_CRYPTO;
}

size_t
tlsrec_secret_bytes(enum tlsrec_suite suite)
{
	return suites[suite].secret_bytes;
}

int
tlsrec_init(struct tlsrec *t, enum tlsrec_suite suite, const uint8_t *client_secret, const uint8_t *server_secret,
	uint64_t in_seq, uint64_t out_seq)
{
	*t = (struct tlsrec){ .suite = (uint8_t)suite };
	memcpy(t->in.secret, client_secret, suites[suite].secret_bytes);
	memcpy(t->out.secret, server_secret, suites[suite].secret_bytes);
	t->in.seq = in_seq;
	t->out.seq = out_seq;
	int r = derive(&t->in, t->suite);
	return r < 0 ? r : derive(&t->out, t->suite);
}

void
tlsrec_fini(struct tlsrec *t)
{
	if (t)
		mem_wipe(t, sizeof *t);
}

int
tlsrec_length(const uint8_t *data, size_t len)
{
	if (len >= 1 && data[0] != APPLICATION_DATA)
		return -TLSREC_ALERT_UNEXPECTED_MESSAGE;
	if (len < TLSREC_HEADER_BYTES)
		return 0;
	struct rd r = rd_init(data, len);
	rd_u8(&r);
	rd_u16(&r); /* legacy_record_version is ignored, RFC 8446 5.1 */
	size_t body = rd_u16(&r);
	if (body > TLSREC_WIRE_MAX_BYTES - TLSREC_HEADER_BYTES)
		return -TLSREC_ALERT_RECORD_OVERFLOW;
	if (body < TAG_BYTES)
		return -TLSREC_ALERT_BAD_RECORD_MAC;
	return (int)(TLSREC_HEADER_BYTES + body);
}

/* RFC 8446 5.3: the sequence number, padded left, XOR the IV. */
static void
nonce_of(const struct tlsrec_key *k, uint8_t nonce[static TLSREC_IV_BYTES])
{
	memcpy(nonce, k->iv, TLSREC_IV_BYTES);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] ^= (uint8_t)(k->seq >> (56 - 8 * i));
}

/* Ready for one record of this direction. 1 or 0. */
static int
prepare(struct cipher *c, const struct tlsrec_key *k)
{
	uint8_t nonce[TLSREC_IV_BYTES];
	nonce_of(k, nonce);
	if (c->has_key && mem_equal(c->key, k->key, sizeof c->key))
		return EVP_CipherInit_ex(c->ctx, NULL, NULL, NULL, nonce, -1) == 1;
	c->has_key = EVP_CipherInit_ex(c->ctx, NULL, NULL, k->key, nonce, -1) == 1;
	memcpy(c->key, k->key, sizeof c->key);
	return c->has_key;
}

/* The header is the additional data, RFC 8446 5.2. */
static int
decrypt(struct tlsrec *t, struct tlsrec_crypto *crypto, uint8_t *record, size_t body)
{
	EVP_CIPHER_CTX *ctx = crypto->open[t->suite].ctx;
	uint8_t *text = record + TLSREC_HEADER_BYTES;
	size_t text_len = body - TAG_BYTES;
	int n;
	if (!prepare(&crypto->open[t->suite], &t->in) ||
		EVP_DecryptUpdate(ctx, NULL, &n, record, TLSREC_HEADER_BYTES) != 1 ||
		EVP_DecryptUpdate(ctx, text, &n, text, (int)text_len) != 1 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, text + text_len) != 1 ||
		EVP_DecryptFinal_ex(ctx, text + n, &n) != 1)
		return -TLSREC_ALERT_BAD_RECORD_MAC;
	t->in.seq++;
	return 0;
}

static int
on_alert(struct tlsrec *t, const uint8_t *data, size_t len)
{
	if (len != 2)
		return -TLSREC_ALERT_DECODE_ERROR;
	if (data[1] == TLSREC_ALERT_CLOSE_NOTIFY)
		t->closed = 1;
	else if (data[1] != TLSREC_ALERT_USER_CANCELED)
		return TLSREC_PEER_ALERT; /* all others are fatal whatever their level says, RFC 8446 6.2 */
	return 0;
}

/* KeyUpdate is the only post-handshake message that a client which was asked for nothing may send. */
static int
on_handshake(struct tlsrec *t, const uint8_t *data, size_t len)
{
	if (len > sizeof t->partial - t->partial_len)
		/* a key change must end its record, and nothing longer is due: RFC 8446 5.1 */
		return -TLSREC_ALERT_UNEXPECTED_MESSAGE;
	memcpy(t->partial + t->partial_len, data, len);
	t->partial_len = (uint8_t)(t->partial_len + len);
	if (t->partial[0] != KEY_UPDATE)
		return -TLSREC_ALERT_UNEXPECTED_MESSAGE;
	struct rd r = rd_init(t->partial, t->partial_len);
	rd_u8(&r);
	uint32_t body = rd_u24(&r);
	if (!r.failed && body != 1)
		return -TLSREC_ALERT_DECODE_ERROR;
	uint8_t request = rd_u8(&r);
	if (r.failed)
		return 0; /* the rest comes in the next record */
	t->partial_len = 0;
	if (request != UPDATE_NOT_REQUESTED && request != UPDATE_REQUESTED)
		return -TLSREC_ALERT_ILLEGAL_PARAMETER;
	if (++t->updates > TLSREC_UPDATES_MAX)
		return -TLSREC_ALERT_UNEXPECTED_MESSAGE;
	if (request == UPDATE_REQUESTED)
		t->update_wanted = 1;
	t->asked = 0;
	return advance(&t->in, t->suite) < 0 ? -TLSREC_ALERT_INTERNAL_ERROR : 0;
}

int
tlsrec_open(struct tlsrec *t, struct tlsrec_crypto *crypto, uint8_t *record, size_t len, uint8_t **ret_data,
	size_t *ret_len)
{
	assert(len >= TLSREC_HEADER_BYTES + TAG_BYTES && len <= TLSREC_WIRE_MAX_BYTES);
	if (t->in.seq >= suites[t->suite].records_max)
		return TLSREC_KEY_WORN;
	int r = decrypt(t, crypto, record, len - TLSREC_HEADER_BYTES);
	if (r < 0)
		return r;
	uint8_t *data = record + TLSREC_HEADER_BYTES;
	size_t n = len - TLSREC_HEADER_BYTES - TAG_BYTES;
	if (n > TLSREC_PLAIN_MAX_BYTES + 1)
		return -TLSREC_ALERT_RECORD_OVERFLOW; /* padding counts too, RFC 8446 5.4 */
	while (n > 0 && data[n - 1] == 0)
		n--;
	if (n == 0)
		return -TLSREC_ALERT_UNEXPECTED_MESSAGE; /* no type in it, RFC 8446 5.4 */
	uint8_t type = data[--n];
	*ret_len = 0;
	*ret_data = data;
	if (t->closed)
		return 0; /* after close_notify everything is ignored, RFC 8446 6.1 */
	if (t->partial_len > 0 && type != HANDSHAKE)
		return -TLSREC_ALERT_UNEXPECTED_MESSAGE; /* no interleaving, RFC 8446 5.1 */
	if (type == APPLICATION_DATA) {
		*ret_len = n;
		if (n > 0)
			t->updates = 0;
		return 0;
	}
	if (n == 0)
		return -TLSREC_ALERT_UNEXPECTED_MESSAGE; /* RFC 8446 5.4 */
	if (type == ALERT)
		return on_alert(t, data, n);
	if (type == HANDSHAKE)
		return on_handshake(t, data, n);
	return -TLSREC_ALERT_UNEXPECTED_MESSAGE;
}

static int
encrypt(struct tlsrec *t, struct tlsrec_crypto *crypto, enum content_type type, const uint8_t *data, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = crypto->seal[t->suite].ctx;
	uint8_t *text = out + TLSREC_HEADER_BYTES;
	int n;
	struct wr w = wr_init(out, TLSREC_HEADER_BYTES);
	wr_u8(&w, APPLICATION_DATA);
	wr_u16(&w, LEGACY_VERSION);
	wr_u16(&w, (uint16_t)(len + 1 + TAG_BYTES));
	if (data != text)
		memmove(text, data, len);
	text[len] = (uint8_t)type; /* inside, RFC 8446 5.2: one call for both */
	if (!prepare(&crypto->seal[t->suite], &t->out) ||
		EVP_EncryptUpdate(ctx, NULL, &n, out, TLSREC_HEADER_BYTES) != 1 ||
		EVP_EncryptUpdate(ctx, text, &n, text, (int)len + 1) != 1 ||
		EVP_EncryptFinal_ex(ctx, text + len + 1, &n) != 1 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, text + len + 1) != 1)
		return -ERR_CRYPTO;
	t->out.seq++;
	return (int)(len + TLSREC_OVERHEAD_BYTES);
}

int
tlsrec_seal(struct tlsrec *t, struct tlsrec_crypto *crypto, const uint8_t *data, size_t len, uint8_t *out)
{
	assert(len > 0 && len <= TLSREC_PLAIN_MAX_BYTES && !t->update_wanted);
	return encrypt(t, crypto, APPLICATION_DATA, data, len, out);
}

int
tlsrec_ask_due(const struct tlsrec *t)
{
	return t->in.seq >= TLSREC_UPDATE_AFTER && !t->asked;
}

int
tlsrec_update_due(const struct tlsrec *t)
{
	return t->update_wanted || t->out.seq >= TLSREC_UPDATE_AFTER || tlsrec_ask_due(t);
}

int
tlsrec_update(struct tlsrec *t, struct tlsrec_crypto *crypto, uint8_t *out)
{
	int asks = tlsrec_ask_due(t);
	const uint8_t message[5] = { KEY_UPDATE, 0, 0, 1, asks ? UPDATE_REQUESTED : UPDATE_NOT_REQUESTED };
	int len = encrypt(t, crypto, HANDSHAKE, message, sizeof message, out);
	if (len < 0)
		return len;
	t->update_wanted = 0;
	t->asked |= (uint8_t)asks;
	int r = advance(&t->out, t->suite);
	return r < 0 ? r : len;
}

int
tlsrec_alert(struct tlsrec *t, struct tlsrec_crypto *crypto, enum tlsrec_alert alert, uint8_t *out)
{
	int warning = alert == TLSREC_ALERT_CLOSE_NOTIFY || alert == TLSREC_ALERT_USER_CANCELED;
	uint8_t message[2] = { warning ? ALERT_WARNING : ALERT_FATAL, (uint8_t)alert };
	return encrypt(t, crypto, ALERT, message, sizeof message, out);
}
