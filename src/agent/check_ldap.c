/*
 * LDAP over TLS, from the first byte or by StartTLS: binds as the person, finds the person's one
 * entry, asks the server about groups. A question that gets no clear answer is a refusal: a deny
 * group that does not exist any more closes the door.
 */
#include <ldap.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>

#include "agent/check.h"
#include "agent/directory.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

enum {
	WAIT_S = 4,
	TEXT_SIZE = 4 * CHECK_FIELD_SIZE
};
#define IN_CHAIN "1.2.840.113556.1.4.1941" /* Active Directory: members of members */
#define ACTIVE_DIRECTORY "1.2.840.113556.1.4.800"

static int
failed(const char *what, int r)
{
	LOG(ERROR, "ldap", F_STR("what", what), F_INT("code", r),
		F_STR("text", ldap_err2string(r)));
	return -ERR_PERSON_SERVICE;
}

static int
open_tls(const struct check_question *q, LDAP **ret)
{
	int version = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_HARD, r,
	    protocol = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, fresh = 0;
	struct timeval wait = {WAIT_S, 0};
	int start_tls = strncasecmp(q->field[CHECK_SERVICE], "ldap://", 7) == 0;
	if (!start_tls && strncasecmp(q->field[CHECK_SERVICE], "ldaps://", 8) != 0)
		return failed("only ldaps:// and ldap:// are asked", LDAP_PARAM_ERROR);
	if ((r = ldap_initialize(ret, q->field[CHECK_SERVICE])) != LDAP_SUCCESS)
		return failed("URL", r);
	if (ldap_set_option(*ret, LDAP_OPT_PROTOCOL_VERSION, &version) != 0 ||
		ldap_set_option(*ret, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) != 0 ||
		ldap_set_option(*ret, LDAP_OPT_NETWORK_TIMEOUT, &wait) != 0 ||
		ldap_set_option(*ret, LDAP_OPT_TIMEOUT, &wait) != 0 ||
		ldap_set_option(*ret, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand) != 0 ||
		ldap_set_option(*ret, LDAP_OPT_X_TLS_PROTOCOL_MIN, &protocol) != 0 ||
		(q->field[CHECK_CA][0] && ldap_set_option(*ret, LDAP_OPT_X_TLS_CACERTFILE,
						  q->field[CHECK_CA]) != 0) ||
		ldap_set_option(*ret, LDAP_OPT_X_TLS_NEWCTX, &fresh) != 0)
		return failed("TLS", LDAP_LOCAL_ERROR);
	/* without it nothing is said at all: who is between could have taken it out of the answer
	 */
	if (start_tls && (r = ldap_start_tls_s(*ret, NULL, NULL)) != LDAP_SUCCESS)
		return failed("StartTLS", r);
	return 0;
}

/* "uid=%s,ou=…" is a DN, "%s@city.example" a user principal name. */
static int
bind_as(LDAP *ldap, const struct check_question *q)
{
	char name[TEXT_SIZE];
	const char *template = q->field[CHECK_BIND], *user = q->field[CHECK_USER];
	const char *password = q->field[CHECK_PASSWORD];
	int is_dn = strchr(template, '=') != NULL;
	struct berval secret = {strlen(password), (char *)(uintptr_t)password};
	if (!strstr(template, "%s") || (!is_dn && strpbrk(user, "@\\")))
		return -ERR_PASSWORD_WRONG;
	if (directory_fill(name, sizeof name, template, user, is_dn) < 0)
		return -ERR_PASSWORD_WRONG;
	int r = ldap_sasl_bind_s(ldap, name, LDAP_SASL_SIMPLE, &secret, NULL, NULL, NULL);
	if (r == LDAP_INVALID_CREDENTIALS || r == LDAP_NO_SUCH_OBJECT ||
		r == LDAP_INVALID_DN_SYNTAX)
		return -ERR_PASSWORD_WRONG;
	return r == LDAP_SUCCESS ? 0 : failed("bind", r);
}

/* How many entries there are (2: more than one), and the DN of the last. Negative: no clear answer.
 */
