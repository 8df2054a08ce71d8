/* crypto/orgfile: organisation files and policies, good, damaged and malicious. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "crypto/noise.h"
#include "pki.h"

enum {
	TEXT_BYTES = 16384,
	DAY_S = 86400
};

static struct pki pki, rogue;
static EVP_PKEY *signing, *policy_key;
static uint8_t policy_point[SIGN_POINT_BYTES];
static uint64_t now_s;
static char good[TEXT_BYTES];

static void
add(char *text, const char *key, const char *value)
{
	size_t len = strlen(text);
	pki_must(str_print(text + len, TEXT_BYTES - len, "%s%s%s\n", key, *key ? " " : "", value) ==
		 0);
}

static void
add_bytes(char *text, const char *key, const void *data, size_t len)
{
	char value[4096];
	str_base64(value, data, len);
	add(text, key, value);
}

static void
add_point(char *text, const char *key, EVP_PKEY *pkey)
{
	uint8_t point[SIGN_POINT_BYTES];
	pki_must(sign_key_point(pkey, point) == 0);
	add_bytes(text, key, point, sizeof point);
}

static int
setup(void **state)
{
	(void)state;
	struct noise_keypair mail;
	now_s = (uint64_t)time(NULL);
	pki_init(&pki);
	pki_init(&rogue);
	signing = sign_key_generate();
	policy_key = sign_key_generate();
	pki_must(sign_key_point(policy_key, policy_point) == 0 &&
		 noise_keypair_generate(&mail) == 0);
	add(good, "", "# for the PCs of Hinata");
	add(good, "ORGANISATION", "hinata-city");
	add(good, "NAME", "日向市役所");
	add(good, "REVISION", "3");
	add(good, "NOT_AFTER", "2099-12-31");
	add_bytes(good, "ROOT", pki.org.root, pki.org.root_len);
	add_bytes(good, "ISSUER", pki.org.issuers[0], pki.org.issuer_lens[0]);
	add(good, "GATE", "east gate-e.example:443");
	add(good, "GATE", "west [2001:db8::1]:8443");
	add_point(good, "SIGNING_KEY", signing);
	add_point(good, "POLICY_KEY", policy_key);
	add_point(good, "TICKET_KEY", policy_key);
	add_bytes(good, "MAIL_KEY", mail.public, 32);
	add(good, "SUPPORT", "情報政策課 内線 1234");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pki_fini(&pki);
	pki_fini(&rogue);
	sign_key_free(signing);
	sign_key_free(policy_key);
	return 0;
}

/* good with the line of this key replaced; value NULL takes it away, twice puts a second one. */
static char *
with(const char *key, const char *value, int twice)
{
	static char text[TEXT_BYTES];
	char line[64];
	str_print(line, sizeof line, "\n%s ", key);
	char *at = strstr(good, line);
	pki_must(at != NULL);
	char *end = strchr(at + 1, '\n') + 1;
	memset(text, 0, sizeof text);
	memcpy(text, good, (size_t)((twice ? end : at + 1) - good));
	if (value)
		add(text, key, value);
	strcat(text, end);
	return text;
}

static int
parse_signed(const char *text, EVP_PKEY *key, const char *purpose, struct orgfile *org,
	struct conf_error *error)
{
	char *whole;
	pki_must(orgfile_sign(text, strlen(text), purpose, key, &whole) == 0);
	char *exact = malloc(strlen(whole));
	memcpy(exact, whole, strlen(whole));
	int r = orgfile_parse(exact, strlen(whole), now_s, org, error);
	free(exact);
	free(whole);
	return r;
}

static int
parse(const char *text)
{
	struct orgfile org = {.revision = 99};
	struct conf_error error;
	int r = parse_signed(text, signing, ORGFILE_PURPOSE, &org, &error);
	if (r == 0)
		orgfile_fini(&org);
	else
		assert_int_equal(org.revision, 99); /* not written */
	if (r == -ERR_SETTING)
		assert_true(error.text[0] != '\0');
	return r;
}

