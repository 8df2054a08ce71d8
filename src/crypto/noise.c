/*
 * The objects and the names are those of the specification (revision 34): SymmetricState is struct
 * symmetric with ck, h and a CipherState (noise_cipher.c); a message pattern is a list of tokens,
 * each of which is one function below.
 *
 *   IK:       <- s  ...  -> e, es, s, ss    <- e, ee, se
 *   IKpsk2:   <- s  ...  -> e, es, s, ss    <- e, ee, se, psk
 */
#include "crypto/noise.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/wire.h"

#define NAME_IK "Noise_IK_25519_AESGCM_SHA256"
#define NAME_IKPSK2 "Noise_IKpsk2_25519_AESGCM_SHA256"

struct symmetric {
	uint8_t ck[NOISE_HASH_BYTES], h[NOISE_HASH_BYTES];
	struct noise_cipher cipher; /* CipherState: k and n */
};

enum state {
	WRITE_MESSAGE1,
	READ_MESSAGE1,
	WRITE_MESSAGE2,
	READ_MESSAGE2,
	DONE,
	FAILED
};

struct noise_handshake {
	struct symmetric symmetric;
	struct noise_keypair s, e;
	uint8_t rs[NOISE_KEY_BYTES], re[NOISE_KEY_BYTES], psk[NOISE_KEY_BYTES];
	int initiator, has_psk, fixed_e, remote_known;
	enum state state;
};

/* ---- 4.1 DH functions ---- */

int
noise_keypair_from_secret(
	const uint8_t secret[static NOISE_KEY_BYTES], struct noise_keypair *ret_pair)
{
	struct noise_keypair pair;
	size_t len = NOISE_KEY_BYTES;
	EVP_PKEY *key =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, NOISE_KEY_BYTES);
	int ok = key && EVP_PKEY_get_raw_public_key(key, pair.public, &len) == 1;
	EVP_PKEY_free(key);
	if (!ok)
		return -ERR_CRYPTO;
	memcpy(pair.secret, secret, NOISE_KEY_BYTES);
	*ret_pair = pair;
	mem_wipe(&pair, sizeof pair);
	return 0;
}

int
noise_keypair_generate(struct noise_keypair *ret_pair)
{
	struct noise_keypair pair;
	size_t secret_len = NOISE_KEY_BYTES, public_len = NOISE_KEY_BYTES;
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	int ok = key && EVP_PKEY_get_raw_private_key(key, pair.secret, &secret_len) == 1 &&
		 EVP_PKEY_get_raw_public_key(key, pair.public, &public_len) == 1;
	EVP_PKEY_free(key);
	if (ok)
		*ret_pair = pair;
	mem_wipe(&pair, sizeof pair);
	return ok ? 0 : -ERR_CRYPTO;
}

int
noise_dh(const uint8_t secret[static NOISE_KEY_BYTES], const uint8_t remote[static NOISE_KEY_BYTES],
	uint8_t ret_shared[static NOISE_KEY_BYTES])
{
	static const uint8_t zero[NOISE_KEY_BYTES];
	uint8_t shared[NOISE_KEY_BYTES];
	size_t len = sizeof shared;
	EVP_PKEY *ours =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, NOISE_KEY_BYTES);
	EVP_PKEY *theirs =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, remote, NOISE_KEY_BYTES);
	EVP_PKEY_CTX *ctx = ours ? EVP_PKEY_CTX_new(ours, NULL) : NULL;
	/* OpenSSL refuses a result of zeros itself; a low-order point must not pass with another
	 * library either */
	int ok = ctx && theirs && EVP_PKEY_derive_init(ctx) == 1 &&
		 EVP_PKEY_derive_set_peer(ctx, theirs) == 1 &&
		 EVP_PKEY_derive(ctx, shared, &len) == 1 && len == sizeof shared &&
		 !mem_equal(shared, zero, sizeof shared);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(ours);
	if (ok)
		memcpy(ret_shared, shared, sizeof shared);
	mem_wipe(shared, sizeof shared);
	return ok ? 0 : -ERR_CRYPTO;
}

/* ---- 4.3 hash functions ---- */

static int
hmac(const uint8_t key[static NOISE_HASH_BYTES], const void *data, size_t len,
	uint8_t out[static NOISE_HASH_BYTES])
{
	return HMAC(EVP_sha256(), key, NOISE_HASH_BYTES, data, len, out, NULL) ? 0 : -ERR_CRYPTO;
}

