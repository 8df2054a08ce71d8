/*
 * Noise_IK and Noise_IKpsk2 with 25519, AESGCM, SHA256 (Noise rev 34), over OpenSSL, and the key schedule after Split
 * (docs/protocol.md 5). Pure: no clock, no I/O; randomness only for ephemeral keys. Everything secret is wiped by *_fini.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	NOISE_KEY_BYTES = 32,
	NOISE_HASH_BYTES = 32,
	NOISE_TAG_BYTES = 16,
	NOISE_MESSAGE_MAX_BYTES = 65535,
	NOISE_MESSAGE1_BYTES = 96, /* e, s + tag, tag of the empty payload */
	NOISE_MESSAGE2_OVERHEAD_BYTES = 48, /* e, tag of the payload */
	NOISE_SUITE_IK = 1,
	NOISE_SUITE_IKPSK2 = 2,
};

struct noise_keypair {
	uint8_t secret[NOISE_KEY_BYTES];
	uint8_t public[NOISE_KEY_BYTES];
};

int noise_keypair_generate(struct noise_keypair *ret_pair); /* 0 or -ERR_CRYPTO */
int noise_keypair_from_secret(const uint8_t secret[static NOISE_KEY_BYTES], struct noise_keypair *ret_pair);
/* X25519; -ERR_CRYPTO also for a result of zeros (low-order point). */
int noise_dh(const uint8_t secret[static NOISE_KEY_BYTES], const uint8_t remote[static NOISE_KEY_BYTES],
	uint8_t ret_shared[static NOISE_KEY_BYTES]);

struct noise_handshake;

/* psk NULL = IK, else 32 bytes = IKpsk2. remote: the responder's static key, for the initiator only.
 * ephemeral NULL = fresh (anything else is for test vectors). NULL when out of memory. */
struct noise_handshake *noise_handshake_new(int initiator, const struct noise_keypair *local,
	const uint8_t *remote, const uint8_t *psk, const void *prologue, size_t prologue_len,
	const struct noise_keypair *ephemeral);
void noise_handshake_free(struct noise_handshake *hs);

/* The next message of ours / of the peer, in order; payload may be empty. 0 and *ret_len; -ERR_CRYPTO (bad tag, low-order
 * point), -ERR_TOO_LONG (out too small), -ERR_PROTOCOL (not our turn, message too short). A failed handshake stays failed. */
int noise_handshake_write(struct noise_handshake *hs, const void *payload, size_t payload_len, uint8_t *out, size_t cap,
	size_t *ret_len);
int noise_handshake_read(struct noise_handshake *hs, const void *message, size_t len, uint8_t *out, size_t cap,
	size_t *ret_len);
/* The initiator's static key, once the responder has read message 1; NULL before. */
const uint8_t *noise_handshake_remote(const struct noise_handshake *hs);

/* One direction of the channel. Rekeys itself after every 2^20 messages; the nonce goes on counting. */
struct noise_cipher {
	uint8_t key[NOISE_KEY_BYTES];
	uint64_t nonce;
	void *context; /* EVP_CIPHER_CTX */
};

/* Everything that Split and the schedule after it give; by client (initiator) and agent (responder). */
struct noise_secrets {
	uint8_t hash[NOISE_HASH_BYTES];          /* h: binds codes, proofs and words */
	uint8_t login_client[NOISE_KEY_BYTES];   /* client -> agent until Start */
	uint8_t login_agent[NOISE_KEY_BYTES];
	uint8_t work_client[NOISE_KEY_BYTES];    /* after Start */
	uint8_t work_agent[NOISE_KEY_BYTES];
	uint8_t psk_next[NOISE_KEY_BYTES];
};
/* After both messages; 0 or -ERR_PROTOCOL. */
int noise_handshake_split(const struct noise_handshake *hs, struct noise_secrets *ret_secrets);

int noise_cipher_init(struct noise_cipher *cipher, const uint8_t key[static NOISE_KEY_BYTES]);
void noise_cipher_fini(struct noise_cipher *cipher);
/* In place is fine. seal: out has len + 16 bytes. open: len >= 16, out has len - 16 bytes. 0 or -ERR_CRYPTO (cipher is dead). */
int noise_seal(struct noise_cipher *cipher, const void *ad, size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);
int noise_open(struct noise_cipher *cipher, const void *ad, size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);

/* The two words of a handshake hash (照合語), UTF-8, static storage. */
void noise_words(const uint8_t hash[static NOISE_HASH_BYTES], const char *ret_words[2]);
