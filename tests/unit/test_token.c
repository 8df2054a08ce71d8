/* Keys on a token: SoftHSM's module, and a module that never answers, in the helper process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "agent/password.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "client/token_ask.h"

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"

static char directory[] = "/tmp/engawa-token.XXXXXX";
static struct loop *loop;
static struct token_answer answer;
static int result, answered;
static uint64_t deadline_ms = 60000;

static void
run(const char *command)
{
	char line[1024];
	snprintf(line, sizeof line, "cd %s && { %s; } > log 2>&1 || { cat log; exit 1; }",
		directory, command);
	assert_int_equal(system(line), 0);
}

static int
set_up(void **state)
{
	char text[256];
	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(text, sizeof text, "%s/conf", directory);
	setenv("SOFTHSM2_CONF", text, 1);
	snprintf(text, sizeof text, "mkdir tokens; echo directories.tokendir = %s/tokens > conf",
		directory);
	run(text);
	run("softhsm2-util --init-token --free --label card --so-pin 1234 --pin 5678");
	run("pkcs11-tool --module " MODULE
	    " --token-label card --login --pin 5678 --keypairgen --key-type EC:prime256v1 --label device --id 01");
	run("pkcs11-tool --module " MODULE
	    " --token-label card --login --pin 5678 --keypairgen --key-type rsa:2048 --label person --id 02");
	run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -subj /CN=tanaka -outform DER -out cert.der");
	run("pkcs11-tool --module " MODULE
	    " --token-label card --login --pin 5678 --write-object cert.der --type cert --label device --id 01");
	loop = loop_new();
	return 0;
}

/* Until the helpers that were killed are reaped. */
static void
reap(void *user)
{
	struct timer **timer = user;
	char path[64], *text;
	size_t len;
	snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
	assert_int_equal(conf_read_file(path, 4096, &text, &len), 0);
	if (len == 0)
		loop_stop(loop);
	else
		timer_start(*timer, 10, 0);
	free(text);
}

static void
wait_for_children(void)
{
	struct timer *timer = timer_new(loop, reap, &timer);
	timer_start(timer, 1, 0);
	loop_run(loop);
	timer_free(timer);
}

static int
tear_down(void **state)
{
	(void)state;
	wait_for_children();
	loop_free(loop);
	char line[128];
	snprintf(line, sizeof line, "rm -rf %s", directory);
	return system(line);
}

static void
on_answer(void *user, int code, const struct token_answer *a)
{
	(void)user;
	result = code;
	answered++;
	if (a)
		answer = *a;
	loop_stop(loop);
}

static int
ask(const char *module, const char *uri, const char *pin)
{
	struct token_question q = {.use = TOKEN_SIGN};
	snprintf(q.module, sizeof q.module, "%s", module);
	snprintf(q.uri, sizeof q.uri, "%s", uri);
	snprintf(q.pin, sizeof q.pin, "%s", pin);
	assert_int_equal(sign_digest("test", "body", 4, q.digest), 0);
	memset(&answer, 0, sizeof answer);
	answered = 0;
	struct token_ask *a = token_ask_new(loop, &q, deadline_ms, on_answer, NULL);
	assert_non_null(a);
	loop_run(loop);
	token_ask_free(a);
	assert_int_equal(answered, 1);
	return result;
}

static void
test_p256(void **state)
{
	(void)state;
	assert_int_equal(ask(MODULE, "pkcs11:token=card;object=device", "5678"), 0);
	assert_false(answer.is_rsa);
	assert_int_equal(answer.signature_len, SIGN_RAW_BYTES);
	assert_int_equal(sign_check_raw(answer.point, "test", "body", 4, answer.signature), 0);
	assert_int_equal(
		sign_check_raw(answer.point, "tset", "body", 4, answer.signature), -ERR_SIGNATURE);
	answer.signature[7] ^= 1;
	assert_int_equal(
		sign_check_raw(answer.point, "test", "body", 4, answer.signature), -ERR_SIGNATURE);
	const uint8_t *p = answer.cert;
	X509 *cert = d2i_X509(NULL, &p, (long)answer.cert_len);
	assert_non_null(cert);
	X509_free(cert);
}