/* HKDF(ck, ikm, count): output i = HMAC(temp, output i-1 || i). outs may be ck itself. */
static int
hkdf(const uint8_t ck[static NOISE_HASH_BYTES], const void *ikm, size_t ikm_len, size_t count,
	uint8_t *const outs[])
{
	uint8_t temp[NOISE_HASH_BYTES], block[NOISE_HASH_BYTES + 1];
	int r = hmac(ck, ikm, ikm_len, temp);
	for (size_t i = 0; r == 0 && i < count; i++) {
		size_t len = i == 0 ? 0 : NOISE_HASH_BYTES;
		block[len] = (uint8_t)(i + 1);
		r = hmac(temp, block, len + 1, block);
		memcpy(outs[i], block, NOISE_HASH_BYTES);
	}
	mem_wipe(temp, sizeof temp);
	mem_wipe(block, sizeof block);
	return r;
}

/* ---- 5.2 SymmetricState ---- */

static int
mix_hash(struct symmetric *s, const void *data, size_t len)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		 EVP_DigestUpdate(md, s->h, sizeof s->h) == 1 &&
		 EVP_DigestUpdate(md, data, len) == 1 && EVP_DigestFinal_ex(md, s->h, NULL) == 1;
	EVP_MD_CTX_free(md);
	return ok ? 0 : -ERR_CRYPTO;
}

static void
initialize(struct symmetric *s, const char *name)
{
	/* both names fit, so h is the name padded with zeros and not its hash */
	*s = (struct symmetric){.h = {0}};
	memcpy(s->h, name, strlen(name));
	memcpy(s->ck, s->h, sizeof s->ck);
}

/* InitializeKey */
static int
set_key(struct symmetric *s, const uint8_t k[static NOISE_KEY_BYTES])
{
	noise_cipher_fini(&s->cipher);
	return noise_cipher_init(&s->cipher, k);
}

static int
mix_key(struct symmetric *s, const void *ikm, size_t len)
{
	uint8_t k[NOISE_KEY_BYTES];
	int r = hkdf(s->ck, ikm, len, 2, (uint8_t *const[]){s->ck, k});
	if (r == 0)
		r = set_key(s, k);
	mem_wipe(k, sizeof k);
	return r;
}

static int
mix_key_and_hash(struct symmetric *s, const uint8_t psk[static NOISE_KEY_BYTES])
{
	uint8_t temp[NOISE_HASH_BYTES], k[NOISE_KEY_BYTES];
	int r = hkdf(s->ck, psk, NOISE_KEY_BYTES, 3, (uint8_t *const[]){s->ck, temp, k});
	if (r == 0)
		r = mix_hash(s, temp, sizeof temp);
	if (r == 0)
		r = set_key(s, k);
	mem_wipe(temp, sizeof temp);
	mem_wipe(k, sizeof k);
	return r;
}

/* In both patterns a key is there before anything is encrypted. out: len + 16 bytes. */
static int
encrypt_and_hash(struct symmetric *s, const void *in, size_t len, uint8_t *out)
{
	int r = noise_seal(&s->cipher, s->h, sizeof s->h, in, len, out);
	return r == 0 ? mix_hash(s, out, len + NOISE_TAG_BYTES) : r;
}

/* len counts the tag. in and out are apart: h takes the ciphertext afterwards. */
static int
decrypt_and_hash(struct symmetric *s, const uint8_t *in, size_t len, uint8_t *out)
{
	int r = noise_open(&s->cipher, s->h, sizeof s->h, in, len, out);
	return r == 0 ? mix_hash(s, in, len) : r;
}

/* ---- 5.3 HandshakeState: the tokens ---- */

/* A public key in clear; where there is a psk it goes into the key as well (9.2). */
static int
mix_e(struct noise_handshake *hs, const uint8_t key[static NOISE_KEY_BYTES])
{
	int r = mix_hash(&hs->symmetric, key, NOISE_KEY_BYTES);
	return r == 0 && hs->has_psk ? mix_key(&hs->symmetric, key, NOISE_KEY_BYTES) : r;
}

static int
write_e(struct noise_handshake *hs, uint8_t *out)
{
	int r = hs->fixed_e ? 0 : noise_keypair_generate(&hs->e);
	if (r < 0)
		return r;
	memcpy(out, hs->e.public, NOISE_KEY_BYTES);
	return mix_e(hs, hs->e.public);
}

static int
read_e(struct noise_handshake *hs, const uint8_t *in)
{
	memcpy(hs->re, in, NOISE_KEY_BYTES);
	return mix_e(hs, hs->re);
}

