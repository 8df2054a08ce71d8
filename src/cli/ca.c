/*
 * engawa ca init | page | show: the keys of a relay, each in a file of mode 0600 that nothing here
 * ever overwrites.
 *
 * The root (P-384) signs issuing CAs and is kept offline; the issuing CA (P-256, 90 days) signs
 * agents and gates. The ticket key signs tickets and the mail key opens sealed codes; neither is in
 * a certificate. The page CA is for demo and tests: it signs one certificate, and its key is
 * forgotten.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/command.h"
#include "crypto/cert.h"
#include "crypto/noise.h"
#include "crypto/seal.h"
#include "crypto/sign.h"

enum {
	ISSUER_DAYS = 90,
	PAGE_DAYS = 397, /* what browsers take of a server certificate */
	PATH_BYTES = 1024,
	NAME_MAX_BYTES = 48, /* the issuing CA's name adds 9, and X.520 allows 64 */
};

struct settings {
	char *dir, *name;
	struct conf_list hosts;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_option options[] = {
	{"DIR", CONF_STR, AT(dir), NULL, 0, 0, "directory of the keys and certificates"},
	{"NAME", CONF_STR, AT(name), "Engawa", 0, 0, "name of the authority (init)"},
	{"HOST", CONF_LIST, AT(hosts), NULL, 0, 0, "host name or address of the page (page)"},
	CONF_OPTIONS_END,
};

static int
path_of(char out[static PATH_BYTES], const struct settings *s, const char *file)
{
	return str_print(out, PATH_BYTES, "%s/%s", s->dir, file);
}

static int
fail(int r, const struct settings *s, const char *file)
{
	char path[PATH_BYTES];
	return command_fail(command_error(r), path_of(path, s, file) == 0 ? path : s->dir);
}

/* The name of the first of these files that is there, NULL when none is: asked before anything is
 * written. */
static const char *
find_existing(const struct settings *s, const char *const *files)
{
	char path[PATH_BYTES];
	struct stat st;
	for (; *files; files++)
		if (path_of(path, s, *files) < 0 || lstat(path, &st) == 0)
			return *files;
	return NULL;
}

static int
prepare(const struct settings *s, const char *const *files)
{
	if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
		return fail(-errno, s, "");
	const char *file = find_existing(s, files);
	return file ? fail(-EEXIST, s, file) : 0;
}

/* What one command makes: all of it, or nothing. */
struct batch {
	const struct settings *settings;
	const char *made[6];
	size_t count;
	const char *at; /* the file that is being made */
	int r;          /* first failure; after it every step does nothing */
};

/* Path of the next file; 0 when there was a failure or the object to save could not be made. */
static int
begin(struct batch *b, const char *file, const void *object, char path[static PATH_BYTES])
{
	if (b->r < 0)
		return 0;
	b->at = file;
	b->r = object ? path_of(path, b->settings, file) : -ERR_CRYPTO;
	return b->r == 0;
}

static void
end(struct batch *b, int r)
{
	b->r = r;
	if (r == 0)
		b->made[b->count++] = b->at;
}

static void
save_key(struct batch *b, const char *file, struct evp_pkey_st *key)
{
	char path[PATH_BYTES];
	if (begin(b, file, key, path))
		end(b, sign_key_save(key, path));
}

static void
save_cert(struct batch *b, const char *file, struct x509_st *cert)
{
	char path[PATH_BYTES];
	if (begin(b, file, cert, path))
		end(b, cert_save(cert, path));
}

static void
save_mail_key(struct batch *b, const char *file)
{
	struct noise_keypair pair;
	char path[PATH_BYTES];
	int r = noise_keypair_generate(&pair);
	if (begin(b, file, r == 0 ? &pair : NULL, path))
		end(b, seal_key_save(pair.secret, path));
	mem_wipe(&pair, sizeof pair);
}

/* After a failure the files of this run go away again, so that the next one does not stumble over
 * them. */
static int
finish(struct batch *b)
{
	char path[PATH_BYTES];
	if (b->r == 0)
		return 0;
	while (b->count > 0)
		if (path_of(path, b->settings, b->made[--b->count]) == 0)
			unlink(path);
	return fail(b->r, b->settings, b->at);
}

static int
init(const struct settings *s)
{
	static const char *const files[] = {
		"root.key", "root.pem", "issuer.key", "issuer.pem", "ticket.key", "mail.key", NULL};
	struct batch batch = {.settings = s};
	if (!*s->name || strlen(s->name) > NAME_MAX_BYTES)
		return command_fail(ERR_SETTING, "--name");
	if (prepare(s, files) != 0)
		return 1;
	struct evp_pkey_st *root_key = cert_root_key();
	struct evp_pkey_st *issuer_key = sign_key_generate();
	struct evp_pkey_st *ticket_key = sign_key_generate();
	struct x509_st *root = root_key ? cert_root(root_key, s->name) : NULL;
	struct x509_st *issuer =
		root && issuer_key ? cert_issuer(root_key, root, issuer_key, ISSUER_DAYS) : NULL;
	save_key(&batch, files[0], root_key);
	save_cert(&batch, files[1], root);
	save_key(&batch, files[2], issuer_key);
	save_cert(&batch, files[3], issuer);
	save_key(&batch, files[4], ticket_key);
	save_mail_key(&batch, files[5]);
	cert_free(issuer);
	cert_free(root);
	sign_key_free(ticket_key);
	sign_key_free(issuer_key);
	sign_key_free(root_key);
	return finish(&batch);
}

static int
page(const struct settings *s)
{
	static const char *const files[] = {"page-ca.pem", "page.pem", "page.key", NULL};
	const char *hosts[17] = {NULL};
	struct batch batch = {.settings = s};
	if (s->hosts.count == 0 || s->hosts.count >= sizeof hosts / sizeof hosts[0])
		return command_fail(ERR_SETTING, "--host");
	for (size_t i = 0; i < s->hosts.count; i++)
		hosts[i] = s->hosts.items[i];
	if (prepare(s, files) != 0)
		return 1;
	struct cert_request request = {
		.use = CERT_PAGE, .common_name = hosts[0], .hosts = hosts, .days = PAGE_DAYS};
	struct evp_pkey_st *ca_key = sign_key_generate();
	struct evp_pkey_st *key = sign_key_generate();
	struct x509_st *ca = ca_key ? cert_root(ca_key, "Engawa page (local)") : NULL;
	struct x509_st *cert = ca && key ? cert_issue(ca_key, ca, key, &request) : NULL;
	save_cert(&batch, files[0], ca);
	save_cert(&batch, files[1], cert);
	save_key(&batch, files[2], key);
	cert_free(cert);
	cert_free(ca);
	sign_key_free(key);
	sign_key_free(ca_key);
	return finish(&batch);
}

static void
show_cert(const char *file, struct x509_st *cert)
{
	char until[sizeof "YYYY-MM-DD"] = "?", hash[2 * 32 + 1] = "";
	uint8_t digest[32];
	unsigned digest_len = sizeof digest;
	struct tm tm;
	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm))
		strftime(until, sizeof until, "%Y-%m-%d", &tm);
	if (X509_digest(cert, EVP_sha256(), digest, &digest_len))
		str_hex(hash, digest, sizeof digest);
	printf("%-12s until %s  SHA-256 %s\n", file, until, hash);
}