static void
test_rsa(void **state)
{
	(void)state;
	assert_int_equal(ask(MODULE, "pkcs11:token=card;id=%02", "5678"), 0);
	assert_true(answer.is_rsa);
	assert_int_equal(answer.signature_len, 256);
	assert_int_equal(answer.cert_len, 0);
}

static void
test_refused(void **state)
{
	(void)state;
	assert_int_equal(ask(MODULE, "pkcs11:token=other;object=device", "5678"), -ERR_TOKEN_NONE);
	assert_int_equal(ask(MODULE, "pkcs11:token=card;object=none", "5678"), -ERR_TOKEN_NONE);
	/* not one key */
	assert_int_equal(ask(MODULE, "pkcs11:token=card", "5678"), -ERR_TOKEN_NONE);
	assert_int_equal(ask(MODULE, "pkcs11:token=card;object=device", "1111"), -ERR_TOKEN_PIN);
	assert_int_equal(ask(MODULE, "pkcs11:token=card;object=device", ""), -ERR_TOKEN_PIN);
	assert_int_equal(ask("/nowhere.so", "pkcs11:token=card", "5678"), -ERR_TOKEN_NONE);
	assert_int_equal(
		ask(MODULE, "pkcs11:token=card;object=device?pin-value=5678", ""), -ERR_TOKEN_NONE);
	assert_false(token_fits("libsofthsm2.so", "pkcs11:token=card"));
	assert_false(token_fits(MODULE, "token=card"));
	assert_true(token_fits(MODULE, "pkcs11:token=card;object=device"));
}

/* A driver that crashes takes its own process with it, and nothing else. */
static void
test_crash(void **state)
{
	char path[128];
	(void)state;
	run("echo 'int C_GetFunctionList(void){__builtin_trap();}' > bad.c && cc -shared -fPIC -o bad.so bad.c");
	snprintf(path, sizeof path, "%s/bad.so", directory);
	assert_int_equal(ask(path, "pkcs11:token=card", ""), -ERR_TOKEN_FAILED);
}

/* A driver that waits for its reader for ever is ended in time. */
static void
test_hang(void **state)
{
	char path[128];
	(void)state;
	run("echo '#include <unistd.h>\nint C_GetFunctionList(void){for(;;)pause();}' > slow.c && cc -shared -fPIC -o slow.so slow.c");
	snprintf(path, sizeof path, "%s/slow.so", directory);
	deadline_ms = 300;
	assert_int_equal(ask(path, "pkcs11:token=card", ""), -ERR_TOKEN_FAILED);
	deadline_ms = 60000;
}

/* ---- keys that stay in the token ---- */

static void
put_question(struct token_question *q, enum token_use use, const char *uri, const char *pin)
{
	*q = (struct token_question){.use = (uint8_t)use};
	snprintf(q->module, sizeof q->module, MODULE);
	snprintf(q->uri, sizeof q->uri, "%s", uri);
	snprintf(q->pin, sizeof q->pin, "%s", pin);
}

static int
mac(enum token_use use, const char *uri, uint8_t digit)
{
	struct token_question q;
	put_question(&q, use, uri, "5678");
	memset(q.digest, digit, sizeof q.digest);
	return token_call(&q, deadline_ms, &answer);
}

