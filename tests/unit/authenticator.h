/*
 * A security key in software for tests: CTAP 2.0 over HID reports, under libfido2's own I/O hooks.
 * It has discoverable ES256 credentials, and a PIN or else a fingerprint that always fits. Never
 * part of a program.
 */
#pragma once
#include <fido.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "authenticator_pin.h"

enum {
	SOFT_KEYS_MAX = 8,
	REPORT_BYTES = 64,
	MESSAGE_BYTES = 2048
};

struct soft_credential {
	char rp_id[128];
	uint8_t id[32], user[64];
	size_t user_len;
	EVP_PKEY *key;
};

struct authenticator {
	struct soft_credential list[SOFT_KEYS_MAX];
	size_t count;
	uint32_t counter;
	uint8_t flags; /* 5: touched and verified */
	int plugged;   /* how many answer when keys are looked for: 0 or 1 */
	struct soft_pin pin;
	int verified; /* the command at hand came with the PIN */
	/* of one command */
	uint8_t cid[4], cmd, in[MESSAGE_BYTES], out[MESSAGE_BYTES];
	size_t in_len, in_total, out_len, out_sent;
	unsigned out_seq;
	/* of an assertion that several credentials answer */
	uint8_t hash[32];
	size_t match[SOFT_KEYS_MAX], matches, next;
};

static inline uint8_t
soft_flags(const struct authenticator *a)
{
	return a->pin.pin[0] ? (uint8_t)((a->flags & ~4u) | (a->verified ? 4u : 0)) : a->flags;
}

/* ---- commands: what is in a->in, answered in a->out ---- */

static inline size_t
authenticator_data(const struct authenticator *a, const char *rp_id, uint8_t flags, uint8_t *out)
{
	SHA256((const uint8_t *)rp_id, strlen(rp_id), out);
	out[32] = flags;
	for (int i = 0; i < 4; i++)
		out[33 + i] = (uint8_t)(a->counter >> (24 - 8 * i));
	return 37;
}

static inline size_t
get_info(struct authenticator *a)
{
	static const uint8_t aaguid[16] = "engawa-test-key";
	struct cbor c = {a->out + 1};
	put_head(&c, 5, 4);
	put_head(&c, 0, 1);
	put_head(&c, 4, 1);
	put_name(&c, "FIDO_2_0");
	put_head(&c, 0, 3);
	put_string(&c, 2, aaguid, sizeof aaguid);
	put_head(&c, 0, 4);
	put_head(&c, 5, 3);
	const char *const options[] = {"rk", "up", a->pin.pin[0] ? "clientPin" : "uv"};
	for (int i = 0; i < 3; i++) {
		put_name(&c, options[i]);
		*c.p++ = 0xf5; /* true */
	}
	put_head(&c, 0, 6); /* PIN protocols */
	put_head(&c, 4, 1);
	put_head(&c, 0, 1);
	return (size_t)(c.p - a->out);
}

