/* agent/webauthn, agent/passkeys: what a security key signs, and the file of those that are
 * registered. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/passkeys.h"
#include "agent/policy.h"
#include "base/conf.h"
#include "base/err.h"
#include "soft_key.h"

static const char rp_id[] = "relay.example";
static const uint8_t hash[32] = {7, 9}, other_hash[32] = {8};
static const struct conf_list no_origins;
static const struct webauthn_rp rp = {rp_id, &no_origins, 1};
static struct soft_key key;
static uint8_t challenge[32];

static int
setup(void **state)
{
	(void)state;
	soft_key_init(&key, WEBAUTHN_ES256, 1);
	return webauthn_challenge(hash, challenge);
}

static int
teardown(void **state)
{
	(void)state;
	soft_key_fini(&key);
	return 0;
}

static int
verify_as(const struct soft_key *k, const struct webauthn_rp *to, const struct assertion *a,
	uint32_t counter, const char **ret_why)
{
	const struct webauthn_key public = {
		k->made.algorithm, k->made.public_key, k->made.public_key_len, counter};
	uint32_t next = 0;
	return webauthn_verify(to, challenge, &public, a, &next, ret_why);
}

static void
refused(const struct assertion *a, const char *expected)
{
	const char *why;
	assert_int_equal(verify_as(&key, &rp, a, 0, &why), -ERR_WEBAUTHN_WRONG);
	assert_string_equal(why, expected);
}

static void
test_algorithms(void **state)
{
	(void)state;
	static const int32_t algorithms[] = {WEBAUTHN_ES256, WEBAUTHN_EDDSA, WEBAUTHN_RS256};
	const char *why;
	for (size_t i = 0; i < 3; i++) {
		struct soft_key k;
		struct assertion a;
		soft_key_init(&k, algorithms[i], 2);
		assert_true(webauthn_key_fit(
			k.made.algorithm, k.made.public_key, k.made.public_key_len));
		soft_assert(&k, rp_id, hash, &a);
		assert_int_equal(verify_as(&k, &rp, &a, 0, &why), 0);
		a.signature[a.signature_len / 2] ^= 1;
		assert_int_equal(verify_as(&k, &rp, &a, 0, &why), -ERR_WEBAUTHN_WRONG);
		soft_key_fini(&k);
	}
}

static void
test_forms_of_client_data(void **state)
{
	(void)state;
	static const char *const good[] = {"}", ",\"crossOrigin\":false}",
		",\"crossOrigin\":false,\"other_keys_can_be_added_here\":\"x\"}"};
	const char *why;
	for (size_t i = 0; i < 3; i++) {
		struct assertion a;
		soft_assert(&key, rp_id, hash, &a);
		soft_client_data(&a, "webauthn.get", challenge, "https://relay.example", good[i]);
		soft_sign(&key, &a);
		assert_int_equal(verify_as(&key, &rp, &a, 0, &why), 0);
		soft_client_data(&a, "webauthn.get", challenge, "engawa:relay.example", good[i]);
		soft_sign(&key, &a);
		assert_int_equal(verify_as(&key, &rp, &a, 0, &why), 0);
	}
}

/* Signed for another page, or framed by another site: the key's own signature does not help. */
static void
test_attack_origin(void **state)
{
	(void)state;
	static const char *const origins[] = {"https://evil.example", "http://relay.example",
		"https://relay.example.evil.example", "https://relay.example:8443",
		"https://sub.relay.example", "engawa:evil.example", "",
		"https://evil.example\\\",\\\"origin\\\":\\\"https://relay.example"};
	struct assertion a;
	for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
		soft_assert(&key, rp_id, hash, &a);
		soft_client_data(
			&a, "webauthn.get", challenge, origins[i], ",\"crossOrigin\":false}");
		soft_sign(&key, &a);
		refused(&a, "origin");
	}
	static const char *const ends[] = {",\"crossOrigin\":true}", "", ",\"crossOrigin\":false",
		",\"crossOrigin\":falsely}", ",\"topOrigin\":\"https://evil.example\"}"};
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		soft_assert(&key, rp_id, hash, &a);
		soft_client_data(&a, "webauthn.get", challenge, "https://relay.example", ends[i]);
		soft_sign(&key, &a);
		refused(&a, "origin");
	}
	/* where policy names pages, those only */
	char *items[] = {"https://gate.relay.example:8443"};
	const struct conf_list list = {items, 1};
	const struct webauthn_rp named = {rp_id, &list, 1};
	const char *why;
	soft_assert(&key, rp_id, hash, &a);
	assert_int_equal(verify_as(&key, &named, &a, 0, &why), -ERR_WEBAUTHN_WRONG);
	soft_client_data(&a, "webauthn.get", challenge, items[0], ",\"crossOrigin\":false}");
	soft_sign(&key, &a);
	assert_int_equal(verify_as(&key, &named, &a, 0, &why), 0);
}