static void
test_mac(void **state)
{
	static const char uri[] = "pkcs11:token=card;object=secret";
	uint8_t first[TOKEN_MAC_BYTES];
	(void)state;
	assert_int_equal(mac(TOKEN_MAC, uri, 1), -ERR_TOKEN_NONE);
	assert_int_equal(mac(TOKEN_MAC_MAKE, "pkcs11:token=card", 1), -ERR_TOKEN_FAILED);
	assert_int_equal(mac(TOKEN_MAC_MAKE, uri, 1), 0);
	assert_int_equal(answer.signature_len, TOKEN_MAC_BYTES);
	memcpy(first, answer.signature, sizeof first);
	assert_int_equal(mac(TOKEN_MAC, uri, 1), 0);
	assert_memory_equal(answer.signature, first, sizeof first);
	assert_int_equal(mac(TOKEN_MAC_MAKE, uri, 1), 0); /* it is there: no second one */
	assert_memory_equal(answer.signature, first, sizeof first);
	assert_int_equal(mac(TOKEN_MAC, uri, 2), 0);
	assert_memory_not_equal(answer.signature, first, sizeof first);
	assert_int_equal(mac(TOKEN_MAC, "pkcs11:token=other;object=secret", 1), -ERR_TOKEN_NONE);
}

/* What is tried: the key is read out of the token by who has its PIN; and a key that can be read is
 * put there under the name. What comes of it: it does not leave; the other one is no key for this.
 */
static void
test_attack_key_leaves_the_token(void **state)
{
	static const char uri[] = "pkcs11:token=card;object=kept";
	(void)state;
	assert_int_equal(mac(TOKEN_MAC_MAKE, uri, 1), 0);
	run("! pkcs11-tool --module " MODULE
	    " --token-label card --login --pin 5678 --read-object --type secrkey --label kept -o out || ! test -s out");
	run("head -c 32 /dev/zero > zero && pkcs11-tool --module " MODULE
	    " --token-label card --login --pin 5678 --write-object zero --type secrkey --key-type AES:32 --label open --extractable --usage-sign"
	    " && pkcs11-tool --module " MODULE
	    " --token-label card --login --pin 5678 --list-objects --type secrkey | grep -q open");
	assert_int_equal(mac(TOKEN_MAC, "pkcs11:token=card;object=open", 1), -ERR_TOKEN_NONE);
}

static void
test_call_is_late(void **state)
{
	struct token_question q;
	(void)state;
	put_question(&q, TOKEN_MAC, "pkcs11:token=card;object=secret", "5678");
	snprintf(q.module, sizeof q.module, "%s/slow.so", directory);
	assert_int_equal(token_call(&q, 300, &answer), -ERR_TOKEN_FAILED);
	snprintf(q.module, sizeof q.module, "%s/bad.so", directory);
	assert_int_equal(token_call(&q, 60000, &answer), -ERR_TOKEN_FAILED);
}

static void
set_token(struct pepper *pepper, const char *uri, const char *pin)
{
	put_question(&pepper->token, TOKEN_MAC, uri, pin);
	atomic_store(&pepper->make, 1);
}

/* What is tried: a password is checked with all that the office PC's disk has, and with another
 * token. What comes of it: neither says whether it is right. */
static void
test_attack_hash_without_the_token(void **state)
{
	static struct pepper file = {.key = {1, 2, 3}}, kept = {.key = {1, 2, 3}},
			     other = {.key = {1, 2, 3}}, none = {.key = {1, 2, 3}};
	char hash[SETTINGS_HASH_SIZE];
	(void)state;
	set_token(&kept, "pkcs11:token=card;object=pepper", "5678");
	set_token(&other, "pkcs11:token=card;object=pepper2", "5678");
	set_token(&none, "pkcs11:token=gone;object=pepper", "5678");
	assert_int_equal(password_hash(&kept, "Abcdef12", hash), 0);
	assert_int_equal(strncmp(hash, "$token$argon2id$", 16), 0);
	assert_true(password_is_hash(hash) && password_by_token(hash) && !password_by_file(hash));
	assert_false(password_is_old(&kept, hash));
	assert_int_equal(password_check(&kept, hash, "Abcdef12"), 0);
	assert_int_equal(password_check(&kept, hash, "Abcdef13"), -ERR_PASSWORD_WRONG);
	assert_int_equal(password_check(&file, hash, "Abcdef12"), -ERR_PEPPER_TOKEN);
	assert_int_equal(password_check(&other, hash, "Abcdef12"), -ERR_PASSWORD_WRONG);
	assert_int_equal(password_check(&none, hash, "Abcdef12"), -ERR_PEPPER_TOKEN);
	assert_int_equal(pepper_code(&none), ERR_PEPPER_TOKEN);
	assert_int_equal(pepper_code(&kept), 0);
}