static inline size_t
make_credential(struct authenticator *a)
{
	const uint8_t *request = a->in + 1;
	struct soft_credential *k = &a->list[a->count];
	uint8_t data[512], point[65];
	size_t len = sizeof point;
	char rp_id[128] = "";
	if (a->count == SOFT_KEYS_MAX) {
		a->out[0] = 0x28; /* store full */
		return 1;
	}
	cbor_take(cbor_find(request, 1, NULL), a->hash, sizeof a->hash);
	int shown = soft_pin_shown(&a->pin, cbor_find(request, 8, NULL), a->hash);
	a->verified = shown > 0;
	if (shown < 0 || (a->pin.pin[0] && !shown)) {
		a->out[0] = shown < 0 ? SOFT_PIN_AUTH_INVALID : 0x36; /* PIN required */
		return 1;
	}
	cbor_take(cbor_find(cbor_find(request, 2, NULL), 0, "id"), rp_id, sizeof rp_id - 1);
	*k = (struct soft_credential){.key = EVP_EC_gen("P-256")};
	strcpy(k->rp_id, rp_id);
	k->user_len =
		cbor_take(cbor_find(cbor_find(request, 3, NULL), 0, "id"), k->user, sizeof k->user);
	memset(k->id, (int)a->count + 1, sizeof k->id);
	EVP_PKEY_get_octet_string_param(k->key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &len);
	SHA256(point, sizeof point, k->id);
	a->count++;
	a->counter++;
	struct cbor d = {data + authenticator_data(a, rp_id, soft_flags(a) | 0x40, data)};
	memset(d.p, 0, 16);
	d.p += 16;
	*d.p++ = 0;
	*d.p++ = sizeof k->id;
	memcpy(d.p, k->id, sizeof k->id);
	d.p += sizeof k->id;
	memcpy(d.p, "\xa5\x01\x02\x03\x26\x20\x01\x21", 8); /* EC2, ES256, P-256, x */
	d.p += 8;
	put_string(&d, 2, point + 1, 32);
	*d.p++ = 0x22; /* y */
	put_string(&d, 2, point + 33, 32);
	struct cbor c = {a->out + 1};
	put_head(&c, 5, 3);
	put_head(&c, 0, 1);
	put_name(&c, "none");
	put_head(&c, 0, 2);
	put_string(&c, 2, data, (size_t)(d.p - data));
	put_head(&c, 0, 3);
	put_head(&c, 5, 0);
	return (size_t)(c.p - a->out);
}

static inline size_t
next_assertion(struct authenticator *a)
{
	if (a->next == a->matches) {
		a->out[0] = a->next ? 0x30 : 0x2e; /* not allowed; no credentials */
		return 1;
	}
	const struct soft_credential *k = &a->list[a->match[a->next++]];
	uint8_t data[37 + 32], signature[80];
	size_t len = sizeof signature;
	a->counter++;
	authenticator_data(a, k->rp_id, soft_flags(a), data);
	memcpy(data + 37, a->hash, 32);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->key) != 1 ||
		EVP_DigestSign(ctx, signature, &len, data, sizeof data) != 1)
		abort();
	EVP_MD_CTX_free(ctx);
	struct cbor c = {a->out + 1};
	put_head(&c, 5, a->next == 1 ? 5 : 4);
	put_head(&c, 0, 1);
	put_head(&c, 5, 2);
	put_name(&c, "id");
	put_string(&c, 2, k->id, sizeof k->id);
	put_name(&c, "type");
	put_name(&c, "public-key");
	put_head(&c, 0, 2);
	put_string(&c, 2, data, 37);
	put_head(&c, 0, 3);
	put_string(&c, 2, signature, len);
	put_head(&c, 0, 4);
	put_head(&c, 5, 1);
	put_name(&c, "id");
	put_string(&c, 2, k->user, k->user_len);
	if (a->next == 1) {
		put_head(&c, 0, 5);
		put_head(&c, 0, a->matches);
	}
	return (size_t)(c.p - a->out);
}

static inline size_t
get_assertion(struct authenticator *a)
{
	char rp_id[128] = "";
	cbor_take(cbor_find(a->in + 1, 1, NULL), rp_id, sizeof rp_id - 1);
	cbor_take(cbor_find(a->in + 1, 2, NULL), a->hash, sizeof a->hash);
	int shown = soft_pin_shown(&a->pin, cbor_find(a->in + 1, 6, NULL), a->hash);
	a->verified = shown > 0;
	if (shown < 0) {
		a->out[0] = SOFT_PIN_AUTH_INVALID;
		return 1;
	}
	a->matches = a->next = 0;
	for (size_t i = a->count; i-- > 0;) /* the newest first */
		if (strcmp(a->list[i].rp_id, rp_id) == 0)
			a->match[a->matches++] = i;
	return next_assertion(a);
}

