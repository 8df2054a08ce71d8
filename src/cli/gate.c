/*
 * engawa gate add: key and certificate of a gate, DIR/gates/NAME.{key,pem}, issued by
 * DIR/issuer.{key,pem}. engawa gate list: gate_list.c; upgrade: gate_upgrade.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/gate_list.h"
#include "cli/gate_status.h"
#include "cli/gate_upgrade.h"
#include "crypto/cert.h"
#include "crypto/sign.h"

enum {
	GATE_DAYS = 90,
	NAME_MAX_BYTES = 63,
	HOSTS_MAX = 16,
	PATH_BYTES = 1024
};

struct settings {
	char *dir, *name;
	struct conf_list hosts;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_option options[] = {
	{"DIR", CONF_STR, AT(dir), NULL, 0, 0, "directory of the authority, from engawa ca init"},
	{"NAME", CONF_STR, AT(name), NULL, 0, 0, "name of the gate, as in the organisation files"},
	{"HOST", CONF_LIST, AT(hosts), NULL, 0, 0,
		"host name or address that agents and clients connect to"},
	CONF_OPTIONS_END,
};

/* It becomes a file name and stands in tickets: [a-z0-9-]. */
static int
is_name(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len <= NAME_MAX_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len && name[0] != '-';
}

static int
fail(int r, const char *path)
{
	int code = r == -EEXIST                                 ? ERR_EXISTS
		   : r == -ENOENT || r == -ENOTDIR              ? ERR_NOT_FOUND
		   : r == -EACCES || r == -EPERM || r == -EROFS ? ERR_DENIED
		   : r == -ENOSPC || r == -EDQUOT               ? ERR_DISK_FULL
								: -r;
	return command_fail(code, path);
}

static struct x509_st *
issue(const struct settings *s, struct evp_pkey_st *key, struct evp_pkey_st *issuer_key,
	struct x509_st *issuer)
{
	const char *hosts[HOSTS_MAX + 1] = {NULL};
	for (size_t i = 0; i < s->hosts.count; i++)
		hosts[i] = s->hosts.items[i];
	const struct cert_request request = {
		.use = CERT_GATE, .common_name = s->name, .hosts = hosts, .days = GATE_DAYS};
	return cert_issue(issuer_key, issuer, key, &request);
}

/* The key first: a certificate without its key would be of no use. */
static int
save(const struct settings *s, struct evp_pkey_st *key, struct x509_st *cert)
{
	char directory[PATH_BYTES], key_path[PATH_BYTES], cert_path[PATH_BYTES];
	if (str_print(directory, sizeof directory, "%s/gates", s->dir) < 0 ||
		str_print(key_path, sizeof key_path, "%s/%s.key", directory, s->name) < 0 ||
		str_print(cert_path, sizeof cert_path, "%s/%s.pem", directory, s->name) < 0)
		return command_fail(ERR_SETTING, "--dir");
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return fail(-errno, directory);
	int r = sign_key_save(key, key_path);
	if (r < 0)
		return fail(r, key_path);
	r = cert_save(cert, cert_path);
	if (r < 0)
		return fail(r, cert_path);
	printf("%s\n%s\n", cert_path, key_path);
	return 0;
}

static int
add(const struct settings *s)
{
	char key_path[PATH_BYTES], cert_path[PATH_BYTES];
	struct evp_pkey_st *issuer_key = NULL;
	if (str_print(key_path, sizeof key_path, "%s/issuer.key", s->dir) < 0 ||
		str_print(cert_path, sizeof cert_path, "%s/issuer.pem", s->dir) < 0)
		return command_fail(ERR_SETTING, "--dir");
	int r = sign_key_load(key_path, &issuer_key);
	if (r < 0)
		return fail(r, key_path);
	struct x509_st *issuer = cert_load(cert_path);
	struct evp_pkey_st *key = sign_key_generate();
	struct x509_st *cert = issuer && key ? issue(s, key, issuer_key, issuer) : NULL;
	int status = cert ? save(s, key, cert) : fail(-ERR_CRYPTO, cert_path);
	cert_free(cert);
	cert_free(issuer);
	sign_key_free(key);
	sign_key_free(issuer_key);
	return status;
}

static int
gate_add(int argc, char **argv)
{
	struct settings s = {0};
	struct args args;
	int r = args_take(options, &s, "engawa gate add", argc, argv, &args);
	int status = r < 0 ? 2 : 0;
	if (r == 0) {
		int good = args.count == 0 && s.dir && s.name && is_name(s.name) &&
			   s.hosts.count > 0 && s.hosts.count <= HOSTS_MAX;
		status = good ? add(&s) : 2;
	}
	if (status == 2)
		fprintf(stderr,
			"engawa gate add --dir DIR --name NAME --host HOST [--host HOST ...]\n");
	conf_free(options, &s);
	return status;
}

int
command_gate(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "add") == 0)
		return gate_add(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "list") == 0)
		return gate_list(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "status") == 0)
		return gate_status(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "upgrade") == 0)
		return gate_upgrade(argc - 1, argv + 1);
	fprintf(stderr, "engawa gate add | list | status | upgrade\n");
	return 2;
}
