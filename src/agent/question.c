/* What the helpers are asked, from the settings. */
#include "agent/question.h"

#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	SECRET_MAX_BYTES = 256
};

static int
put_field(struct check_question *q, enum check_field field, const char *text)
{
	return text ? str_copy(q->field[field], CHECK_FIELD_SIZE, text) : 0;
}

static int
put_radius(struct check_question *q, const struct options *o)
{
	char *secret, servers[CHECK_FIELD_SIZE] = "";
	size_t len, used = 0;
	for (size_t i = 0; i < o->radius_servers.count; i++) {
		if (str_print(servers + used, sizeof servers - used, "%s ",
			    o->radius_servers.items[i]) < 0)
			return -ERR_SETTING;
		used += strlen(servers + used);
	}
	if (!used || !o->radius_secret_file)
		return -ERR_SETTING;
	int r = conf_read_secret(o->radius_secret_file, SECRET_MAX_BYTES, &secret, &len);
	if (r < 0)
		return r;
	secret[strcspn(secret, "\r\n")] = '\0';
	r = secret[0] ? put_field(q, CHECK_SECRET, secret) : -ERR_SETTING;
	mem_wipe_free(secret, len);
	return r < 0 ? r : put_field(q, CHECK_SERVICE, servers);
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