/* What the file made is right once more, with the token at hand, and then kept by the token. */
static void
test_from_file_to_token(void **state)
{
	static struct pepper file = {.key = {1, 2, 3}}, both = {.key = {1, 2, 3}},
			     gone = {.key = {1, 2, 3}};
	char hash[SETTINGS_HASH_SIZE];
	(void)state;
	set_token(&both, "pkcs11:token=card;object=next", "5678");
	set_token(&gone, "pkcs11:token=gone;object=next", "5678");
	assert_int_equal(password_hash(&file, "Abcdef12", hash), 0);
	assert_false(password_is_old(&file, hash));
	assert_true(password_is_old(&both, hash));
	assert_int_equal(password_check(&gone, hash, "Abcdef12"), -ERR_PEPPER_TOKEN);
	assert_int_equal(password_check_nobody(&gone, "Abcdef12"), -ERR_PEPPER_TOKEN);
	assert_int_equal(password_check(&both, hash, "Abcdef13"), -ERR_PASSWORD_WRONG);
	assert_int_equal(password_check(&both, hash, "Abcdef12"), 0);
	assert_int_equal(password_hash(&both, "Abcdef12", hash), 0);
	assert_false(password_is_old(&both, hash));
	assert_true(password_is_old(&file, hash));
}

/* What is tried: many logins while the PIN in the settings is wrong. What comes of it: the token
 * hears it once, so that it does not lock itself. */
static void
test_attack_pin_used_up(void **state)
{
	static struct pepper pepper;
	uint8_t key[PEPPER_BYTES];
	(void)state;
	set_token(&pepper, "pkcs11:token=card;object=pepper", "1111");
	assert_int_equal(pepper_by_token(&pepper, "x", key), -ERR_PEPPER_PIN);
	strcpy(pepper.token.pin, "5678"); /* would be right, if it were asked */
	assert_int_equal(pepper_by_token(&pepper, "x", key), -ERR_PEPPER_PIN);
	assert_int_equal(pepper_code(&pepper), ERR_PEPPER_PIN);
}

static void
test_messages(void **state)
{
	static uint8_t bytes[TOKEN_ANSWER_MAX_BYTES];
	static struct token_answer a = {.signature_len = 3, .cert_len = 5, .is_rsa = 1}, b;
	int code;
	(void)state;
	size_t len = token_answer_put(0, &a, bytes);
	assert_int_equal(token_answer_get(bytes, len, &code, &b), 0);
	assert_memory_equal(&a, &b, sizeof a);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(token_answer_get(bytes, cut, &code, &b), -ERR_PROTOCOL);
	len = token_answer_put(-ERR_TOKEN_PIN, &a, bytes);
	assert_int_equal(token_answer_get(bytes, len, &code, &b), 0);
	assert_int_equal(code, -ERR_TOKEN_PIN);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_p256),
		cmocka_unit_test(test_rsa),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_hang),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_attack_key_leaves_the_token),
		cmocka_unit_test(test_call_is_late),
		cmocka_unit_test(test_attack_hash_without_the_token),
		cmocka_unit_test(test_from_file_to_token),
		cmocka_unit_test(test_attack_pin_used_up),
	};
	if (argc == 2 && strcmp(argv[1], TOKEN_HELPER) == 0)
		return token_helper();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