static int
mix_dh(struct noise_handshake *hs, const struct noise_keypair *ours, const uint8_t *theirs)
{
	uint8_t shared[NOISE_KEY_BYTES];
	int r = noise_dh(ours->secret, theirs, shared);
	if (r == 0)
		r = mix_key(&hs->symmetric, shared, sizeof shared);
	mem_wipe(shared, sizeof shared);
	return r;
}

/* es and se name the initiator's key first. */
static int
mix_es(struct noise_handshake *hs)
{
	return hs->initiator ? mix_dh(hs, &hs->e, hs->rs) : mix_dh(hs, &hs->s, hs->re);
}

static int
mix_se(struct noise_handshake *hs)
{
	return hs->initiator ? mix_dh(hs, &hs->s, hs->re) : mix_dh(hs, &hs->e, hs->rs);
}

static int
mix_ss(struct noise_handshake *hs)
{
	return mix_dh(hs, &hs->s, hs->rs);
}

static int
mix_ee(struct noise_handshake *hs)
{
	return mix_dh(hs, &hs->e, hs->re);
}

static int
mix_psk(struct noise_handshake *hs)
{
	return hs->has_psk ? mix_key_and_hash(&hs->symmetric, hs->psk) : 0;
}

/* ---- the two messages ---- */

/* -> e, es, s, ss */
static int
write_message1(struct noise_handshake *hs, uint8_t *out)
{
	int r = write_e(hs, out);
	if (r == 0)
		r = mix_es(hs);
	if (r == 0)
		r = encrypt_and_hash(
			&hs->symmetric, hs->s.public, NOISE_KEY_BYTES, out + NOISE_KEY_BYTES);
	return r == 0 ? mix_ss(hs) : r;
}

static int
read_message1(struct noise_handshake *hs, const uint8_t *in)
{
	int r = read_e(hs, in);
	if (r == 0)
		r = mix_es(hs);
	if (r == 0)
		r = decrypt_and_hash(&hs->symmetric, in + NOISE_KEY_BYTES,
			NOISE_KEY_BYTES + NOISE_TAG_BYTES, hs->rs);
	return r == 0 ? mix_ss(hs) : r;
}

/* <- e, ee, se, psk */
static int
write_message2(struct noise_handshake *hs, uint8_t *out)
{
	int r = write_e(hs, out);
	if (r == 0)
		r = mix_ee(hs);
	if (r == 0)
		r = mix_se(hs);
	return r == 0 ? mix_psk(hs) : r;
}

static int
read_message2(struct noise_handshake *hs, const uint8_t *in)
{
	int r = read_e(hs, in);
	if (r == 0)
		r = mix_ee(hs);
	if (r == 0)
		r = mix_se(hs);
	return r == 0 ? mix_psk(hs) : r;
}

/* Bytes of a message before its payload. */
static size_t
head_bytes(enum state state)
{
	return state == WRITE_MESSAGE1 || state == READ_MESSAGE1
		       ? NOISE_MESSAGE1_BYTES - NOISE_TAG_BYTES
		       : NOISE_MESSAGE2_OVERHEAD_BYTES - NOISE_TAG_BYTES;
}

static int
fail(struct noise_handshake *hs, int r)
{
	noise_cipher_fini(&hs->symmetric.cipher);
	mem_wipe(hs, sizeof *hs);
	hs->state = FAILED;
	return r;
}

struct noise_handshake *
noise_handshake_new(int initiator, const struct noise_keypair *local, const uint8_t *remote,
	const uint8_t *psk, const void *prologue, size_t prologue_len,
	const struct noise_keypair *ephemeral)
{
	struct noise_handshake *hs = mem_array(1, sizeof *hs);
	if (!hs)
		return NULL;
	hs->initiator = initiator;
	hs->state = initiator ? WRITE_MESSAGE1 : READ_MESSAGE1;
	hs->s = *local;
	if (remote && initiator)
		memcpy(hs->rs, remote, NOISE_KEY_BYTES);
	hs->remote_known = initiator;
	if ((hs->has_psk = psk != NULL))
		memcpy(hs->psk, psk, NOISE_KEY_BYTES);
	if ((hs->fixed_e = ephemeral != NULL))
		hs->e = *ephemeral;
	initialize(&hs->symmetric, psk ? NAME_IKPSK2 : NAME_IK);
	int r = mix_hash(&hs->symmetric, prologue, prologue_len);
	if (r == 0) /* the pre-message "<- s" */
		r = mix_hash(&hs->symmetric, initiator ? hs->rs : hs->s.public, NOISE_KEY_BYTES);
	if (r < 0) {
		noise_handshake_free(hs);
		return NULL;
	}
	return hs;
}

