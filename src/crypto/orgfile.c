#include "crypto/orgfile.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/cert.h"
#include "crypto/orghandover.h"

#define SIGNATURE_KEY "SIGNATURE "

/* ---- the signature line, the same in both kinds of file ---- */

/* Offset of the last line; *ret_end is where it ends without its line end. */
static size_t
last_line(const char *text, size_t len, size_t *ret_end)
{
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	*ret_end = len;
	while (len > 0 && text[len - 1] != '\n')
		len--;
	return len;
}

/* The text before the signature line and the signature. 0 or -ERR_SIGNATURE. */
static int
split(const char *text, size_t len, size_t *ret_body_len,
	uint8_t ret_der[static SIGN_DER_MAX_BYTES], size_t *ret_der_len)
{
	size_t end, skip = strlen(SIGNATURE_KEY), start = last_line(text, len, &end);
	if (end - start <= skip || memcmp(text + start, SIGNATURE_KEY, skip) != 0 ||
		str_unbase64(text + start + skip, end - start - skip, ret_der, SIGN_DER_MAX_BYTES,
			ret_der_len) < 0)
		return -ERR_SIGNATURE;
	*ret_body_len = start;
	return 0;
}

int
orgfile_sign(
	const char *text, size_t len, const char *purpose, struct evp_pkey_st *key, char **ret_text)
{
	uint8_t der[SIGN_DER_MAX_BYTES];
	size_t der_len, end, start = last_line(text, len, &end);
	/* a file that is signed already is signed anew */
	if (end - start >= strlen(SIGNATURE_KEY) &&
		memcmp(text + start, SIGNATURE_KEY, strlen(SIGNATURE_KEY)) == 0)
		len = start;
	size_t size = len + 2 + strlen(SIGNATURE_KEY) + str_base64_size(sizeof der) + 1;
	char *out = mem_array(size, 1);
	if (!out)
		return -ENOMEM;
	memcpy(out, text, len);
	if (len > 0 && out[len - 1] != '\n')
		out[len++] = '\n';
	int r = sign_bytes(key, purpose, out, len, der, &der_len);
	if (r < 0) {
		free(out);
		return r;
	}
	char *p = out + len;
	memcpy(p, SIGNATURE_KEY, strlen(SIGNATURE_KEY));
	p += strlen(SIGNATURE_KEY);
	str_base64(p, der, der_len);
	memcpy(p + strlen(p), "\n", 2);
	*ret_text = out;
	return 0;
}

/* ---- values ---- */

static int
take_text(char *out, size_t size, const char *value)
{
	return *value && str_copy(out, size, value) == 0 ? 0 : -ERR_SETTING;
}

