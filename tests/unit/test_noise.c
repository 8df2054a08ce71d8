/* crypto/noise: the published vectors, the schedule after Split, and everything that a peer or a
 * wire can do to a handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>

#include "base/err.h"
#include "base/str.h"
#include "crypto/noise.h"

enum {
	MESSAGE_BYTES = 512,
	REKEY = 1 << 20
};

static const uint8_t psk[32] = {7, 7, 7};
static const uint8_t payload[5] = "hello";

struct pair {
	struct noise_keypair client_key, agent_key;
	struct noise_handshake *client, *agent;
	uint8_t message1[MESSAGE_BYTES], message2[MESSAGE_BYTES], out[MESSAGE_BYTES];
	size_t len1, len2, out_len;
};

static void
begin(struct pair *p, const uint8_t *client_psk, const uint8_t *agent_psk,
	const char *client_prologue, const char *agent_prologue)
{
	memset(p, 0, sizeof *p);
	assert_int_equal(noise_keypair_generate(&p->client_key), 0);
	assert_int_equal(noise_keypair_generate(&p->agent_key), 0);
	p->client = noise_handshake_new(1, &p->client_key, p->agent_key.public, client_psk,
		client_prologue, strlen(client_prologue), NULL);
	p->agent = noise_handshake_new(
		0, &p->agent_key, NULL, agent_psk, agent_prologue, strlen(agent_prologue), NULL);
	assert_non_null(p->client);
	assert_non_null(p->agent);
	assert_int_equal(
		noise_handshake_write(p->client, NULL, 0, p->message1, MESSAGE_BYTES, &p->len1), 0);
	assert_int_equal(p->len1, NOISE_MESSAGE1_BYTES);
}

static int
agent_reads(struct pair *p)
{
	return noise_handshake_read(
		p->agent, p->message1, p->len1, p->out, MESSAGE_BYTES, &p->out_len);
}

static int
client_reads(struct pair *p)
{
	return noise_handshake_read(
		p->client, p->message2, p->len2, p->out, MESSAGE_BYTES, &p->out_len);
}

static void
agent_answers(struct pair *p)
{
	assert_int_equal(agent_reads(p), 0);
	assert_int_equal(noise_handshake_write(p->agent, payload, sizeof payload, p->message2,
				 MESSAGE_BYTES, &p->len2),
		0);
}

static void
end(struct pair *p)
{
	noise_handshake_free(p->client);
	noise_handshake_free(p->agent);
}

/* ---- vectors ---- */

static size_t
hex(const json_t *object, const char *key, uint8_t *out, size_t cap)
{
	const char *s = json_string_value(json_object_get(object, key));
	assert_non_null(s);
	size_t len = strlen(s) / 2;
	assert_true(len <= cap);
	assert_int_equal(str_unhex(s, out, len), 0);
	return len;
}

static struct noise_keypair
pair_of(const json_t *vector, const char *key)
{
	uint8_t secret[32];
	struct noise_keypair pair;
	assert_int_equal(hex(vector, key, secret, sizeof secret), 32);
	assert_int_equal(noise_keypair_from_secret(secret, &pair), 0);
	return pair;
}

static void
handshake_message(struct noise_handshake *from, struct noise_handshake *to, const json_t *message)
{
	uint8_t plain[MESSAGE_BYTES], want[MESSAGE_BYTES], got[MESSAGE_BYTES];
	size_t len, plain_len = hex(message, "payload", plain, sizeof plain);
	size_t want_len = hex(message, "ciphertext", want, sizeof want);
	assert_int_equal(noise_handshake_write(from, plain, plain_len, got, sizeof got, &len), 0);
	assert_int_equal(len, want_len);
	assert_memory_equal(got, want, len);
	assert_int_equal(noise_handshake_read(to, want, want_len, got, sizeof got, &len), 0);
	assert_int_equal(len, plain_len);
	assert_memory_equal(got, plain, len);
}

static void
transport_message(struct noise_cipher *seal, struct noise_cipher *open, const json_t *message)
{
	uint8_t plain[MESSAGE_BYTES], want[MESSAGE_BYTES], got[MESSAGE_BYTES];
	size_t plain_len = hex(message, "payload", plain, sizeof plain);
	size_t want_len = hex(message, "ciphertext", want, sizeof want);
	assert_int_equal(want_len, plain_len + NOISE_TAG_BYTES);
	assert_int_equal(noise_seal(seal, NULL, 0, plain, plain_len, got), 0);
	assert_memory_equal(got, want, want_len);
	assert_int_equal(noise_open(open, NULL, 0, want, want_len, got), 0);
	assert_memory_equal(got, plain, plain_len);
}