void
noise_handshake_free(struct noise_handshake *hs)
{
	if (!hs)
		return;
	noise_cipher_fini(&hs->symmetric.cipher);
	mem_wipe_free(hs, sizeof *hs);
}

int
noise_handshake_write(struct noise_handshake *hs, const void *payload, size_t payload_len,
	uint8_t *out, size_t cap, size_t *ret_len)
{
	if (hs->state != WRITE_MESSAGE1 && hs->state != WRITE_MESSAGE2)
		return fail(hs, -ERR_PROTOCOL);
	size_t head = head_bytes(hs->state);
	if (payload_len > NOISE_MESSAGE_MAX_BYTES - head - NOISE_TAG_BYTES ||
		cap < head + payload_len + NOISE_TAG_BYTES)
		return fail(hs, -ERR_TOO_LONG);
	int first = hs->state == WRITE_MESSAGE1;
	int r = first ? write_message1(hs, out) : write_message2(hs, out);
	if (r == 0)
		r = encrypt_and_hash(&hs->symmetric, payload, payload_len, out + head);
	if (r < 0)
		return fail(hs, r);
	hs->state = first ? READ_MESSAGE2 : DONE;
	*ret_len = head + payload_len + NOISE_TAG_BYTES;
	return 0;
}

int
noise_handshake_read(struct noise_handshake *hs, const void *message, size_t len, uint8_t *out,
	size_t cap, size_t *ret_len)
{
	if (hs->state != READ_MESSAGE1 && hs->state != READ_MESSAGE2)
		return fail(hs, -ERR_PROTOCOL);
	size_t head = head_bytes(hs->state);
	if (len < head + NOISE_TAG_BYTES || len > NOISE_MESSAGE_MAX_BYTES)
		return fail(hs, -ERR_PROTOCOL);
	if (cap < len - head - NOISE_TAG_BYTES)
		return fail(hs, -ERR_TOO_LONG);
	int first = hs->state == READ_MESSAGE1;
	const uint8_t *in = message;
	int r = first ? read_message1(hs, in) : read_message2(hs, in);
	if (r == 0)
		r = decrypt_and_hash(&hs->symmetric, in + head, len - head, out);
	if (r < 0)
		return fail(hs, r);
	hs->remote_known = 1;
	hs->state = first ? WRITE_MESSAGE2 : DONE;
	*ret_len = len - head - NOISE_TAG_BYTES;
	return 0;
}

const uint8_t *
noise_handshake_remote(const struct noise_handshake *hs)
{
	return hs->remote_known ? hs->rs : NULL;
}

/* ---- Split and the schedule of docs/protocol.md 5 ---- */

static int
export_key(const uint8_t key[static NOISE_HASH_BYTES], const char *label,
	const uint8_t h[static NOISE_HASH_BYTES], uint8_t out[static NOISE_KEY_BYTES])
{
	uint8_t data[32 + NOISE_HASH_BYTES];
	struct wr w = wr_init(data, sizeof data);
	wr_bytes(&w, label, strlen(label));
	wr_bytes(&w, h, NOISE_HASH_BYTES);
	return w.failed ? -ERR_CRYPTO : hmac(key, data, w.len, out);
}

int
noise_handshake_split(const struct noise_handshake *hs, struct noise_secrets *ret_secrets)
{
	struct noise_secrets s;
	uint8_t export[NOISE_HASH_BYTES];
	const struct symmetric *sym = &hs->symmetric;
	if (hs->state != DONE)
		return -ERR_PROTOCOL;
	memcpy(s.hash, sym->h, sizeof s.hash);
	int r = hkdf(sym->ck, "", 0, 2, (uint8_t *const[]){s.login_client, s.login_agent});
	if (r == 0)
		r = hmac(sym->ck, "engawa export", strlen("engawa export"), export);
	if (r == 0)
		r = export_key(export, "work client", sym->h, s.work_client);
	if (r == 0)
		r = export_key(export, "work agent", sym->h, s.work_agent);
	if (r == 0)
		r = export_key(export, "psk", sym->h, s.psk_next);
	if (r == 0)
		*ret_secrets = s;
	mem_wipe(&s, sizeof s);
	mem_wipe(export, sizeof export);
	return r;
}

static const char *const words[256] = {
#define WORD(text) text,
#include "crypto/words.def"
#undef WORD
};

void
noise_words(const uint8_t hash[static NOISE_HASH_BYTES], const char *ret_words[2])
{
	ret_words[0] = words[hash[0]];
	ret_words[1] = words[hash[1]];
}