static int
show_point(const struct settings *s, const char *file)
{
	struct evp_pkey_st *key;
	uint8_t point[SIGN_POINT_BYTES], id[SIGN_KEY_ID_BYTES];
	char path[PATH_BYTES], text[2 * SIGN_KEY_ID_BYTES + 1];
	int r = path_of(path, s, file);
	if (r == 0)
		r = sign_key_load(path, &key);
	if (r < 0)
		return r;
	r = sign_key_point(key, point);
	sign_key_free(key);
	if (r < 0)
		return r;
	sign_key_id(point, id);
	str_hex(text, id, sizeof id);
	printf("%-12s key id %s\n", file, text);
	return 0;
}

static int
show_mail(const struct settings *s)
{
	uint8_t secret[32], public[32];
	char path[PATH_BYTES], text[64];
	int r = path_of(path, s, "mail.key");
	if (r == 0)
		r = seal_key_load(path, secret, public);
	if (r < 0)
		return r;
	mem_wipe(secret, sizeof secret);
	str_base64(text, public, sizeof public);
	printf("%-12s public key %s\n", "mail.key", text);
	return 0;
}

static int
show(const struct settings *s)
{
	static const char *const files[] = {"root.pem", "issuer.pem", "page-ca.pem", "page.pem"};
	char path[PATH_BYTES];
	int shown = 0;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct x509_st *cert = path_of(path, s, files[i]) == 0 ? cert_load(path) : NULL;
		if (cert)
			show_cert(files[i], cert);
		shown += cert != NULL;
		cert_free(cert);
	}
	if (!shown)
		return fail(-ENOENT, s, files[0]);
	int r = show_point(s, "ticket.key");
	if (r < 0 && r != -ENOENT)
		return fail(r, s, "ticket.key");
	r = show_mail(s);
	return r < 0 && r != -ENOENT ? fail(r, s, "mail.key") : 0;
}

int
command_ca(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct settings *s);
	} actions[] = {{"init", init}, {"page", page}, {"show", show}};
	struct settings settings = {0};
	int rest = 0, status = 2;
	for (size_t i = 0; argc > 1 && i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(argv[1], actions[i].name) != 0)
			continue;
		int r = conf_main(options, &settings, "engawa ca", argc - 1, argv + 1, &rest);
		if (r == 0 && (rest != argc - 1 || !settings.dir))
			break;
		umask(077);
		status = r < 0 ? 2 : r > 0 ? 0 : actions[i].run(&settings);
		conf_free(options, &settings);
		return status;
	}
	conf_free(options, &settings);
	fprintf(stderr, "engawa ca init --dir DIR [--name NAME]\n"
			"engawa ca page --dir DIR --host HOST [--host HOST]...\n"
			"engawa ca show --dir DIR\n");
	return status;
}