static void
run_vector(const json_t *vector)
{
	uint8_t prologue[MESSAGE_BYTES], key[32];
	struct noise_keypair is = pair_of(vector, "init_static"),
			     ie = pair_of(vector, "init_ephemeral");
	struct noise_keypair rs = pair_of(vector, "resp_static"),
			     re = pair_of(vector, "resp_ephemeral");
	size_t prologue_len = hex(vector, "prologue", prologue, sizeof prologue);
	size_t key_len = hex(vector, "psk", key, sizeof key);
	const json_t *messages = json_object_get(vector, "messages");
	struct noise_secrets i_secrets, r_secrets;
	struct noise_cipher ciphers[4];
	struct noise_handshake *i = noise_handshake_new(
		1, &is, rs.public, key_len ? key : NULL, prologue, prologue_len, &ie);
	struct noise_handshake *r = noise_handshake_new(
		0, &rs, NULL, key_len ? key : NULL, prologue, prologue_len, &re);
	handshake_message(i, r, json_array_get(messages, 0));
	assert_memory_equal(noise_handshake_remote(r), is.public, 32);
	handshake_message(r, i, json_array_get(messages, 1));
	assert_int_equal(noise_handshake_split(i, &i_secrets), 0);
	assert_int_equal(noise_handshake_split(r, &r_secrets), 0);
	assert_memory_equal(&i_secrets, &r_secrets, sizeof i_secrets);
	for (int c = 0; c < 4; c++)
		assert_int_equal(noise_cipher_init(&ciphers[c],
					 c % 2 ? r_secrets.login_agent : r_secrets.login_client),
			0);
	for (size_t m = 2; m < json_array_size(messages); m++)
		transport_message(
			&ciphers[m % 2], &ciphers[2 + m % 2], json_array_get(messages, m));
	for (int c = 0; c < 4; c++)
		noise_cipher_fini(&ciphers[c]);
	noise_handshake_free(i);
	noise_handshake_free(r);
}

static void
test_vectors(void **state)
{
	(void)state;
	size_t at, ik = 0, ikpsk2 = 0;
	json_t *vector,
		*root = json_load_file(TEST_ROOT "/tests/corpus/noise/vectors.json", 0, NULL);
	assert_non_null(root);
	json_array_foreach(json_object_get(root, "vectors"), at, vector)
	{
		const char *name = json_string_value(json_object_get(vector, "protocol_name"));
		ik += strcmp(name, "Noise_IK_25519_AESGCM_SHA256") == 0;
		ikpsk2 += strcmp(name, "Noise_IKpsk2_25519_AESGCM_SHA256") == 0;
		run_vector(vector);
	}
	assert_true(ik > 0 && ikpsk2 > 0 && ik + ikpsk2 == at);
	json_decref(root);
}

/* ---- schedule ---- */

static void
test_schedule(void **state)
{
	(void)state;
	struct pair p;
	struct noise_secrets c, a;
	const uint8_t *keys[5];
	begin(&p, psk, psk, "x", "x");
	assert_null(noise_handshake_remote(p.agent));
	assert_int_equal(noise_handshake_split(p.client, &c), -ERR_PROTOCOL);
	agent_answers(&p);
	assert_memory_equal(noise_handshake_remote(p.agent), p.client_key.public, 32);
	assert_int_equal(client_reads(&p), 0);
	assert_int_equal(p.out_len, sizeof payload);
	assert_memory_equal(p.out, payload, sizeof payload);
	assert_int_equal(noise_handshake_split(p.client, &c), 0);
	assert_int_equal(noise_handshake_split(p.agent, &a), 0);
	assert_memory_equal(&c, &a, sizeof c);
	keys[0] = c.login_client, keys[1] = c.login_agent, keys[2] = c.work_client;
	keys[3] = c.work_agent, keys[4] = c.psk_next;
	for (int i = 0; i < 5; i++)
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(keys[i], keys[j], 32);
	end(&p);
}