static inline void
run_command(struct authenticator *a)
{
	a->out[0] = 0;
	a->out_sent = a->out_seq = 0;
	if (a->cmd == 0x06) { /* INIT: nonce, channel, protocol 2, CBOR and no U2F */
		memcpy(a->out, a->in, 8);
		memcpy(a->out + 8, "\1\2\3\4\2\0\0\0\x0c", 9);
		a->out_len = 17;
	} else if (a->cmd == 0x10 && a->in[0] == 0x04) {
		a->out_len = get_info(a);
	} else if (a->cmd == 0x10 && a->in[0] == 0x01) {
		a->out_len = make_credential(a);
	} else if (a->cmd == 0x10 && a->in[0] == 0x02) {
		a->out_len = get_assertion(a);
	} else if (a->cmd == 0x10 && a->in[0] == 0x08) {
		a->out_len = next_assertion(a);
	} else if (a->cmd == 0x10 && a->in[0] == 0x06) {
		a->out_len = 1 + soft_pin_command(&a->pin, a->in + 1, a->out + 1);
	} else {
		a->out[0] = 0x01; /* invalid command */
		a->out_len = 1;
	}
}

/* ---- HID reports (CTAP 2.0, 8.1.4) ---- */

static struct authenticator *plugged_in; /* libfido2's open has no argument for it */

static inline void *
soft_open(const char *path)
{
	(void)path;
	return plugged_in;
}

static inline void
soft_close(void *handle)
{
	(void)handle;
}

static inline int
soft_write(void *handle, const unsigned char *report, size_t len)
{
	struct authenticator *a = handle;
	const unsigned char *p = report + 1; /* report ID */
	size_t n, head = 5;
	if (len != REPORT_BYTES + 1)
		return -1;
	if (p[4] & 0x80) {
		memcpy(a->cid, p, 4);
		a->cmd = p[4] & 0x7f;
		a->in_total = (size_t)p[5] << 8 | p[6];
		a->in_len = 0;
		head = 7;
	}
	n = REPORT_BYTES - head < a->in_total - a->in_len ? REPORT_BYTES - head
							  : a->in_total - a->in_len;
	if (a->in_len + n > sizeof a->in)
		return -1;
	memcpy(a->in + a->in_len, p + head, n);
	a->in_len += n;
	if (a->in_len == a->in_total)
		run_command(a);
	return (int)len;
}

static inline int
soft_read(void *handle, unsigned char *report, size_t len, int ms)
{
	struct authenticator *a = handle;
	size_t head = a->out_sent ? 5 : 7, n = a->out_len - a->out_sent;
	(void)ms;
	if (len != REPORT_BYTES || (a->out_sent && !n))
		return -1;
	memset(report, 0, len);
	memcpy(report, a->cid, 4);
	if (head == 7) {
		report[4] = a->cmd | 0x80;
		report[5] = (unsigned char)(a->out_len >> 8);
		report[6] = (unsigned char)a->out_len;
	} else {
		report[4] = (unsigned char)a->out_seq++;
	}
	if (n > len - head)
		n = len - head;
	memcpy(report + head, a->out + a->out_sent, n);
	a->out_sent += n;
	return (int)len;
}

/* A security_key_open_fn: user is the authenticator. */
static inline fido_dev_t *
authenticator_open(void *user, size_t i)
{
	static const fido_dev_io_t io = {soft_open, soft_close, soft_read, soft_write};
	struct authenticator *a = user;
	if ((int)i >= a->plugged)
		return NULL;
	fido_dev_t *dev = fido_dev_new();
	plugged_in = a;
	if (!dev || fido_dev_set_io_functions(dev, &io) != FIDO_OK ||
		fido_dev_open(dev, "soft") != FIDO_OK)
		fido_dev_free(&dev);
	return dev;
}

static inline void
authenticator_fini(struct authenticator *a)
{
	for (size_t i = 0; i < a->count; i++)
		EVP_PKEY_free(a->list[i].key);
	soft_pin_fini(&a->pin);
	a->count = 0;
}
