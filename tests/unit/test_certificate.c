/* agent/step_certificate, revoked, lastgood and crypto/holder: a person by certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "agent/lastgood.h"
#include "agent/login.h"
#include "agent/revoked.h"
#include "base/err.h"
#include "inner.pb.h"

/* ---- what the holder signs ---- */

static void
test_holder(void **state)
{
	(void)state;
	static const uint8_t hash[32] = {1}, other_hash[32] = {2}, challenge[32] = {3};
	uint8_t digest[HOLDER_DIGEST_BYTES], other[HOLDER_DIGEST_BYTES];
	uint8_t signature[HOLDER_SIGNATURE_MAX_BYTES];
	size_t len;
	EVP_PKEY *good[] = {
		EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_EC_gen("P-521"), EVP_RSA_gen(2048)};
	size_t goods = sizeof good / sizeof good[0];
	EVP_PKEY *bad[] = {EVP_EC_gen("secp256k1"), EVP_RSA_gen(1024),
		EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
	holder_digest(hash, challenge, "certificate", 11, digest);
	/* each part counts */
	holder_digest(other_hash, challenge, "certificate", 11, other);
	assert_memory_not_equal(digest, other, sizeof digest);
	holder_digest(hash, hash, "certificate", 11, other);
	assert_memory_not_equal(digest, other, sizeof digest);
	holder_digest(hash, challenge, "certificate", 10, other);
	assert_memory_not_equal(digest, other, sizeof digest);
	for (size_t i = 0; i < goods; i++) {
		assert_int_equal(holder_sign(good[i], digest, signature, &len), 0);
		assert_int_equal(holder_check(good[i], digest, signature, len), 0);
		assert_int_equal(holder_check(good[i], other, signature, len), -ERR_SIGNATURE);
		assert_int_equal(holder_check(good[i], digest, signature, len - 1), -ERR_SIGNATURE);
		assert_int_equal(holder_check(good[(i + 1) % goods], digest, signature, len),
			-ERR_SIGNATURE);
	}
	for (size_t i = 0; i < goods; i++)
		EVP_PKEY_free(good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(holder_sign(bad[i], digest, signature, &len), -ERR_CRYPTO);
		assert_int_equal(holder_check(bad[i], digest, signature, 64), -ERR_SIGNATURE);
		EVP_PKEY_free(bad[i]);
	}
}

/* ---- what an answer means ---- */

enum {
	HOUR_S = 3600,
	NOW_S = 1800000000
};

static void
test_revocation(void **state)
{
	(void)state;
	enum {
		R = REVOCATION_REVOKED,
		G = REVOCATION_GOOD,
		U = REVOCATION_UNKNOWN,
		N = REVOCATION_NO_ANSWER,
		_ = REVOCATION_NOT_ASKED
	};
	static const struct {
		uint8_t ocsp, crl;
		const char *failure;
		uint64_t last_s;
		int result;
	} rows[] = {
		{_, _, "closed", 0, 0}, {G, _, "closed", 0, 0}, {G, N, "closed", 0, 0},
		{N, G, "closed", 0, 0}, {R, G, "open", NOW_S, -ERR_CERTIFICATE_REVOKED},
		{G, R, "open", NOW_S, -ERR_CERTIFICATE_REVOKED},
		{_, R, "open", NOW_S, -ERR_CERTIFICATE_REVOKED},
		{U, _, "open", NOW_S, -ERR_CERTIFICATE_REVOKED},
		{U, G, "open", NOW_S, -ERR_CERTIFICATE_REVOKED},
		{N, _, "closed", NOW_S, -ERR_CERTIFICATE_UNCHECKED},
		{N, N, "closed", NOW_S, -ERR_CERTIFICATE_UNCHECKED}, {N, _, "open", 0, 0},
		{N, _, "grace", 0, -ERR_CERTIFICATE_UNCHECKED}, {N, _, "grace", NOW_S - HOUR_S, 0},
		{N, _, "grace", NOW_S - 24 * HOUR_S + 1, 0},
		{N, _, "grace", NOW_S - 24 * HOUR_S, -ERR_CERTIFICATE_UNCHECKED},
		{N, _, "grace", NOW_S + 1, -ERR_CERTIFICATE_UNCHECKED}, /* a clock set back */
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char failure[8];
		struct policy policy = {.ocsp_grace_hours = 24, .ocsp_failure = failure};
		struct certificate_answer answer = {.ocsp = rows[i].ocsp, .crl = rows[i].crl};
		strcpy(failure, rows[i].failure);
		assert_int_equal(
			revoked_judge(&policy, &answer, rows[i].last_s, NOW_S), rows[i].result);
	}
}

static void
test_last_good(void **state)
{
	(void)state;
	char path[] = "/tmp/engawa-test-lastgood.XXXXXX";
	uint8_t hash[32] = {1}, other[32] = {2};
	close(mkstemp(path));
	unlink(path);
	assert_int_equal(lastgood_find(path, hash), 0);
	assert_int_equal(lastgood_set(path, hash, 0), 0);
	assert_int_equal(access(path, F_OK), -1); /* nothing to forget, nothing to write */
	assert_int_equal(lastgood_set(path, hash, 10), 0);
	assert_int_equal(lastgood_set(path, other, 20), 0);
	assert_int_equal(lastgood_set(path, hash, 30), 0);
	assert_int_equal(lastgood_find(path, hash), 30);
	assert_int_equal(lastgood_find(path, other), 20);
	assert_int_equal(lastgood_set(path, hash, 0), 0);
	assert_int_equal(lastgood_find(path, hash), 0);
	/* the oldest makes room */
	for (unsigned i = 0; i < LASTGOOD_MAX; i++) {
		uint8_t many[32] = {3, (uint8_t)(i >> 8), (uint8_t)i};
		assert_int_equal(lastgood_set(path, many, 100 + i), 0);
	}
	assert_int_equal(lastgood_find(path, other), 0);
	assert_int_equal(lastgood_find(path, (uint8_t[32]){3}), 100);
	FILE *file = fopen(path, "a");
	fputs("GOOD nonsense\n", file);
	fclose(file);
	assert_int_equal(lastgood_find(path, (uint8_t[32]){3}), 0); /* damaged: nobody was */
	unlink(path);
}

/* ---- the step ---- */

static struct world {
	struct policy policy;
	struct settings settings;
	struct iplist addresses;
	struct devices *devices, *persons;
	struct users users;
	struct registry registry;
	struct pairing pairing;
	char path[2][64];
	unsigned checks, certificates;
	struct prompt prompt;
	struct login_certificate asked;
	struct login login, second;
} w;

static void
on_prompt(void *user, const struct prompt *prompt)
{
	(void)user;
	w.prompt = *prompt;
}

static void
on_check(void *user, const char *verifier, const char *text)
{
	(void)user, (void)text;
	assert_string_equal(verifier, LOGIN_NOBODY);
	w.checks++;
}

static void
on_certificate(void *user, const struct login_certificate *certificate)
{
	(void)user;
	w.asked = *certificate;
	w.certificates++;
}

static int
on_self(void *user, const struct facts *facts)
{
	(void)user, (void)facts;
	return 0;
}

static struct mono
on_now(void *user)
{
	(void)user;
	return (struct mono){1};
}

static uint64_t
on_wall(void *user)
{
	(void)user;
	return NOW_S;
}

static const uint8_t device[3][32] = {{1}, {2}, {3}};

static int
setup(void **state)
{
	struct conf_error error;
	uint8_t hash[32];
	(void)state;
	memset(&w, 0, sizeof w);
	policy_init(&w.policy);
	w.policy.disable_otp = w.policy.disable_inspection = w.policy.disable_maccheck =
		w.policy.disable_devicecheck = w.policy.disable_limited_firewall = 1;
	w.policy.deny_clients_html5 = 0;
	for (int i = 0; i < 2; i++) {
		strcpy(w.path[i], "/tmp/engawa-test-certificate.XXXXXX");
		close(mkstemp(w.path[i]));
		unlink(w.path[i]);
		assert_int_equal(devices_open(w.path[i], i ? &w.persons : &w.devices, &error), 0);
	}
	for (int i = 0; i < 3; i++)
		devices_login(w.devices, device[i], "", NOW_S);
	w.users.count = 4;
	w.users.list[0] = (struct user){"tanaka", USER_CERTIFICATE, "", 0};
	w.users.list[1] = (struct user){"suzuki", "ldap", "", 0};
	w.users.list[2] = (struct user){"sato", USER_CERTIFICATE, "2027-01-01", 0};
	w.users.list[3] = (struct user){"ito", "", "", 0};
	SHA256((const uint8_t *)"pinned", 6, hash);
	memcpy(w.users.list[3].verifier, USER_PIN, sizeof USER_PIN);
	for (int i = 0; i < 32; i++)
		sprintf(w.users.list[3].verifier + 4 + 2 * i, "%02x", hash[i]);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	login_fini(&w.login);
	login_fini(&w.second);
	policy_fini(&w.policy);
	devices_free(w.devices);
	devices_free(w.persons);
	unlink(w.path[0]);
	unlink(w.path[1]);
	return 0;
}

static int
begin(struct login *login, const uint8_t *from, const char *user, uint8_t kind)
{
	static const struct login_env env = {.prompt = on_prompt,
		.check = on_check,
		.check_certificate = on_certificate,
		.is_self = on_self,
		.now = on_now,
		.wall_s = on_wall};
	static const uint8_t hash[32] = {7};
	const struct login_office office = {.policy = &w.policy,
		.settings = &w.settings,
		.addresses = &w.addresses,
		.devices = w.devices,
		.users = &w.users,
		.persons = w.persons,
		.registry = &w.registry,
		.pairing = &w.pairing};
	struct facts facts = {.kind = kind, .build = 1, .window_mib = 8};
	strcpy(facts.user, user);
	login_init(login, &env, &office, "192.0.2.1", from, hash);
	return login_facts(login, &facts);
}

static int
show(struct login *login, const char *certificate)
{
	struct reply reply = {.kind = engawa_PromptKind_PROMPT_CERTIFICATE};
	reply.proof.certificate_len = strlen(certificate);
	memcpy(reply.proof.certificate, certificate, strlen(certificate));
	return login_reply(login, &reply);
}

enum {
	APP = engawa_ClientKind_CLIENT_APP,
	HTML5 = engawa_ClientKind_CLIENT_HTML5
};

/* One login with a certificate that the helper says is of this person, with this result. */
static int
come(const char *typed, const char *certificate, const char *name, int code)
{
	login_fini(&w.login);
	assert_int_equal(begin(&w.login, device[0], typed, APP), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, engawa_PromptKind_PROMPT_CERTIFICATE);
	assert_int_equal(show(&w.login, certificate), LOGIN_WAITS);
	return login_certified(&w.login, code, name);
}

static void
test_persons_by_certificate(void **state)
{
	(void)state;
	w.policy.lockout_count = 50;
	assert_int_equal(come("", "x", "tanaka", 0), LOGIN_PASSED);
	assert_int_equal(w.asked.pinned, 0);
	assert_int_equal(come("Tanaka", "x", "TANAKA", 0), LOGIN_PASSED);
	assert_int_equal(come("suzuki", "x", "tanaka", 0), -ERR_CERTIFICATE_REFUSED);
	assert_int_equal(come("", "x", "suzuki", 0), -ERR_CERTIFICATE_REFUSED);
	assert_int_equal(come("", "x", "nobody", 0), -ERR_CERTIFICATE_REFUSED);
	assert_int_equal(come("", "x", "", 0), -ERR_CERTIFICATE_REFUSED);
	assert_int_equal(come("", "x", "*", 0), -ERR_CERTIFICATE_REFUSED);
	assert_int_equal(come("", "x", "sato", 0), -ERR_PERSON_EXPIRED);
	assert_int_equal(
		come("", "x", "tanaka", -ERR_CERTIFICATE_OUTDATED), -ERR_CERTIFICATE_OUTDATED);
	/* who is nobody here is not told more */
	assert_int_equal(
		come("", "x", "nobody", -ERR_CERTIFICATE_REVOKED), -ERR_CERTIFICATE_REFUSED);
	/* a name that cannot be anybody's is another name, and not none */
	assert_int_equal(come("tanaka=admin", "x", "tanaka", 0), -ERR_CERTIFICATE_REFUSED);
	assert_int_equal(come("*", "x", "tanaka", 0), -ERR_CERTIFICATE_REFUSED);
	assert_int_equal(come("-", "pinned", "", 0), -ERR_CERTIFICATE_REFUSED);
	assert_int_equal(come("", "pinned", "", 0), LOGIN_PASSED);
	assert_int_equal(w.asked.pinned, 1);
	assert_int_equal(come("ito", "pinned", "", 0), LOGIN_PASSED);
	assert_int_equal(come("tanaka", "pinned", "", 0), -ERR_CERTIFICATE_REFUSED);
	assert_int_equal(come("", "pinned", "tanaka", 0), LOGIN_PASSED);
	assert_string_equal(w.login.person.name, "ito"); /* the pin says who, not the name in it */
	assert_int_equal(w.checks, 0);
}

static void
test_service_that_fails_counts_nothing(void **state)
{
	uint32_t retry_s;
	(void)state;
	w.policy.lockout_count = 1;
	assert_int_equal(come("tanaka", "x", "", -ERR_PERSON_SERVICE), -ERR_PERSON_SERVICE);
	assert_int_equal(come("tanaka", "x", "tanaka", -ERR_CERTIFICATE_UNCHECKED),
		-ERR_CERTIFICATE_UNCHECKED);
	assert_int_equal(
		come("tanaka", "x", "", -ERR_CERTIFICATE_REFUSED), -ERR_CERTIFICATE_REFUSED);
	assert_int_equal(devices_check(w.devices, device[0], NOW_S, &retry_s), -ERR_LOCKED_OUT);
}

static void
test_without_a_certificate(void **state)
{
	(void)state;
	struct reply reply = {.kind = engawa_PromptKind_PROMPT_PASSWORD, .text = "x"};
	assert_int_equal(begin(&w.login, device[0], "tanaka", APP), LOGIN_WAITS);
	assert_int_equal(show(&w.login, ""), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, engawa_PromptKind_PROMPT_PASSWORD);
	/* no password is tanaka's: on_check looks for nobody's */
	assert_int_equal(login_reply(&w.login, &reply), LOGIN_WAITS);
	assert_int_equal(w.checks, 1);
	login_fini(&w.login);
	w.policy.require_certificate = 1;
	assert_int_equal(begin(&w.login, device[0], "tanaka", APP), LOGIN_WAITS);
	assert_int_equal(show(&w.login, ""), -ERR_CERTIFICATE_NEEDED);
	assert_int_equal(begin(&w.login, device[0], "suzuki", HTML5), -ERR_CERTIFICATE_NATIVE);
	w.users.count = 0;
	strcpy(w.settings.password, "$argon2id$");
	assert_int_equal(begin(&w.login, device[0], "", APP), -ERR_CERTIFICATE_NONE);
}

/* A result for a check that nobody waits for, a name without a check. */
static void
test_attack_out_of_order(void **state)
{
	(void)state;
	assert_int_equal(begin(&w.login, device[0], "", APP), LOGIN_WAITS);
	assert_int_equal(login_certified(&w.login, 0, "tanaka"), -ERR_PROTOCOL);
	login_fini(&w.login);
	assert_int_equal(begin(&w.login, device[0], "", APP), LOGIN_WAITS);
	assert_int_equal(show(&w.login, "x"), LOGIN_WAITS);
	assert_int_equal(show(&w.login, "x"), -ERR_PROTOCOL);
	assert_int_equal(login_certified(&w.login, 0, "tanaka"), -ERR_PROTOCOL);
}

/* Two logins at once, by two devices, for the last try of one person: the try is charged before it
 * is judged, so only one of them has it. */
static void
test_attack_race_for_a_persons_last_try(void **state)
{
	uint8_t key[USER_KEY_BYTES];
	uint32_t retry_s;
	(void)state;
	w.policy.lockout_count = 1; /* three for the person, over all devices */
	user_key("tanaka", key);
	assert_int_equal(devices_enter(w.persons, key, NOW_S), 0);
	for (int i = 0; i < 2; i++) {
		struct lockout_rule rule = {3, 60};
		struct tries before;
		assert_int_equal(devices_charge(w.persons, key, &rule, NOW_S, &before), 0);
	}
	assert_int_equal(begin(&w.login, device[0], "tanaka", APP), LOGIN_WAITS);
	assert_int_equal(begin(&w.second, device[1], "tanaka", APP), LOGIN_WAITS);
	assert_int_equal(show(&w.login, "x"), LOGIN_WAITS);
	assert_int_equal(show(&w.second, "x"), -ERR_LOCKED_OUT);
	assert_int_equal(w.certificates, 1);
	assert_int_equal(
		login_certified(&w.login, -ERR_CERTIFICATE_REFUSED, ""), -ERR_CERTIFICATE_REFUSED);
	assert_int_equal(devices_check(w.persons, key, NOW_S, &retry_s), -ERR_LOCKED_OUT);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holder),
		cmocka_unit_test(test_revocation),
		cmocka_unit_test(test_last_good),
		T(test_persons_by_certificate),
		T(test_service_that_fails_counts_nothing),
		T(test_without_a_certificate),
		T(test_attack_out_of_order),
		T(test_attack_race_for_a_persons_last_try),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