/* schedule.json is the work of schedule.py, which shares no code with us. */
static void
test_schedule_known_answer(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		{"hash", offsetof(struct noise_secrets, hash)},
		{"login_client", offsetof(struct noise_secrets, login_client)},
		{"login_agent", offsetof(struct noise_secrets, login_agent)},
		{"work_client", offsetof(struct noise_secrets, work_client)},
		{"work_agent", offsetof(struct noise_secrets, work_agent)},
		{"psk_next", offsetof(struct noise_secrets, psk_next)},
	};
	json_t *answer = json_load_file(TEST_ROOT "/tests/corpus/noise/schedule.json", 0, NULL);
	assert_non_null(answer);
	uint8_t want[32], message[MESSAGE_BYTES], prologue[64], key[32];
	size_t len, prologue_len = hex(answer, "prologue", prologue, sizeof prologue);
	struct noise_keypair is = pair_of(answer, "init_static"),
			     ie = pair_of(answer, "init_ephemeral");
	struct noise_keypair rs = pair_of(answer, "resp_static"),
			     re = pair_of(answer, "resp_ephemeral");
	struct noise_secrets s;
	hex(answer, "psk", key, sizeof key);
	struct noise_handshake *i =
		noise_handshake_new(1, &is, rs.public, key, prologue, prologue_len, &ie);
	struct noise_handshake *r =
		noise_handshake_new(0, &rs, NULL, key, prologue, prologue_len, &re);
	assert_int_equal(noise_handshake_write(i, "", 0, message, sizeof message, &len), 0);
	assert_int_equal(noise_handshake_read(r, message, len, want, sizeof want, &len), 0);
	assert_int_equal(noise_handshake_write(r, "", 0, message, sizeof message, &len), 0);
	assert_int_equal(noise_handshake_split(r, &s), 0);
	for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++) {
		hex(answer, fields[f].name, want, sizeof want);
		assert_memory_equal((uint8_t *)&s + fields[f].offset, want, 32);
	}
	noise_handshake_free(i);
	noise_handshake_free(r);
	json_decref(answer);
}

/* ---- a hostile wire ---- */

static void
test_every_byte_of_message1_counts(void **state)
{
	(void)state;
	for (size_t at = 0; at < NOISE_MESSAGE1_BYTES; at++) {
		struct pair p;
		begin(&p, NULL, NULL, "", "");
		p.message1[at] ^= 0x40;
		assert_int_equal(agent_reads(&p), -ERR_CRYPTO);
		p.message1[at] ^= 0x40;
		assert_int_equal(agent_reads(&p), -ERR_PROTOCOL); /* failed stays failed */
		assert_null(noise_handshake_remote(p.agent));
		end(&p);
	}
}

static void
test_every_byte_of_message2_counts(void **state)
{
	(void)state;
	for (size_t at = 0; at < NOISE_MESSAGE2_OVERHEAD_BYTES + sizeof payload; at++) {
		struct pair p;
		struct noise_secrets secrets;
		begin(&p, psk, psk, "", "");
		agent_answers(&p);
		p.message2[at] ^= 0x01;
		assert_int_equal(client_reads(&p), -ERR_CRYPTO);
		assert_int_equal(noise_handshake_split(p.client, &secrets), -ERR_PROTOCOL);
		end(&p);
	}
}

static void
test_lengths(void **state)
{
	(void)state;
	static uint8_t big[NOISE_MESSAGE_MAX_BYTES + 1], out[NOISE_MESSAGE_MAX_BYTES + 1];
	struct pair p;
	size_t len;
	for (size_t cut = 0; cut < NOISE_MESSAGE1_BYTES; cut += 5) {
		begin(&p, NULL, NULL, "", "");
		p.len1 = cut;
		assert_int_equal(agent_reads(&p), -ERR_PROTOCOL);
		end(&p);
	}
	begin(&p, NULL, NULL, "", "");
	assert_int_equal(noise_handshake_read(p.agent, big, sizeof big, out, sizeof out, &len),
		-ERR_PROTOCOL);
	end(&p);
	begin(&p, NULL, NULL, "", "");
	p.len1++; /* a byte more: the tag is somewhere else */
	assert_int_equal(agent_reads(&p), -ERR_CRYPTO);
	end(&p);
	begin(&p, NULL, NULL, "", "");
	assert_int_equal(agent_reads(&p), 0);
	assert_int_equal(noise_handshake_write(p.agent, big,
				 NOISE_MESSAGE_MAX_BYTES - NOISE_MESSAGE2_OVERHEAD_BYTES + 1, out,
				 sizeof out, &len),
		-ERR_TOO_LONG);
	end(&p);
	begin(&p, NULL, NULL, "", "");
	assert_int_equal(agent_reads(&p), 0);
	assert_int_equal(noise_handshake_write(p.agent, payload, sizeof payload, out,
				 NOISE_MESSAGE2_OVERHEAD_BYTES + sizeof payload - 1, &len),
		-ERR_TOO_LONG);
	end(&p);
	begin(&p, NULL, NULL, "", "");
	agent_answers(&p);
	assert_int_equal(
		noise_handshake_read(p.client, p.message2, p.len2, out, sizeof payload - 1, &len),
		-ERR_TOO_LONG);
	end(&p);
}

