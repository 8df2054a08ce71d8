#include "cli/org_file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/cert.h"
#include "crypto/noise.h"
#include "crypto/orghandover.h"
#include "crypto/seal.h"

enum {
	DAY_S = 86400,
	FILE_MODE = 0644,
	HANDOVERS_MAX_BYTES = 65536
};

struct text {
	char bytes[ORGFILE_MAX_BYTES];
	size_t len;
	int failed;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(t->bytes + t->len, sizeof t->bytes - t->len, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof t->bytes - t->len)
		t->failed = 1;
	else
		t->len += (size_t)n;
}

static void
add_base64(struct text *t, const char *key, const void *data, size_t len)
{
	char text[CERT_DER_MAX_BYTES * 4 / 3 + 8];
	str_base64(text, data, len);
	add(t, "%s %s\n", key, text);
}

int
org_path(char *out, size_t size, const char *dir, const char *name)
{
	return str_print(out, size, "%s/%s", dir, name);
}

static int
make_key(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct evp_pkey_st *key = sign_key_generate();
	int r = key ? org_path(path, sizeof path, dir, name) : -ERR_CRYPTO;
	if (r == 0)
		r = sign_key_save(key, path);
	sign_key_free(key);
	return r;
}

int
org_watermark_key(const char *dir)
{
	struct noise_keypair pair;
	char path[PATH_MAX];
	int r = noise_keypair_generate(&pair);
	if (r == 0)
		r = org_path(path, sizeof path, dir, ORG_WATERMARK_KEY);
	if (r == 0)
		r = seal_key_save(pair.secret, path);
	mem_wipe(&pair, sizeof pair);
	return r;
}

int
org_file_keys(const char *dir, const char **ret_at)
{
	*ret_at = "";
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	*ret_at = "policy.key"; /* looked at first: a half-made pair helps nobody */
	char path[PATH_MAX];
	struct stat st;
	if (org_path(path, sizeof path, dir, *ret_at) < 0 || lstat(path, &st) == 0)
		return -EEXIST;
	*ret_at = "signing.key";
	int r = make_key(dir, *ret_at);
	if (r < 0)
		return r;
	*ret_at = "policy.key";
	r = make_key(dir, *ret_at);
	if (r < 0)
		return r;
	*ret_at = ORG_WATERMARK_KEY;
	return org_watermark_key(dir);
}

static int
add_cert(struct text *t, const char *key, const char *ca, const char *name)
{
	char path[PATH_MAX];
	uint8_t der[CERT_DER_MAX_BYTES];
	size_t len;
	int r = org_path(path, sizeof path, ca, name);
	struct x509_st *cert = r == 0 ? cert_load(path) : NULL;
	r = r < 0 ? r : cert ? cert_der(cert, der, sizeof der, &len) : -ENOENT;
	cert_free(cert);
	if (r == 0)
		add_base64(t, key, der, len);
	return r;
}

static int
add_point(struct text *t, const char *key, const char *dir, const char *name)
{
	char path[PATH_MAX];
	uint8_t point[SIGN_POINT_BYTES];
	struct evp_pkey_st *pair;
	int r = org_path(path, sizeof path, dir, name);
	if (r == 0)
		r = sign_key_load(path, &pair);
	if (r < 0)
		return r;
	r = sign_key_point(pair, point);
	sign_key_free(pair);
	if (r == 0)
		add_base64(t, key, point, sizeof point);
	return r;
}

static int
add_x25519(struct text *t, const char *key, const char *dir, const char *name)
{
	char path[PATH_MAX];
	uint8_t secret[32], public[32];
	int r = org_path(path, sizeof path, dir, name);
	if (r == 0)
		r = seal_key_load(path, secret, public);
	if (r == 0)
		add_base64(t, key, public, sizeof public);
	mem_wipe(secret, sizeof secret);
	return r;
}

/* The newest, as org_file_rekey wrote them. */
static int
add_handovers(struct text *t, const char *dir, const char **ret_at)
{
	char path[PATH_MAX], *lines;
	size_t len, count = 0;
	int r = org_path(path, sizeof path, dir, "handovers");
	if (r == 0)
		r = conf_read_file(path, HANDOVERS_MAX_BYTES, &lines, &len);
	if (r < 0) {
		*ret_at = r == -ENOENT ? *ret_at : "handovers";
		return r == -ENOENT ? 0 : r;
	}
	for (const char *p = lines; *p; p++)
		count += *p == '\n';
	const char *from = lines;
	for (; count > ORGFILE_HANDOVERS_MAX; count--)
		from = strchr(from, '\n') + 1;
	add(t, "%s", from);
	free(lines);
	return 0;
}