static int
search(LDAP *ldap, const char *base, int scope, const char *filter, char *ret_dn, size_t size)
{
	char *attributes[] = {(char *)(uintptr_t)LDAP_NO_ATTRS, NULL};
	LDAPMessage *result = NULL;
	int r = ldap_search_ext_s(
		ldap, base, scope, filter, attributes, 0, NULL, NULL, NULL, 2, &result);
	int count = r == LDAP_SUCCESS ? ldap_count_entries(ldap, result) : -1;
	if (count == 1 && ret_dn) {
		char *dn = ldap_get_dn(ldap, ldap_first_entry(ldap, result));
		if (!dn || str_copy(ret_dn, size, dn) < 0)
			count = -1;
		ldap_memfree(dn);
	}
	ldap_msgfree(result);
	if (r == LDAP_SIZELIMIT_EXCEEDED)
		return 2;
	return count < 0 ? failed(base, r) : count;
}

/* Another server does not know the rule IN_CHAIN, and finds nobody in any group: in no group that
 * is denied either. 0 or negative. */
static int
check_server(LDAP *ldap)
{
	char attribute[] = "supportedCapabilities", *attributes[] = {attribute, NULL};
	LDAPMessage *result = NULL;
	int found = 0;
	int r = ldap_search_ext_s(ldap, "", LDAP_SCOPE_BASE, "(objectClass=*)", attributes, 0, NULL,
		NULL, NULL, 1, &result);
	LDAPMessage *entry = r == LDAP_SUCCESS ? ldap_first_entry(ldap, result) : NULL;
	struct berval **values = entry ? ldap_get_values_len(ldap, entry, attribute) : NULL;
	for (size_t i = 0; values && values[i]; i++)
		found |= values[i]->bv_len == strlen(ACTIVE_DIRECTORY) &&
			 memcmp(values[i]->bv_val, ACTIVE_DIRECTORY, values[i]->bv_len) == 0;
	ldap_value_free_len(values);
	ldap_msgfree(result);
	return found ? 0 : failed("groups in groups", r ? r : LDAP_UNAVAILABLE_CRITICAL_EXTENSION);
}

/* 1, 0 or negative. */
static int
is_member(LDAP *ldap, const struct check_question *q, const char *dn, const char *group)
{
	char filter[TEXT_SIZE];
	int nested = q->field[CHECK_NESTED][0] == '1';
	/* a group that does not exist would have no members */
	int r = search(ldap, group, LDAP_SCOPE_BASE, "(objectClass=*)", NULL, 0);
	if (r != 1)
		return r < 0 ? r : failed(group, LDAP_NO_SUCH_OBJECT);
	if (nested) {
		r = directory_fill(filter, sizeof filter, "(memberOf:" IN_CHAIN ":=%s)", group, 1);
		return r < 0 ? -ERR_PERSON_SERVICE
			     : search(ldap, dn, LDAP_SCOPE_BASE, filter, NULL, 0);
	}
	r = directory_fill(filter, sizeof filter, "(|(member=%s)(uniqueMember=%s))", dn, 1);
	return r < 0 ? -ERR_PERSON_SERVICE : search(ldap, group, LDAP_SCOPE_BASE, filter, NULL, 0);
}

static int
check_groups(LDAP *ldap, const struct check_question *q)
{
	char filter[TEXT_SIZE], dn[CHECK_FIELD_SIZE];
	const char *allow = q->field[CHECK_ALLOW], *deny = q->field[CHECK_DENY];
	if (!allow[0] && !deny[0])
		return 0;
	if (q->field[CHECK_NESTED][0] == '1' && check_server(ldap) < 0)
		return -ERR_PERSON_SERVICE;
	if (directory_fill(filter, sizeof filter, q->field[CHECK_FILTER], q->field[CHECK_USER], 1) <
		0)
		return -ERR_PERSON_SERVICE;
	int r = search(ldap, q->field[CHECK_PLACE], LDAP_SCOPE_SUBTREE, filter, dn, sizeof dn);
	if (r != 1)
		return r < 0 ? r : failed("person", LDAP_NO_SUCH_OBJECT);
	if (deny[0] && (r = is_member(ldap, q, dn, deny)) != 0)
		return r < 0 ? r : -ERR_PERSON_DENIED;
	if (allow[0] && (r = is_member(ldap, q, dn, allow)) != 1)
		return r < 0 ? r : -ERR_PERSON_DENIED;
	return 0;
}

int
check_ldap(const struct check_question *question)
{
	LDAP *ldap = NULL;
	int r = open_tls(question, &ldap);
	if (r == 0)
		r = bind_as(ldap, question);
	if (r == 0)
		r = check_groups(ldap, question);
	if (ldap)
		ldap_unbind_ext_s(ldap, NULL, NULL);
	return r;
}