static void
test_order(void **state)
{
	(void)state;
	struct pair p;
	size_t len;
	begin(&p, NULL, NULL, "", "");
	memcpy(p.message2, p.message1, p.len1); /* its own message back */
	p.len2 = p.len1;
	assert_int_equal(client_reads(&p), -ERR_CRYPTO);
	assert_int_equal(noise_handshake_write(p.agent, NULL, 0, p.message2, MESSAGE_BYTES, &len),
		-ERR_PROTOCOL);
	end(&p);
	begin(&p, NULL, NULL, "", "");
	assert_int_equal(noise_handshake_write(p.client, NULL, 0, p.message1, MESSAGE_BYTES, &len),
		-ERR_PROTOCOL);
	end(&p);
	begin(&p, NULL, NULL, "", "");
	agent_answers(&p);
	assert_int_equal(agent_reads(&p), -ERR_PROTOCOL); /* message 1 a second time */
	end(&p);
}

static void
test_wrong_partner(void **state)
{
	(void)state;
	static const uint8_t other[32] = {8};
	struct pair p;
	begin(&p, NULL, NULL, "ticket 1", "ticket 2");
	assert_int_equal(agent_reads(&p), -ERR_CRYPTO);
	end(&p);
	/* IKpsk2 against IK: the name is in h from the start */
	begin(&p, psk, NULL, "", "");
	assert_int_equal(agent_reads(&p), -ERR_CRYPTO);
	end(&p);
	/* another psk is noticed by the client, before it says anything */
	begin(&p, psk, other, "", "");
	agent_answers(&p);
	assert_int_equal(client_reads(&p), -ERR_CRYPTO);
	end(&p);
	/* somebody else's static key */
	begin(&p, NULL, NULL, "", "");
	noise_handshake_free(p.agent);
	assert_int_equal(noise_keypair_generate(&p.agent_key), 0);
	p.agent = noise_handshake_new(0, &p.agent_key, NULL, NULL, "", 0, NULL);
	assert_int_equal(agent_reads(&p), -ERR_CRYPTO);
	end(&p);
}

/* All encodings of points whose multiples by a clamped scalar are the neutral element (RFC
 * 7748 6.1, cr.yp.to/ecdh.html). */
static const char *const low_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static void
test_low_order_points(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * sizeof low_order / sizeof low_order[0]; i++) {
		struct pair p;
		uint8_t shared[32];
		begin(&p, NULL, NULL, "", "");
		assert_int_equal(str_unhex(low_order[i / 2], p.message1, 32), 0);
		p.message1[31] |= (uint8_t)(i % 2 << 7); /* the top bit is ignored by X25519 */
		assert_int_equal(noise_dh(p.agent_key.secret, p.message1, shared), -ERR_CRYPTO);
		assert_int_equal(agent_reads(&p), -ERR_CRYPTO);
		end(&p);
		/* as the agent's key out of a lying ticket */
		begin(&p, NULL, NULL, "", "");
		assert_int_equal(str_unhex(low_order[i / 2], p.message1, 32), 0);
		noise_handshake_free(p.client);
		p.client = noise_handshake_new(1, &p.client_key, p.message1, NULL, "", 0, NULL);
		assert_int_equal(noise_handshake_write(
					 p.client, NULL, 0, p.message2, MESSAGE_BYTES, &p.len2),
			-ERR_CRYPTO);
		end(&p);
	}
}

/* ---- transport ---- */

struct channel {
	struct noise_cipher seal, open;
	uint8_t one[64], two[64], out[64];
};

static void
channel_init(struct channel *c, uint64_t nonce)
{
	static const uint8_t key[32] = {1, 2, 3};
	assert_int_equal(noise_cipher_init(&c->seal, key), 0);
	assert_int_equal(noise_cipher_init(&c->open, key), 0);
	c->seal.nonce = c->open.nonce = nonce;
	assert_int_equal(noise_seal(&c->seal, "ad", 2, payload, sizeof payload, c->one), 0);
	assert_int_equal(noise_seal(&c->seal, "ad", 2, payload, sizeof payload, c->two), 0);
}

static int
channel_open(struct channel *c, const char *ad, const uint8_t *in, size_t len)
{
	return noise_open(&c->open, ad, strlen(ad), in, len, c->out);
}

