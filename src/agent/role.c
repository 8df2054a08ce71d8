#include "agent/role.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/message.h"
#include "agent/signer.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/log.h"
#include "crypto/cert.h"
#include "crypto/orgfile.h"
#include "crypto/tls.h"

void
role_secret(void)
{
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* What names are resolved with, and certificates of authorities. */
static const char *const resolver_files[] = {"/etc", "/usr", "/lib", "/lib64",
	"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/dev/null",
	"/dev/urandom", NULL};

void
role_sandbox(const struct options *options, const char *name, enum sandbox_profile profile)
{
	char title[16];
	snprintf(title, sizeof title, "engawa-%s", name);
	prctl(PR_SET_NAME, title, 0, 0, 0);
	int is_person = geteuid() != 0;
	int r = sandbox_user(options->user, NULL);
	/* after the change of user, which clears it */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		r = -errno;
	role_secret();
	if (r == 0 && profile == SANDBOX_IO)
		r = sandbox_no_files();
	/* in user mode the user's rights keep nothing away from it */
	if (r == 0 && profile == SANDBOX_NETWORK && is_person)
		r = sandbox_reads(resolver_files);
	if (r == 0)
		r = sandbox_calls(
			profile == SANDBOX_NETWORK && is_person ? SANDBOX_NETWORK_OWN : profile);
	if (r < 0) {
		LOG(ERROR, "sandbox", F_STR("role", name), F_STR("user", options->user),
			F_ERR("code", r));
		_exit(2);
	}
}

void
role_privileged(const char *name)
{
	char title[16];
	snprintf(title, sizeof title, "engawa-%s", name);
	prctl(PR_SET_NAME, title, 0, 0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		_exit(2);
	role_secret();
}

size_t
role_expect(uint16_t type, void *payload, size_t cap, int *ret_fd)
{
	uint16_t got;
	int n = ipc_recv(ROLE_CHANNEL, &got, payload, cap, ret_fd);
	if (n < 0 || got != type)
		_exit(n == -ERR_CLOSED ? 0 : 2);
	return (size_t)n;
}

void
role_send(uint16_t type, const void *payload, size_t len, int fd)
{
	if (ipc_send(ROLE_CHANNEL, type, payload, len, fd) < 0)
		_exit(0);
}

struct ssl_ctx_st *
role_tls_again(const struct orgfile *org, const uint8_t *der, size_t len)
{
	struct x509_st *cert = cert_parse(der, len);
	struct evp_pkey_st *key = cert ? signer_key(cert, ROLE_SIGN) : NULL;
	struct ssl_ctx_st *tls = key ? tls_outgoing(org, cert, key) : NULL;
	sign_key_free(key);
	cert_free(cert);
	return tls;
}

struct ssl_ctx_st *
role_tls(struct orgfile *ret_org)
{
	static char text[ORGFILE_MAX_BYTES + 1];
	uint8_t der[CERT_DER_MAX_BYTES];
	struct conf_error error;
	size_t len = role_expect(MSG_ORGANISATION, text, ORGFILE_MAX_BYTES, NULL);
	if (orgfile_parse(text, len, wall_s(), ret_org, &error) < 0) {
		LOG(ERROR, "organisation", F_STR("text", error.text));
		return NULL;
	}
	len = role_expect(MSG_CERTIFICATE, der, sizeof der, NULL);
	return role_tls_again(ret_org, der, len);
}