static void
test_good(void **state)
{
	(void)state;
	struct orgfile org;
	struct conf_error error;
	char fingerprint[ORGFILE_FINGERPRINT_SIZE];
	assert_int_equal(parse_signed(good, signing, ORGFILE_PURPOSE, &org, &error), 0);
	assert_string_equal(org.id, "hinata-city");
	assert_string_equal(org.name, "日向市役所");
	assert_string_equal(org.support, "情報政策課 内線 1234");
	assert_int_equal(org.revision, 3);
	assert_int_equal(org.gate_count, 2);
	assert_string_equal(org.gates[1].name, "west");
	assert_string_equal(org.gates[1].target, "[2001:db8::1]:8443");
	assert_int_equal(org.issuer_count, 1);
	assert_memory_equal(org.issuers[0], pki.org.issuers[0], org.issuer_lens[0]);
	assert_memory_equal(org.ticket_keys[0], policy_point, SIGN_POINT_BYTES);
	orgfile_fingerprint(&org, fingerprint);
	assert_int_equal(strlen(fingerprint), 49);
	assert_int_equal(strspn(fingerprint, "0123456789abcdef "), 49);
	orgfile_fini(&org);
	orgfile_fini(&org);
	orgfile_fini(NULL);
}

static void
test_text_forms(void **state)
{
	(void)state;
	static char crlf[TEXT_BYTES];
	char bom[TEXT_BYTES];
	size_t n = 0;
	for (const char *p = good; *p; p++) {
		if (*p == '\n')
			crlf[n++] = '\r';
		crlf[n++] = *p;
	}
	assert_int_equal(parse(crlf), 0);
	pki_must(str_print(bom, sizeof bom, "\xef\xbb\xbf%s", good) == 0);
	assert_int_equal(parse(bom), 0);
	/* an editor on the way that changes line ends breaks the signature, and says so */
	char *whole;
	struct orgfile org;
	struct conf_error error;
	pki_must(orgfile_sign(good, strlen(good), ORGFILE_PURPOSE, signing, &whole) == 0);
	size_t len = strlen(whole);
	assert_int_equal(
		orgfile_parse(whole, len - 1, now_s, &org, &error), 0); /* no last line end */
	orgfile_fini(&org);
	pki_must(str_print(bom, sizeof bom, "%s\n", whole) == 0);
	assert_int_equal(orgfile_parse(bom, len + 1, now_s, &org, &error), -ERR_SIGNATURE);
	pki_must(str_print(bom, sizeof bom, "%.*s\r\n", (int)len - 1, whole) == 0);
	assert_int_equal(orgfile_parse(bom, len + 1, now_s, &org, &error), 0);
	orgfile_fini(&org);
	free(whole);
}

static void
test_signature(void **state)
{
	(void)state;
	struct orgfile org;
	struct conf_error error;
	char *whole, *again;
	assert_int_equal(
		parse_signed(good, policy_key, ORGFILE_PURPOSE, &org, &error), -ERR_SIGNATURE);
	assert_int_equal(parse_signed(good, signing, POLICY_PURPOSE, &org, &error), -ERR_SIGNATURE);
	assert_int_equal(orgfile_parse(good, strlen(good), now_s, &org, &error), -ERR_SIGNATURE);
	assert_int_equal(orgfile_parse("", 0, now_s, &org, &error), -ERR_SIGNATURE);
	assert_int_equal(orgfile_parse("SIGNATURE ", 10, now_s, &org, &error), -ERR_SIGNATURE);
	pki_must(orgfile_sign(good, strlen(good), ORGFILE_PURPOSE, signing, &whole) == 0);
	size_t len = strlen(whole);
	for (size_t cut = 0; cut < len - 1; cut += 7)
		assert_true(orgfile_parse(whole, cut, now_s, &org, &error) < 0);
	for (size_t at = 0; at < len - 1; at += 3) {
		whole[at] ^= 1;
		assert_true(orgfile_parse(whole, len, now_s, &org, &error) < 0);
		whole[at] ^= 1;
	}
	/* signing what is signed already gives one signature, not two */
	pki_must(orgfile_sign(whole, len, ORGFILE_PURPOSE, signing, &again) == 0);
	assert_int_equal(orgfile_parse(again, strlen(again), now_s, &org, &error), 0);
	orgfile_fini(&org);
	free(again);
	free(whole);
}