static void
channel_fini(struct channel *c)
{
	noise_cipher_fini(&c->seal);
	noise_cipher_fini(&c->open);
}

static void
test_transport(void **state)
{
	(void)state;
	static const uint8_t nothing[sizeof payload];
	const size_t len = sizeof payload + NOISE_TAG_BYTES;
	struct channel c;
	channel_init(&c, 0);
	assert_memory_not_equal(c.one, c.two, len);
	assert_int_equal(channel_open(&c, "ad", c.one, len), 0);
	assert_memory_equal(c.out, payload, sizeof payload);
	assert_int_equal(channel_open(&c, "ad", c.one, len), -ERR_CRYPTO); /* replay */
	assert_memory_equal(c.out, nothing, sizeof payload);
	assert_int_equal(channel_open(&c, "ad", c.two, len), -ERR_CRYPTO); /* dead from then on */
	channel_fini(&c);

	channel_init(&c, 0);
	assert_int_equal(channel_open(&c, "ad", c.two, len), -ERR_CRYPTO); /* out of order */
	channel_fini(&c);
	channel_init(&c, 0);
	assert_int_equal(channel_open(&c, "AD", c.one, len), -ERR_CRYPTO);
	channel_fini(&c);
	for (size_t cut = 0; cut < len; cut++) {
		channel_init(&c, 0);
		assert_int_equal(channel_open(&c, "ad", c.one, cut), -ERR_CRYPTO);
		channel_fini(&c);
	}
	noise_cipher_fini(NULL);
}

static void
test_in_place_and_empty(void **state)
{
	(void)state;
	struct channel c;
	channel_init(&c, 0);
	memcpy(c.out, c.one, sizeof c.one);
	assert_int_equal(
		noise_open(&c.open, "ad", 2, c.out, sizeof payload + NOISE_TAG_BYTES, c.out), 0);
	assert_memory_equal(c.out, payload, sizeof payload);
	c.open.nonce = c.seal.nonce = 9;
	assert_int_equal(noise_seal(&c.seal, NULL, 0, NULL, 0, c.one), 0);
	assert_int_equal(noise_open(&c.open, NULL, 0, c.one, NOISE_TAG_BYTES, c.out), 0);
	channel_fini(&c);
}

/* REKEY by hand with another interface of OpenSSL. */
static void
test_rekey(void **state)
{
	(void)state;
	static const uint8_t key[32] = {1, 2, 3}, zero[32];
	uint8_t nonce[12] = {0}, want[32];
	int n;
	struct channel c;
	const size_t len = sizeof payload + NOISE_TAG_BYTES;
	channel_init(&c, REKEY - 2); /* the second message is the last one of the first key */
	assert_int_equal(channel_open(&c, "ad", c.one, len), 0);
	assert_memory_equal(c.open.key, key, 32);
	assert_int_equal(channel_open(&c, "ad", c.two, len), 0);
	memset(nonce + 4, 0xff, 8);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce);
	EVP_EncryptUpdate(ctx, want, &n, zero, sizeof zero);
	EVP_CIPHER_CTX_free(ctx);
	assert_memory_equal(c.open.key, want, 32);
	assert_memory_equal(c.seal.key, want, 32);
	assert_int_equal(c.open.nonce, REKEY);
	assert_int_equal(noise_seal(&c.seal, NULL, 0, payload, sizeof payload, c.one), 0);
	assert_int_equal(noise_open(&c.open, NULL, 0, c.one, len, c.out), 0);
	assert_memory_equal(c.out, payload, sizeof payload);
	channel_fini(&c);
}

static void
test_words(void **state)
{
	(void)state;
	const char *seen[256][2];
	for (int i = 0; i < 256; i++) {
		uint8_t hash[32] = {(uint8_t)i, (uint8_t)(255 - i)};
		noise_words(hash, seen[i]);
		size_t len = strlen(seen[i][0]);
		assert_true(
			len >= 9 && len <= 18 && str_utf8(seen[i][0], len)); /* three to six kana */
		for (int j = 0; j < i; j++)
			assert_string_not_equal(seen[i][0], seen[j][0]);
	}
	for (int i = 0; i < 256; i++)
		assert_string_equal(seen[i][1], seen[255 - i][0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_schedule),
		cmocka_unit_test(test_schedule_known_answer),
		cmocka_unit_test(test_every_byte_of_message1_counts),
		cmocka_unit_test(test_every_byte_of_message2_counts),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_wrong_partner),
		cmocka_unit_test(test_low_order_points),
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_in_place_and_empty),
		cmocka_unit_test(test_rekey),
		cmocka_unit_test(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