/* Recorded in another session, or signed for the making of a key: another challenge, another type.
 */
static void
test_attack_challenge_and_type(void **state)
{
	(void)state;
	struct assertion a;
	soft_assert(&key, rp_id, other_hash, &a);
	refused(&a, "challenge");
	soft_assert(&key, rp_id, hash, &a);
	soft_client_data(&a, "webauthn.create", challenge, "https://relay.example", "}");
	soft_sign(&key, &a);
	refused(&a, "type");
	a.client_data_len = 0;
	refused(&a, "type");
}

/* A signature for another site's ID, without a touch, without the PIN, with data nobody asked for.
 */
static void
test_attack_authenticator_data(void **state)
{
	(void)state;
	struct assertion a;
	soft_assert(&key, rp_id, hash, &a);
	soft_authenticator_data(&a, "evil.example", 5, 9);
	soft_sign(&key, &a);
	refused(&a, "signature");
	static const uint8_t flags[] = {0, 1, 4};
	for (size_t i = 0; i < 3; i++) {
		soft_authenticator_data(&a, rp_id, flags[i], 9);
		soft_sign(&key, &a);
		refused(&a, "presence");
	}
	const struct webauthn_rp touch = {rp_id, &no_origins, 0};
	const char *why;
	soft_authenticator_data(&a, rp_id, 1, 9);
	soft_sign(&key, &a);
	assert_int_equal(verify_as(&key, &touch, &a, 0, &why), 0);
	a.authenticator_data[a.authenticator_data_len++] = 0xa0;
	a.authenticator_data[32] = 0x85;
	soft_sign(&key, &a);
	refused(&a, "form");
	a.authenticator_data_len = 36;
	refused(&a, "form");
}

/* A copy of the key, or a signature that was seen before: the counter does not go forward. */
static void
test_attack_counter(void **state)
{
	(void)state;
	struct assertion a;
	const char *why;
	key.counter = 41;
	soft_assert(&key, rp_id, hash, &a); /* 42 */
	assert_int_equal(verify_as(&key, &rp, &a, 41, &why), 0);
	assert_int_equal(verify_as(&key, &rp, &a, 42, &why), -ERR_WEBAUTHN_WRONG);
	assert_string_equal(why, "counter");
	assert_int_equal(verify_as(&key, &rp, &a, UINT32_MAX, &why), -ERR_WEBAUTHN_WRONG);
	soft_authenticator_data(&a, rp_id, 5, 0); /* of a key that does not count any more */
	soft_sign(&key, &a);
	assert_int_equal(verify_as(&key, &rp, &a, 42, &why), -ERR_WEBAUTHN_WRONG);
	assert_int_equal(verify_as(&key, &rp, &a, 0, &why), 0);
}

/* Another key's signature under this one's name, and keys that are none. */
static void
test_attack_other_key(void **state)
{
	(void)state;
	struct soft_key other;
	struct assertion a;
	uint8_t zero[260] = {0};
	soft_key_init(&other, WEBAUTHN_ES256, 1);
	soft_assert(&other, rp_id, hash, &a);
	refused(&a, "signature");
	soft_key_fini(&other);
	assert_false(webauthn_key_fit(WEBAUTHN_ES256, zero, 64)); /* not on the curve */
	assert_false(webauthn_key_fit(WEBAUTHN_RS256, zero, 259));
	assert_false(webauthn_key_fit(WEBAUTHN_EDDSA, zero, 31));
	assert_false(webauthn_key_fit(-36, key.made.public_key, 64));
	assert_false(webauthn_key_fit(0, zero, 0));
}