static void
test_values(void **state)
{
	(void)state;
	static const struct {
		const char *key, *value;
	} bad[] = {
		{"ORGANISATION", "Hinata"},
		{"ORGANISATION", "a.b"},
		{"ORGANISATION",
			"0123456789012345678901234567890123456789012345678901234567890123"},
		{"NAME", ""},
		{"REVISION", "0"},
		{"REVISION", "-1"},
		{"REVISION", "3x"},
		{"REVISION", "9223372036854775808"},
		{"NOT_AFTER", "2099-13-01"},
		{"NOT_AFTER", "tomorrow"},
		{"NOT_AFTER", "2099-1-1"},
		{"ROOT", "!!!!"},
		{"GATE", "east"},
		{"GATE", "east gate.example"},
		{"GATE", "east gate.example:0"},
		{"GATE", "east gate.example:65536"},
		{"GATE", "east :443"},
		{"GATE", "East gate.example:443"},
		{"GATE", "east gate.example:443 more"},
		{"GATE", "east 2001:db8::1:443"},
		{"SIGNING_KEY", "AAAA"},
		{"MAIL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(parse(with(bad[i].key, bad[i].value, 0)), -ERR_SETTING);
	/* 65 bytes that are no point of the curve */
	char text[TEXT_BYTES] = "", value[128];
	uint8_t point[SIGN_POINT_BYTES] = {4, 1};
	str_base64(value, point, sizeof point);
	assert_int_equal(parse(with("TICKET_KEY", value, 0)), -ERR_SETTING);
	pki_must(str_print(text, sizeof text, "%sCOLOUR blue\n", good) == 0);
	assert_int_equal(parse(text), -ERR_SETTING);
	pki_must(str_print(text, sizeof text, "SIGNATURE AAAA\n%s", good) == 0);
	assert_int_equal(parse(text), -ERR_SETTING);
}

static void
test_missing_and_doubled(void **state)
{
	(void)state;
	static const char *const keys[] = {"ORGANISATION", "NAME", "REVISION", "NOT_AFTER", "ROOT",
		"ISSUER", "SIGNING_KEY", "POLICY_KEY", "TICKET_KEY", "MAIL_KEY", "SUPPORT"};
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		assert_int_equal(parse(with(keys[i], NULL, 0)), -ERR_SETTING);
	assert_int_equal(parse(with("NAME", "again", 1)), -ERR_SETTING);
	assert_int_equal(parse(with("REVISION", "4", 1)), -ERR_SETTING);
	char text[TEXT_BYTES];
	memcpy(text, good, sizeof text);
	for (int i = 2; i < ORGFILE_GATES_MAX; i++)
		add(text, "GATE", "more gate.example:443");
	assert_int_equal(parse(text), 0);
	add(text, "GATE", "more gate.example:443");
	assert_int_equal(parse(text), -ERR_SETTING);
	static char big[ORGFILE_MAX_BYTES + 1];
	struct orgfile org;
	struct conf_error error;
	assert_int_equal(orgfile_parse(big, sizeof big, now_s, &org, &error), -ERR_SETTING);
}

static char *
with_cert(const char *key, X509 *cert, int twice)
{
	uint8_t der[CERT_DER_MAX_BYTES];
	char value[4096];
	size_t len;
	pki_must(cert_der(cert, der, sizeof der, &len) == 0);
	str_base64(value, der, len);
	return with(key, value, twice);
}

/* The signature is right and the certificates do not belong together. */
static void
test_authorities(void **state)
{
	(void)state;
	assert_int_equal(parse(with_cert("ROOT", rogue.root, 0)), -ERR_CERT_UNTRUSTED);
	assert_int_equal(parse(with_cert("ISSUER", rogue.issuer, 0)), -ERR_CERT_UNTRUSTED);
	assert_int_equal(parse(with_cert("ISSUER", rogue.issuer, 1)), -ERR_CERT_UNTRUSTED);
	assert_int_equal(
		parse(with_cert("ROOT", pki.issuer, 0)), -ERR_CERT_UNTRUSTED); /* not self-signed */
	X509 *leaf = pki_gate(&pki, "x", policy_key, 0);
	assert_int_equal(parse(with_cert("ISSUER", leaf, 0)), -ERR_CERT_UNTRUSTED);
	cert_free(leaf);
	assert_int_equal(parse(with("ISSUER", "AAAA", 0)), -ERR_CERT_UNTRUSTED);
	/* an issuer that has ended beside one that has not */
	EVP_PKEY *key = sign_key_generate();
	X509 *old = cert_issuer(pki.root_key, pki.root, key, 1);
	pki_must(X509_gmtime_adj(X509_getm_notAfter(old), -60) &&
		 X509_sign(old, pki.root_key, EVP_sha384()));
	assert_int_equal(parse(with_cert("ISSUER", old, 1)), 0);
	assert_int_equal(parse(with_cert("ISSUER", old, 0)), -ERR_CERT_EXPIRED);
	cert_free(old);
	sign_key_free(key);
}

static void
test_time(void **state)
{
	(void)state;
	assert_int_equal(parse(with("NOT_AFTER", "2020-01-01", 0)), -ERR_CERT_EXPIRED);
	now_s += 100 * DAY_S; /* the issuer's 90 days are over */
	assert_int_equal(parse(good), -ERR_CERT_EXPIRED);
	now_s -= 100 * DAY_S;
}

static void
test_load(void **state)
{
	(void)state;
	struct orgfile org;
	struct conf_error error;
	char path[] = "/tmp/engawa-org-XXXXXX", *whole;
	close(mkstemp(path));
	pki_must(orgfile_sign(good, strlen(good), ORGFILE_PURPOSE, signing, &whole) == 0);
	pki_must(conf_write_file(path, whole, strlen(whole), 0644) == 0);
	assert_int_equal(orgfile_load(path, &org, &error), 0);
	orgfile_fini(&org);
	unlink(path);
	assert_int_equal(orgfile_load(path, &org, &error), -ENOENT);
	assert_non_null(strstr(error.text, path));
	free(whole);
}

/* ---- policy ---- */

struct lines {
	int count, stop_at;
	char last[64];
};

static int
on_line(void *user, const char *key, const char *value)
{
	struct lines *lines = user;
	str_print(lines->last, sizeof lines->last, "%s=%s", key, value);
	return ++lines->count == lines->stop_at ? -ERR_SETTING : 0;
}

static int
policy(const char *text, EVP_PKEY *key, const char *purpose, struct lines *lines)
{
	char *whole;
	struct conf_error error;
	pki_must(orgfile_sign(text, strlen(text), purpose, key, &whole) == 0);
	int r = policy_parse(whole, strlen(whole), policy_point, now_s, on_line, lines, &error);
	if (r == -ERR_SETTING || r == -ERR_POLICY)
		assert_true(error.text[0] != '\0');
	free(whole);
	return r;
}

static void
test_policy(void **state)
{
	(void)state;
	static const char text[] = "REVISION 1\nNOT_AFTER 2099-01-01\nHTML5 no\n";
	struct lines lines = {0}, none = {0};
	assert_int_equal(policy(text, policy_key, POLICY_PURPOSE, &lines), 0);
	assert_int_equal(lines.count, 3);
	assert_string_equal(lines.last, "HTML5=no");
	lines = (struct lines){.stop_at = 2};
	assert_int_equal(policy(text, policy_key, POLICY_PURPOSE, &lines), -ERR_SETTING);
	assert_int_equal(lines.count, 2);
	/* no line is given out of what is not signed, not in time or not whole */
	assert_int_equal(policy(text, signing, POLICY_PURPOSE, &none), -ERR_SIGNATURE);
	assert_int_equal(policy(text, policy_key, ORGFILE_PURPOSE, &none), -ERR_SIGNATURE);
	assert_int_equal(policy("NOT_AFTER 2099-01-01\nA b\n", policy_key, POLICY_PURPOSE, &none),
		-ERR_POLICY);
	assert_int_equal(
		policy("REVISION 1\nA b\n", policy_key, POLICY_PURPOSE, &none), -ERR_POLICY);
	assert_int_equal(policy("A b\nREVISION 1\nNOT_AFTER 2020-01-01\n", policy_key,
				 POLICY_PURPOSE, &none),
		-ERR_POLICY);
	assert_int_equal(policy("A b\nREVISION 1\nREVISION 2\nNOT_AFTER 2099-01-01\n", policy_key,
				 POLICY_PURPOSE, &none),
		-ERR_SETTING);
	assert_int_equal(policy("A b\nREVISION x\nNOT_AFTER 2099-01-01\n", policy_key,
				 POLICY_PURPOSE, &none),
		-ERR_SETTING);
	assert_int_equal(policy("A b\nREVISION 1\nNOT_AFTER 2099-01-01\nSIGNATURE AAAA\nB c\n",
				 policy_key, POLICY_PURPOSE, &none),
		-ERR_SETTING);
	assert_int_equal(policy("A b\nREVISION 1\nNOT_AFTER 2099-01-01\nB \x01\n", policy_key,
				 POLICY_PURPOSE, &none),
		-ERR_SETTING);
	struct conf_error error;
	assert_int_equal(
		policy_parse(text, strlen(text), policy_point, now_s, on_line, &none, &error),
		-ERR_SIGNATURE);
	static char big[POLICY_MAX_BYTES + 1];
	assert_int_equal(policy_parse(big, sizeof big, policy_point, now_s, on_line, &none, &error),
		-ERR_SETTING);
	assert_int_equal(none.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_text_forms),
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_missing_and_doubled),
		cmocka_unit_test(test_authorities),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_policy),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