/* [a-z0-9-]{1,63} */
static int
take_name(char out[static 64], const char *value, size_t len)
{
	if (len == 0 || len > 63 || strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") < len)
		return -ERR_SETTING;
	memcpy(out, value, len);
	out[len] = '\0';
	return 0;
}

static int
take_revision(const char *value, uint64_t *ret)
{
	int64_t number;
	if (str_int(value, 1, INT64_MAX, &number) < 0)
		return -ERR_SETTING;
	*ret = (uint64_t)number;
	return 0;
}

static int
take_date(const char *value, uint64_t *ret)
{
	return wall_date_end(value, ret) < 0 ? -ERR_SETTING : 0;
}

static int
take_bytes(const char *value, uint8_t *out, size_t size)
{
	size_t len;
	return str_unbase64(value, strlen(value), out, size, &len) == 0 && len == size
		       ? 0
		       : -ERR_SETTING;
}

static int
take_point(const char *value, uint8_t out[static SIGN_POINT_BYTES])
{
	struct evp_pkey_st *key;
	int r = take_bytes(value, out, SIGN_POINT_BYTES);
	if (r < 0 || !(key = sign_key_public(out)))
		return -ERR_SETTING;
	sign_key_free(key);
	return 0;
}

static int
take_x25519(const char *value, uint8_t out[static 32])
{
	static const uint8_t zero[32];
	int r = take_bytes(value, out, 32);
	return r == 0 && memcmp(out, zero, 32) != 0 ? 0 : -ERR_SETTING;
}

static int
take_cert(const char *value, uint8_t **ret_der, size_t *ret_len)
{
	uint8_t *der = mem_array(CERT_DER_MAX_BYTES, 1);
	size_t len;
	if (!der)
		return -ENOMEM;
	if (str_unbase64(value, strlen(value), der, CERT_DER_MAX_BYTES, &len) < 0) {
		free(der);
		return -ERR_SETTING;
	}
	*ret_der = der;
	*ret_len = len;
	return 0;
}

/* "name host:port"; an IPv6 address stands in brackets. */
static int
take_gate(const char *value, struct orgfile_gate *gate)
{
	int64_t port;
	const char *blank = strchr(value, ' ');
	if (!blank || take_name(gate->name, value, (size_t)(blank - value)) < 0)
		return -ERR_SETTING;
	const char *target = blank + strspn(blank, " ");
	const char *colon = strrchr(target, ':');
	if (!colon || colon == target || str_int(colon + 1, 1, 65535, &port) < 0 ||
		strchr(target, ' ') || str_copy(gate->target, sizeof gate->target, target) < 0)
		return -ERR_SETTING;
	int bracketed = target[0] == '[' && colon[-1] == ']';
	return bracketed || strchr(target, ':') == colon ? 0 : -ERR_SETTING;
}

/* ---- organisation file ---- */

enum key {
	KEY_ORGANISATION,
	KEY_NAME,
	KEY_REVISION,
	KEY_NOT_AFTER,
	KEY_ROOT,
	KEY_ISSUER,
	KEY_GATE,
	KEY_SIGNING_KEY,
	KEY_POLICY_KEY,
	KEY_TICKET_KEY,
	KEY_MAIL_KEY,
	KEY_SUPPORT,
	KEY_WATERMARK_KEY,
	KEY_HANDOVER,
	KEY_COUNT,
};

/* max is how often it may be. */
static const struct {
	const char *name;
	size_t max;
	int is_optional;
} keys[KEY_COUNT] = {
	[KEY_ORGANISATION] = {"ORGANISATION", 1},
	[KEY_NAME] = {"NAME", 1},
	[KEY_REVISION] = {"REVISION", 1},
	[KEY_NOT_AFTER] = {"NOT_AFTER", 1},
	[KEY_ROOT] = {"ROOT", 1},
	[KEY_ISSUER] = {"ISSUER", ORGFILE_KEYS_MAX},
	[KEY_GATE] = {"GATE", ORGFILE_GATES_MAX},
	[KEY_SIGNING_KEY] = {"SIGNING_KEY", 1},
	[KEY_POLICY_KEY] = {"POLICY_KEY", 1},
	[KEY_TICKET_KEY] = {"TICKET_KEY", ORGFILE_KEYS_MAX},
	[KEY_MAIL_KEY] = {"MAIL_KEY", 1},
	[KEY_SUPPORT] = {"SUPPORT", 1},
	[KEY_WATERMARK_KEY] = {"WATERMARK_KEY", 1, 1},
	[KEY_HANDOVER] = {"HANDOVER", ORGFILE_HANDOVERS_MAX, 1},
};

struct pass {
	struct orgfile *org;
	size_t seen[KEY_COUNT];
	struct conf_error *error;
};

static int
take(struct orgfile *org, enum key key, const char *value)
{
	switch (key) {
	case KEY_ORGANISATION:
		return take_name(org->id, value, strlen(value));
	case KEY_NAME:
		return take_text(org->name, sizeof org->name, value);
	case KEY_REVISION:
		return take_revision(value, &org->revision);
	case KEY_NOT_AFTER:
		return take_date(value, &org->not_after_s);
	case KEY_ROOT:
		return take_cert(value, &org->root, &org->root_len);
	case KEY_ISSUER:
		org->issuer_count++;
		return take_cert(value, &org->issuers[org->issuer_count - 1],
			&org->issuer_lens[org->issuer_count - 1]);
	case KEY_GATE:
		return take_gate(value, &org->gates[org->gate_count++]);
	case KEY_SIGNING_KEY:
		return take_point(value, org->signing_key);
	case KEY_POLICY_KEY:
		return take_point(value, org->policy_key);
	case KEY_TICKET_KEY:
		return take_point(value, org->ticket_keys[org->ticket_key_count++]);
	case KEY_MAIL_KEY:
		return take_x25519(value, org->mail_key);
	case KEY_SUPPORT:
		return take_text(org->support, sizeof org->support, value);
	case KEY_WATERMARK_KEY:
		return take_x25519(value, org->watermark_key);
	case KEY_HANDOVER:
		return orghandover_take(value, &org->handovers[org->handover_count++]);
	case KEY_COUNT:
		break;
	}
	return -ERR_SETTING;
}

static int
on_line(void *user, const char *name, const char *value)
{
	struct pass *pass = user;
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (strcmp(name, keys[i].name) != 0)
			continue;
		if (pass->seen[i]++ >= keys[i].max) {
			snprintf(pass->error->text, sizeof pass->error->text, "too many %s", name);
			return -ERR_SETTING;
		}
		int r = take(pass->org, (enum key)i, value);
		if (r < 0)
			snprintf(pass->error->text, sizeof pass->error->text, "bad value of %s",
				name);
		return r;
	}
	snprintf(pass->error->text, sizeof pass->error->text, "unknown key %.64s", name);
	return -ERR_SETTING;
}