static int
build(const struct org_file *f, struct text *t, const char **ret_at)
{
	char date[sizeof "YYYY-MM-DD"];
	time_t end = (time_t)wall_s() + (time_t)f->days * DAY_S;
	struct tm tm;
	*ret_at = "";
	if (!gmtime_r(&end, &tm) || !strftime(date, sizeof date, "%Y-%m-%d", &tm))
		return -ERR_CLOCK;
	add(t, "ORGANISATION %s\nNAME %s\nREVISION %llu\nNOT_AFTER %s\n", f->id, f->name,
		(unsigned long long)f->revision, date);
	int r = add_cert(t, "ROOT", f->ca, *ret_at = "root.pem");
	if (r == 0)
		r = add_cert(t, "ISSUER", f->ca, *ret_at = "issuer.pem");
	for (size_t i = 0; i < f->gate_count; i++)
		add(t, "GATE %s %s\n", f->gates[i].name, f->gates[i].target);
	if (r == 0)
		r = add_point(t, "SIGNING_KEY", f->dir, *ret_at = "signing.key");
	if (r == 0)
		r = add_point(t, "POLICY_KEY", f->dir, *ret_at = "policy.key");
	if (r == 0)
		r = add_point(t, "TICKET_KEY", f->ca, *ret_at = "ticket.key");
	if (r == 0)
		r = add_x25519(t, "MAIL_KEY", f->ca, *ret_at = "mail.key");
	if (r == 0) {
		r = add_x25519(t, "WATERMARK_KEY", f->dir, *ret_at = ORG_WATERMARK_KEY);
		r = r == -ENOENT ? 0 : r; /* an organisation from before there was one */
	}
	add(t, "SUPPORT %s\n", f->support);
	if (r == 0)
		r = add_handovers(t, f->dir, ret_at);
	return r == 0 && t->failed ? -ERR_TOO_LONG : r;
}

static int
sign(const struct org_file *f, const struct text *t, char **ret_text)
{
	char path[PATH_MAX];
	struct evp_pkey_st *key;
	int r = org_path(path, sizeof path, f->dir, "signing.key");
	if (r == 0)
		r = sign_key_load(path, &key);
	if (r < 0)
		return r;
	r = orgfile_sign(t->bytes, t->len, "engawa organisation v1", key, ret_text);
	sign_key_free(key);
	return r;
}

int
org_file_write(const struct org_file *f, const char **ret_at, struct conf_error *error)
{
	struct text *t = mem_new(sizeof *t);
	char path[PATH_MAX], *signed_text = NULL;
	struct orgfile org;
	int r = build(f, t, ret_at);
	if (r == 0) {
		*ret_at = "organisation.engawa";
		r = sign(f, t, &signed_text);
	}
	/* what every program will say of it, before any of them sees it */
	if (r == 0)
		r = orgfile_parse(signed_text, strlen(signed_text), wall_s(), &org, error);
	if (r == 0) {
		orgfile_fini(&org);
		r = org_path(path, sizeof path, f->dir, *ret_at);
	}
	if (r == 0)
		r = conf_write_file(path, signed_text, strlen(signed_text), FILE_MODE);
	free(signed_text);
	free(t);
	return r;
}

/* The line goes behind those that are there. */
static int
keep_handover(const char *dir, const char *value)
{
	char path[PATH_MAX], *lines = NULL, *all = NULL;
	size_t len = 0;
	int r = org_path(path, sizeof path, dir, "handovers");
	if (r == 0)
		r = conf_read_file(path, HANDOVERS_MAX_BYTES, &lines, &len);
	if (r == -ENOENT)
		r = 0;
	int n = r == 0 ? asprintf(&all, "%sHANDOVER %s\n", lines ? lines : "", value) : -1;
	if (r == 0)
		r = n < 0 ? -ENOMEM : conf_write_file(path, all, (size_t)n, FILE_MODE);
	if (n >= 0)
		free(all);
	free(lines);
	return r;
}

/* The one before stays under another name, until somebody destroys it. */
static int
exchange(const char *dir, struct evp_pkey_st *next, const char *kept, const char **ret_at)
{
	char fresh[PATH_MAX], key[PATH_MAX], old[PATH_MAX];
	*ret_at = "signing.key.next";
	int r = org_path(fresh, sizeof fresh, dir, *ret_at);
	if (r == 0)
		r = org_path(key, sizeof key, dir, "signing.key");
	if (r == 0)
		r = org_path(old, sizeof old, dir, kept);
	if (r == 0)
		r = sign_key_save(next, fresh);
	if (r < 0)
		return r;
	*ret_at = kept;
	if (link(key, old) < 0 || rename(fresh, key) < 0) {
		r = -errno;
		unlink(fresh);
	}
	return r;
}

int
org_file_rekey(const char *dir, const char *id, const char *kept, const char **ret_at)
{
	char path[PATH_MAX], value[ORGHANDOVER_LINE_SIZE];
	uint8_t point[SIGN_POINT_BYTES];
	struct evp_pkey_st *old = NULL, *next = sign_key_generate();
	*ret_at = "signing.key";
	int r = next ? org_path(path, sizeof path, dir, *ret_at) : -ERR_CRYPTO;
	if (r == 0)
		r = sign_key_load(path, &old);
	if (r == 0)
		r = sign_key_point(next, point);
	if (r == 0)
		r = orghandover_make(old, id, point, value);
	if (r == 0)
		r = exchange(dir, next, kept, ret_at);
	if (r == 0) {
		*ret_at = "handovers";
		r = keep_handover(dir, value);
	}
	sign_key_free(old);
	sign_key_free(next);
	return r;
}