static void
test_rp_ids(void **state)
{
	(void)state;
	assert_true(policy_rp_id_fit("relay.city.example.lg.jp"));
	assert_true(policy_rp_id_fit("localhost"));
	static const char *const bad[] = {
		"", "Relay.example", "https://x", "a..b", ".a", "a.", "a b", "-a", "a\"b", "a:443"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(policy_rp_id_fit(bad[i]));
}

/* ---- the file ---- */

enum {
	NOW = 1800000000
};
static char path[64];

static struct passkeys *
open_file(void)
{
	struct passkeys *p;
	if (!path[0]) {
		strcpy(path, "/tmp/engawa-test-passkeys.XXXXXX");
		close(mkstemp(path));
		unlink(path);
	}
	assert_int_equal(passkeys_open(path, &p, NULL), 0);
	return p;
}

static void
fill(struct passkey *to, const struct soft_key *from)
{
	to->algorithm = from->made.algorithm;
	to->credential_len = from->made.credential_len;
	memcpy(to->credential, from->made.credential, to->credential_len);
	to->public_key_len = from->made.public_key_len;
	memcpy(to->public_key, from->made.public_key, to->public_key_len);
}

static void
test_registration(void **state)
{
	(void)state;
	struct passkeys *p = open_file();
	struct passkey made;
	struct stat st;
	char code[PAPER_TEXT_SIZE], old[PAPER_TEXT_SIZE];
	assert_int_equal(passkeys_begin(p, "", "家の鍵 1", NOW, old), 0);
	assert_int_equal(passkeys_begin(p, "Tanaka", "家の鍵 1", NOW, code), 0);
	assert_int_equal(passkeys_check(p, old, NOW, &made), -ERR_CODE_WRONG); /* void */
	assert_true(passkeys_is_code(code));
	assert_int_equal(passkeys_check(p, code, NOW + REGISTRATION_S, &made), -ERR_CODE_WRONG);
	assert_int_equal(passkeys_check(p, code, NOW - 1, &made), -ERR_CODE_WRONG);
	passkeys_free(p);
	p = open_file(); /* the registration outlives a restart, and only its hash is on the disk */
	assert_int_equal(passkeys_check(p, code, NOW, &made), 0);
	assert_string_equal(made.person, "tanaka");
	assert_string_equal(made.label, "家の鍵 1");
	fill(&made, &key);
	assert_int_equal(passkeys_add(p, &made, NOW), 0);
	assert_int_equal(passkeys_check(p, code, NOW, &made), -ERR_CODE_WRONG); /* one key */
	assert_int_equal(passkeys_add(p, &made, NOW), -ERR_CODE_WRONG);
	assert_int_equal(passkeys_begin(p, "", "x", NOW, code), 0);
	assert_int_equal(passkeys_check(p, code, NOW, &made), 0);
	fill(&made, &key);
	assert_int_equal(passkeys_add(p, &made, NOW), -ERR_EXISTS);
	assert_int_equal(passkeys_cancel(p), 0);
	assert_false(passkeys_is_open(p, NOW));
	assert_int_equal(
		passkeys_used(p, key.made.credential, key.made.credential_len, 5, NOW + 9), 0);
	passkeys_free(p);
	p = open_file();
	assert_int_equal(passkeys_count(p), 1);
	assert_int_equal(passkeys_at(p, 0)->counter, 5);
	assert_int_equal(passkeys_at(p, 0)->used_s, NOW + 9);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(passkeys_remove(p, 1), -ERR_NOT_FOUND);
	assert_int_equal(passkeys_remove(p, 0), 0);
	assert_null(passkeys_find(p, key.made.credential, key.made.credential_len));
	static const char *const labels[] = {"", " a", "a ", "-a", "a\nb", "a\x1b"};
	for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
		assert_int_equal(passkeys_begin(p, "", labels[i], NOW, code), -ERR_SETTING);
	assert_int_equal(passkeys_begin(p, "a b", "x", NOW, code), -ERR_PERSON_NAME);
	passkeys_free(p);
	unlink(path);
}

/* Who reads the disk does not find the code of an open registration. */
static void
test_attack_stolen_file(void **state)
{
	(void)state;
	struct passkeys *p = open_file();
	char code[PAPER_TEXT_SIZE], folded[PAPER_FOLDED_SIZE], *text;
	size_t len;
	assert_int_equal(passkeys_begin(p, "", "x", NOW, code), 0);
	paper_fold(code, folded);
	assert_int_equal(conf_read_file(path, 4096, &text, &len), 0);
	assert_null(strstr(text, folded));
	assert_null(strstr(text, code));
	free(text);
	passkeys_free(p);
	unlink(path);
}

static void
test_damaged_file(void **state)
{
	(void)state;
	static const char *const bad[] = {"KEY", "KEY -7 0 0 0 aa bb - x\n", "OPEN aa 1 - x\n",
		"NOISE 1\n", "KEY -7 0 0 0 aa\n"};
	struct passkeys *p;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(passkeys_parse(bad[i], strlen(bad[i]), &p), -ERR_SETTING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_algorithms),
		T(test_forms_of_client_data),
		T(test_attack_origin),
		T(test_attack_challenge_and_type),
		T(test_attack_authenticator_data),
		T(test_attack_counter),
		T(test_attack_other_key),
		T(test_rp_ids),
		T(test_registration),
		T(test_attack_stolen_file),
		T(test_damaged_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