static int
read_lines(const char *text, size_t len, struct orgfile *org, struct conf_error *error)
{
	struct conf_error inner = {"not a line of the form KEY value"};
	struct pass pass = {.org = org, .error = &inner};
	unsigned line;
	int r = conf_lines(text, len, on_line, &pass, &line);
	if (r < 0) {
		snprintf(error->text, sizeof error->text, "line %u: %.200s", line, inner.text);
		return r;
	}
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (pass.seen[i] == 0 && !keys[i].is_optional) {
			snprintf(error->text, sizeof error->text, "%s is missing", keys[i].name);
			return -ERR_SETTING;
		}
	}
	return 0;
}

/* One issuer in time is enough: the other one may be the next or the last. */
static int
check_certs(const struct orgfile *org, uint64_t now_s)
{
	int in_time = 0;
	struct x509_st *root = cert_parse(org->root, org->root_len);
	int r = root ? cert_check_issuer(root, root, now_s) : -ERR_CERT_UNTRUSTED;
	for (size_t i = 0; r == 0 && i < org->issuer_count; i++) {
		struct x509_st *issuer = cert_parse(org->issuers[i], org->issuer_lens[i]);
		r = issuer && cert_is_authority(issuer) ? cert_check_issuer(issuer, root, now_s)
							: -ERR_CERT_UNTRUSTED;
		in_time += r == 0;
		if (r == -ERR_CERT_EXPIRED)
			r = 0;
		cert_free(issuer);
	}
	cert_free(root);
	return r == 0 && !in_time ? -ERR_CERT_EXPIRED : r;
}

int
orgfile_parse(const char *text, size_t len, uint64_t now_s, struct orgfile *ret_org,
	struct conf_error *error)
{
	struct orgfile org = {0};
	uint8_t der[SIGN_DER_MAX_BYTES];
	size_t body_len, der_len;
	*error = (struct conf_error){""};
	if (len > ORGFILE_MAX_BYTES)
		return -ERR_SETTING;
	int r = split(text, len, &body_len, der, &der_len);
	if (r == 0)
		r = read_lines(text, body_len, &org, error);
	if (r == 0)
		r = sign_check(org.signing_key, ORGFILE_PURPOSE, text, body_len, der, der_len);
	if (r == 0)
		r = orghandover_check(&org);
	if (r == 0)
		r = check_certs(&org, now_s);
	if (r == 0 && org.not_after_s < now_s)
		r = -ERR_CERT_EXPIRED;
	if (r < 0) {
		orgfile_fini(&org);
		return r;
	}
	SHA256((const uint8_t *)text, body_len, org.hash);
	*ret_org = org;
	return 0;
}

