/* What the helpers are asked, from the settings. */
#include "agent/question.h"

#include <openssl/pem.h>
#include <string.h>

#include "agent/radius.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	SECRET_MAX_BYTES = 256,
	KEY_MAX_BYTES = 16 * 1024
};

static int
put_field(struct check_question *q, enum check_field field, const char *text)
{
	return text ? str_copy(q->field[field], CHECK_FIELD_SIZE, text) : 0;
}

static int
put_secret(struct check_question *q, const char *path)
{
	char *secret = q->field[CHECK_SECRET];
	if (!path)
		return -ERR_SETTING;
	int r = conf_read_secret_line(path, secret, SECRET_MAX_BYTES + 1);
	return r == 0 && !secret[0] ? -ERR_SETTING : r;
}

static int
no_passphrase(char *buf, int size, int writing, void *user)
{
	(void)buf, (void)size, (void)writing, (void)user;
	return -1;
}

/* The helper has no right to read it. */
static int
put_key(struct check_question *q, const char *path)
{
	char *pem;
	size_t len;
	uint8_t der[CHECK_FIELD_SIZE], *at = der;
	int r = conf_read_secret(path, KEY_MAX_BYTES, &pem, &len);
	if (r < 0)
		return r;
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	int size = key ? i2d_PrivateKey(key, NULL) : -1;
	r = -ERR_SETTING;
	if (size > 0 && str_base64_size((size_t)size) <= CHECK_FIELD_SIZE) {
		size = i2d_PrivateKey(key, &at);
		str_base64(q->field[CHECK_KEY], der, (size_t)size);
		r = 0;
	}
	EVP_PKEY_free(key);
	BIO_free(bio);
	mem_wipe(der, sizeof der);
	mem_wipe_free(pem, len);
	return r;
}

static int
put_radius(struct check_question *q, const struct options *o)
{
	char servers[CHECK_FIELD_SIZE] = "";
	size_t used = 0;
	int plain = 0;
	for (size_t i = 0; i < o->radius_servers.count; i++) {
		struct radius_server server;
		if (radius_server_parse(o->radius_servers.items[i], &server) < 0 ||
			str_print(servers + used, sizeof servers - used, "%s ",
				o->radius_servers.items[i]) < 0)
			return -ERR_SETTING;
		used += strlen(servers + used);
		plain |= !server.tls;
	}
	int r = used ? put_field(q, CHECK_SERVICE, servers) : -ERR_SETTING;
	if (r == 0 && plain)
		r = put_secret(q, o->radius_secret_file);
	if (r == 0)
		r = put_field(q, CHECK_CA, o->radius_ca_file);
	if (r == 0)
		r = put_field(q, CHECK_CERTIFICATE, o->radius_certificate_file);
	return r == 0 && o->radius_key_file ? put_key(q, o->radius_key_file) : r;
}

static int
put_ldap(struct check_question *q, const struct options *o)
{
	if (!o->ldap_url || !o->ldap_bind ||
		((o->ldap_allow_group || o->ldap_deny_group) && !o->ldap_base))
		return -ERR_SETTING;
	int r = put_field(q, CHECK_SERVICE, o->ldap_url);
	if (r == 0)
		r = put_field(q, CHECK_CA, o->ldap_ca_file);
	if (r == 0)
		r = put_field(q, CHECK_BIND, o->ldap_bind);
	if (r == 0)
		r = put_field(q, CHECK_PLACE, o->ldap_base);
	if (r == 0)
		r = put_field(q, CHECK_FILTER, o->ldap_filter);
	if (r == 0)
		r = put_field(q, CHECK_ALLOW, o->ldap_allow_group);
	if (r == 0)
		r = put_field(q, CHECK_DENY, o->ldap_deny_group);
	return r < 0 ? r : put_field(q, CHECK_NESTED, o->ldap_nested ? "1" : "0");
}

int
question_put(struct check_question *q, const struct options *o, const char *method,
	const char *name, const char *password)
{
	int r = put_field(q, CHECK_USER, name);
	if (r == 0)
		r = put_field(q, CHECK_PASSWORD, password);
	if (r < 0)
		return r;
	if (strcmp(method, "radius") == 0)
		return put_radius(q, o);
	if (strcmp(method, "ldap") == 0)
		return put_ldap(q, o);
	r = put_field(q, CHECK_SERVICE, o->pam_service);
	return r < 0 ? r : put_field(q, CHECK_PLACE, o->pam_directory);
}

static int
put_text(char *out, size_t size, const char *text)
{
	return text ? str_copy(out, size, text) : 0;
}

int
question_put_certificate(struct certificate_question *q, const struct options *o,
	const struct policy *policy, const struct login_certificate *certificate)
{
	memset(q, 0, sizeof *q);
	q->proof = *certificate->proof;
	memcpy(q->digest, certificate->digest, sizeof q->digest);
	q->pinned = certificate->pinned != 0;
	q->ask_ocsp = policy->enable_ocsp != 0;
	q->need_nonce = policy->ocsp_nonce != 0;
	if (!certificate_name_rule_fit(o->certificate_name))
		return -ERR_SETTING;
	int r = put_text(q->ca_file, sizeof q->ca_file, o->certificate_ca_file);
	if (r == 0)
		r = put_text(q->crl, sizeof q->crl, o->certificate_crl);
	if (r == 0)
		r = put_text(q->ocsp_url, sizeof q->ocsp_url, o->ocsp_url);
	return r < 0 ? r : put_text(q->rule, sizeof q->rule, o->certificate_name);
}
