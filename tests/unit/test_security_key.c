/* client/security_key through libfido2 and a key in software, judged by agent/webauthn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/webauthn.h"
#include "authenticator.h"
#include "base/err.h"
#include "client/security_key.h"

static struct authenticator usb;
static struct security_key_question question;
static const struct conf_list no_origins;

static int
setup(void **state)
{
	(void)state;
	usb = (struct authenticator){.flags = 5, .plugged = 1};
	question = (struct security_key_question){.open = authenticator_open, .user = &usb};
	strcpy(question.asked.rp_id, "relay.example");
	strcpy(question.terminal, "7K3MABCDEFGH1234");
	question.asked.user_verification = true;
	memset(question.hash, 7, sizeof question.hash);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	authenticator_fini(&usb);
	return 0;
}

static int
judge(const engawa_WebauthnKey *key, const engawa_WebauthnAssertion *given, uint32_t *counter)
{
	const struct webauthn_rp rp = {"relay.example", &no_origins, 1};
	const struct webauthn_key public = {
		key->algorithm, key->public_key.bytes, key->public_key.size, *counter};
	struct assertion a = {.authenticator_data_len = given->authenticator_data.size,
		.client_data_len = given->client_data.size,
		.signature_len = given->signature.size};
	uint8_t challenge[32];
	const char *why;
	memcpy(a.authenticator_data, given->authenticator_data.bytes, a.authenticator_data_len);
	memcpy(a.client_data, given->client_data.bytes, a.client_data_len);
	memcpy(a.signature, given->signature.bytes, a.signature_len);
	assert_int_equal(webauthn_challenge(question.hash, challenge), 0);
	return webauthn_verify(&rp, challenge, &public, &a, counter, &why);
}

static void
test_make_and_sign(void **state)
{
	(void)state;
	engawa_WebauthnKey key;
	engawa_WebauthnAssertion a;
	uint32_t counter = 0;
	assert_int_equal(security_key_make(&question, &key), 0);
	assert_true(webauthn_key_fit(key.algorithm, key.public_key.bytes, key.public_key.size));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(security_key_sign(&question, &a), 0);
		assert_int_equal(a.credential.size, key.credential.size);
		assert_memory_equal(a.credential.bytes, key.credential.bytes, a.credential.size);
		assert_int_equal(judge(&key, &a, &counter), 0);
	}
	assert_int_equal(judge(&key, &a, &counter), -ERR_WEBAUTHN_WRONG); /* once */
	question.hash[0] ^= 1;
	counter = 0;
	assert_int_equal(judge(&key, &a, &counter), -ERR_WEBAUTHN_WRONG); /* another channel */
}

/* One key for the office PCs of one relay: the credential of the one that asks. */
static void
test_several_office_pcs(void **state)
{
	(void)state;
	engawa_WebauthnKey first, second;
	engawa_WebauthnAssertion a;
	uint32_t counter = 0;
	assert_int_equal(security_key_make(&question, &first), 0);
	question.terminal[0] = '8';
	assert_int_equal(security_key_make(&question, &second), 0);
	question.terminal[0] = '7';
	assert_int_equal(security_key_sign(&question, &a), 0);
	assert_int_equal(judge(&first, &a, &counter), 0);
	question.terminal[0] = '9';
	assert_int_equal(security_key_sign(&question, &a), -ERR_WEBAUTHN_DEVICE);
}

static void
test_none(void **state)
{
	(void)state;
	engawa_WebauthnKey key;
	engawa_WebauthnAssertion a;
	assert_int_equal(security_key_sign(&question, &a), -ERR_WEBAUTHN_DEVICE);
	usb.plugged = 0;
	assert_int_equal(security_key_make(&question, &key), -ERR_WEBAUTHN_DEVICE);
}

static void
with_pin(const char *given)
{
	strcpy(question.pin, given);
}

/* A key with a PIN, as most have it: the PIN is what verifies, and is asked for where that is asked
 * for. */
static void
test_pin(void **state)
{
	(void)state;
	engawa_WebauthnKey key;
	engawa_WebauthnAssertion a;
	uint32_t counter = 0;
	strcpy(usb.pin.pin, "2468");
	with_pin("");
	assert_int_equal(security_key_make(&question, &key), -ERR_WEBAUTHN_PIN);
	with_pin("2468");
	assert_int_equal(security_key_make(&question, &key), 0);
	assert_int_equal(security_key_sign(&question, &a), 0);
	assert_int_equal(judge(&key, &a, &counter), 0); /* says that it was verified */
	with_pin("");
	assert_int_equal(security_key_sign(&question, &a), -ERR_WEBAUTHN_PIN);
	question.asked.user_verification = false;
	assert_int_equal(security_key_sign(&question, &a), 0);
	assert_int_equal(judge(&key, &a, &counter), -ERR_WEBAUTHN_WRONG); /* touched only */
	assert_int_equal(usb.pin.wrong, 0);
}

/* A key that has neither is no use where policy wants its person verified: said at home, before it
 * counts as a failure at the office PC. */
static void
test_pin_for_a_key_without(void **state)
{
	(void)state;
	engawa_WebauthnKey key;
	engawa_WebauthnAssertion a;
	uint32_t counter = 0;
	with_pin("2468"); /* this one has a fingerprint: the PIN is not needed */
	assert_int_equal(security_key_make(&question, &key), 0);
	assert_int_equal(security_key_sign(&question, &a), 0);
	assert_int_equal(judge(&key, &a, &counter), 0);
}

/* Somebody with the key guesses its PIN, here or through an office PC that asks again and again:
 * one try is one try, the key counts them, and the right one after that does not help any more. */
static void
test_attack_pin_guessed(void **state)
{
	(void)state;
	engawa_WebauthnKey key;
	engawa_WebauthnAssertion a;
	strcpy(usb.pin.pin, "2468");
	with_pin("2468");
	assert_int_equal(security_key_make(&question, &key), 0);
	with_pin("1357");
	for (int i = 1; i < SOFT_PIN_RETRIES; i++) {
		assert_int_equal(security_key_sign(&question, &a), -ERR_WEBAUTHN_PIN);
		assert_int_equal(usb.pin.wrong, i);
	}
	assert_int_equal(security_key_sign(&question, &a), -ERR_WEBAUTHN_BLOCKED);
	with_pin("2468");
	assert_int_equal(security_key_sign(&question, &a), -ERR_WEBAUTHN_BLOCKED);
	assert_int_equal(security_key_make(&question, &key), -ERR_WEBAUTHN_BLOCKED);
}

/* An office PC asks for a signature that another site would take: the ID goes into no JSON that it
 * could break, and the origin is one that no web page has. */
static void
test_attack_signature_for_a_site(void **state)
{
	(void)state;
	engawa_WebauthnKey key;
	engawa_WebauthnAssertion a;
	strcpy(question.asked.rp_id, "bank.example\",\"origin\":\"https://bank.example");
	assert_int_equal(security_key_make(&question, &key), -ERR_PROTOCOL);
	strcpy(question.asked.rp_id, "bank.example");
	assert_int_equal(security_key_make(&question, &key), 0);
	assert_int_equal(security_key_sign(&question, &a), 0);
	a.client_data.bytes[a.client_data.size] = '\0';
	assert_non_null(strstr((char *)a.client_data.bytes, "\"origin\":\"engawa:bank.example\""));
	assert_null(strstr((char *)a.client_data.bytes, "https:"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_make_and_sign),
		T(test_several_office_pcs),
		T(test_none),
		T(test_pin),
		T(test_pin_for_a_key_without),
		T(test_attack_pin_guessed),
		T(test_attack_signature_for_a_site),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