int
orgfile_load(const char *path, struct orgfile *ret_org, struct conf_error *error)
{
	char *text;
	size_t len;
	int r = conf_read_file(path, ORGFILE_MAX_BYTES, &text, &len);
	if (r < 0) {
		snprintf(error->text, sizeof error->text, "%.160s: %s", path, strerror(-r));
		return r;
	}
	r = orgfile_parse(text, len, wall_s(), ret_org, error);
	free(text);
	return r;
}

void
orgfile_fini(struct orgfile *org)
{
	if (!org)
		return;
	free(org->root);
	for (size_t i = 0; i < ORGFILE_KEYS_MAX; i++)
		free(org->issuers[i]);
	*org = (struct orgfile){0};
}

void
orgfile_fingerprint(const struct orgfile *org, char ret_text[static ORGFILE_FINGERPRINT_SIZE])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	SHA256(org->signing_key, sizeof org->signing_key, hash);
	for (size_t i = 0; i < 10; i++) {
		str_hex(ret_text + 5 * i, hash + 2 * i, 2);
		ret_text[5 * i + 4] = i < 9 ? ' ' : '\0';
	}
}

/* ---- policy ---- */

struct policy_head {
	uint64_t revision, not_after_s;
	struct conf_error *error;
};

static int
on_head(void *user, const char *key, const char *value)
{
	struct policy_head *head = user;
	int revision = strcmp(key, "REVISION") == 0;
	uint64_t *field = revision                        ? &head->revision
			  : strcmp(key, "NOT_AFTER") == 0 ? &head->not_after_s
							  : NULL;
	if (strcmp(key, "SIGNATURE") == 0) {
		snprintf(head->error->text, sizeof head->error->text,
			"SIGNATURE is not the last line");
		return -ERR_SETTING;
	}
	if (!field)
		return 0;
	int r = *field     ? -ERR_SETTING
		: revision ? take_revision(value, field)
			   : take_date(value, field);
	if (r < 0)
		snprintf(head->error->text, sizeof head->error->text, "bad or second %s", key);
	return r;
}

static int
check_head(const char *text, size_t len, uint64_t now_s, struct conf_error *error)
{
	struct conf_error inner = {"not a line of the form KEY value"};
	struct policy_head head = {.error = &inner};
	unsigned line;
	int r = conf_lines(text, len, on_head, &head, &line);
	if (r < 0) {
		snprintf(error->text, sizeof error->text, "line %u: %.200s", line, inner.text);
		return r;
	}
	const char *missing = !head.revision ? "REVISION" : !head.not_after_s ? "NOT_AFTER" : NULL;
	if (missing || head.not_after_s < now_s) {
		snprintf(error->text, sizeof error->text, "%s %s", missing ? missing : "NOT_AFTER",
			missing ? "is missing" : "has passed");
		return -ERR_POLICY;
	}
	return 0;
}

int
policy_content(const char *text, size_t len, uint8_t ret_hash[static 32])
{
	uint8_t der[SIGN_DER_MAX_BYTES];
	size_t body_len, der_len;
	int r = split(text, len, &body_len, der, &der_len);
	if (r == 0)
		SHA256((const uint8_t *)text, body_len, ret_hash);
	return r;
}

int
policy_parse(const char *text, size_t len, const uint8_t policy_key[static SIGN_POINT_BYTES],
	uint64_t now_s, policy_line_fn *on_line_fn, void *user, struct conf_error *error)
{
	uint8_t der[SIGN_DER_MAX_BYTES];
	size_t body_len, der_len;
	unsigned line;
	*error = (struct conf_error){""};
	if (len > POLICY_MAX_BYTES)
		return -ERR_SETTING;
	int r = split(text, len, &body_len, der, &der_len);
	if (r == 0)
		r = sign_check(policy_key, POLICY_PURPOSE, text, body_len, der, der_len);
	if (r == 0)
		r = check_head(text, body_len, now_s, error);
	if (r < 0)
		return r;
	r = conf_lines(text, body_len, on_line_fn, user, &line);
	if (r < 0 && !error->text[0])
		snprintf(error->text, sizeof error->text, "line %u", line);
	return r;
}
