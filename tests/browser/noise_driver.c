/*
 * One end of an inner channel on stdin and stdout, for web/tests/noise_peer.ts at the other end.
 * Usage: noise_driver client|agent SECRET REMOTE|- PSK|- PROLOGUE   (hex)
 *
 * After the handshake the C side writes u16 ‖ h ‖ psk' in clear, so that the peer can compare.
 * Then, under the login keys and again under the work keys, the client sends ROUNDS records, and
 * the agent sends each back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "crypto/noise.h"
#include "crypto/record.h"

enum {
	ROUNDS = 20,
	PROLOGUE_MAX_BYTES = 128,
};

static void
need(int good, const char *what)
{
	if (!good) {
		fprintf(stderr, "noise_driver: %s\n", what);
		exit(1);
	}
}

static void
put(const void *data, size_t len)
{
	need(fwrite(data, 1, len, stdout) == len && fflush(stdout) == 0, "write");
}

/* A message with its length in front, into wire; its whole length. */
static size_t
get(uint8_t wire[static RECORD_WIRE_MAX_BYTES])
{
	need(fread(wire, 1, 2, stdin) == 2, "end of input");
	size_t len = (size_t)wire[0] << 8 | wire[1];
	need(fread(wire + 2, 1, len, stdin) == len, "short input");
	return 2 + len;
}

static void
put_message(const uint8_t *message, size_t len)
{
	uint8_t head[2] = {(uint8_t)(len >> 8), (uint8_t)len};
	put(head, sizeof head);
	put(message, len);
}

static void
handshake(struct noise_handshake *hs, int client, struct noise_secrets *ret_secrets)
{
	static uint8_t wire[RECORD_WIRE_MAX_BYTES], out[512], payload[512];
	size_t len, payload_len;
	for (int turn = 0; turn < 2; turn++) {
		if ((turn == 0) == client) {
			need(noise_handshake_write(
				     hs, "statement", turn ? 9 : 0, out, sizeof out, &len) == 0,
				"noise_handshake_write");
			put_message(out, len);
		} else {
			len = get(wire) - 2;
			need(noise_handshake_read(
				     hs, wire + 2, len, payload, sizeof payload, &payload_len) == 0,
				"noise_handshake_read");
			need(payload_len == (turn ? 9 : 0), "payload");
		}
	}
	need(noise_handshake_split(hs, ret_secrets) == 0, "noise_handshake_split");
	memcpy(out, ret_secrets->hash, NOISE_HASH_BYTES);
	memcpy(out + NOISE_HASH_BYTES, ret_secrets->psk_next, NOISE_KEY_BYTES);
	put_message(out, NOISE_HASH_BYTES + NOISE_KEY_BYTES);
}

static void
seal(struct noise_cipher *tx, enum record_padding padding, uint8_t type, const uint8_t *payload,
	size_t len)
{
	static uint8_t wire[RECORD_WIRE_MAX_BYTES];
	int r = record_seal(tx, padding, type, payload, len, wire, sizeof wire);
	need(r > 0, "record_seal");
	put(wire, (size_t)r);
}

/* Lengths on both sides of every bucket. */
static size_t
round_len(int round)
{
	static const size_t lens[] = {
		0, 1, 59, 60, 61, 251, 252, 253, 1019, 1020, 1021, 4000, 60000};
	return lens[round % (int)(sizeof lens / sizeof *lens)];
}

static void
rounds(int client, enum record_padding padding, const uint8_t *tx_key, const uint8_t *rx_key)
{
	static uint8_t wire[RECORD_WIRE_MAX_BYTES], plain[RECORD_PLAIN_MAX_BYTES], sent[65536];
	struct noise_cipher tx, rx;
	need(noise_cipher_init(&tx, tx_key) == 0 && noise_cipher_init(&rx, rx_key) == 0,
		"noise_cipher_init");
	for (int round = 0; round < ROUNDS; round++) {
		size_t sent_len = round_len(round);
		memset(sent, round + 1, sent_len);
		if (client)
			seal(&tx, padding, (uint8_t)(round + 1), sent, sent_len);
		size_t wire_len = get(wire), len;
		uint8_t type;
		const uint8_t *payload;
		need(record_open(&rx, wire, wire_len, plain, &type, &payload, &len) ==
				(int)wire_len,
			"record_open");
		need(type == round + 1 && len == sent_len && memcmp(payload, sent, len) == 0,
			"another record");
		if (!client)
			seal(&tx, padding, type, payload, len);
	}
	noise_cipher_fini(&tx);
	noise_cipher_fini(&rx);
}

static const uint8_t *
key(const char *hex, uint8_t out[static NOISE_KEY_BYTES])
{
	if (strcmp(hex, "-") == 0)
		return NULL;
	need(str_unhex(hex, out, NOISE_KEY_BYTES) == 0, "a key is 64 hexadecimal digits");
	return out;
}

int
main(int argc, char **argv)
{
	need(argc == 6, "client|agent SECRET REMOTE|- PSK|- PROLOGUE");
	int client = strcmp(argv[1], "client") == 0;
	uint8_t secret[NOISE_KEY_BYTES], remote[NOISE_KEY_BYTES], psk[NOISE_KEY_BYTES],
		prologue[PROLOGUE_MAX_BYTES];
	struct noise_keypair local;
	struct noise_secrets s;
	need(key(argv[2], secret) && noise_keypair_from_secret(secret, &local) == 0, "secret");
	size_t prologue_len = strlen(argv[5]) / 2;
	need(prologue_len <= sizeof prologue && str_unhex(argv[5], prologue, prologue_len) == 0,
		"prologue");
	struct noise_handshake *hs = noise_handshake_new(client, &local, key(argv[3], remote),
		key(argv[4], psk), prologue, prologue_len, NULL);
	need(hs != NULL, "noise_handshake_new");
	handshake(hs, client, &s);
	noise_handshake_free(hs);
	rounds(client, RECORD_LOGIN, client ? s.login_client : s.login_agent,
		client ? s.login_agent : s.login_client);
	rounds(client, client ? RECORD_CLIENT : RECORD_AGENT_256, client ? s.work_client : s.work_agent,
		client ? s.work_agent : s.work_client);
	return 0;
}
