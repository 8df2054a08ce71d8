/* The outside of a login and its clocks, for tests of the login's table: policy, settings and
 * counters of an office PC, and what the login has asked for last. */
#pragma once
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/login.h"
#include "base/err.h"
#include "inner.pb.h"
#include "signed.pb.h"

enum {
	CODE = engawa_PromptKind_PROMPT_MAIL_CODE,
	PASSWORD = engawa_PromptKind_PROMPT_PASSWORD
};
enum {
	APP = engawa_ClientKind_CLIENT_APP,
	HTML5 = engawa_ClientKind_CLIENT_HTML5
};

/* Files of the office PC. */
enum {
	DEVICES,
	FACTORS,
	PASSKEYS,
	PERSONS,
	REGISTRY,
	FILES
};

/* The outside of a login, and its clocks. */
static struct world {
	struct policy policy;
	struct settings settings;
	struct users users;
	struct devices *devices, *persons;
	struct factors *factors;
	struct passkeys *passkeys;
	struct registry *registry;
	struct pairing pairing;
	struct iplist addresses;
	struct maclist macs;
	int self, mail_fails;
	char dir[64], path[FILES][96];
	uint64_t mono_ms, wall_s;
	struct prompt prompt;
	unsigned prompts, checks, lists, confirmed;
	enum mac_list asked_list;
	unsigned mails, told; /* with a code, without */
	int last_kind;        /* of a mail, and to whom */
	char to[SETTINGS_MAIL_SIZE], code[LOGIN_CODE_DIGITS + 1], words[2][32];
	char verifier[SETTINGS_HASH_SIZE], checked[512];
	uint32_t notice;
	struct reply reply; /* the next one */
	struct login login;
} w;

static inline void
on_prompt(void *user, const struct prompt *prompt)
{
	(void)user;
	w.prompt = *prompt;
	w.prompts++;
}

static inline int
on_mail(void *user, const struct login_mail *mail)
{
	(void)user;
	if (w.mail_fails)
		return -ERR_NO_GATE;
	w.last_kind = mail->kind;
	snprintf(w.to, sizeof w.to, "%s", mail->address);
	if (mail->kind != engawa_MailKind_MAIL_LOGIN &&
		mail->kind != engawa_MailKind_MAIL_NEW_ADDRESS) {
		assert_string_equal(mail->code, "");
		w.told++;
		return 0;
	}
	assert_string_equal(mail->address,
		mail->kind == engawa_MailKind_MAIL_LOGIN ? w.settings.mail : w.settings.mail_next);
	assert_int_equal(strlen(mail->code), LOGIN_CODE_DIGITS);
	strcpy(w.code, mail->code);
	for (int i = 0; i < 2; i++)
		snprintf(w.words[i], sizeof w.words[i], "%s", mail->words[i]);
	w.mails++;
	return 0;
}

static inline void
on_check(void *user, const char *verifier, const char *text)
{
	(void)user;
	if (!w.users.count)
		assert_string_equal(verifier, w.settings.password);
	snprintf(w.verifier, sizeof w.verifier, "%s", verifier);
	snprintf(w.checked, sizeof w.checked, "%s", text);
	w.checks++;
}

static inline struct mono
on_now(void *user)
{
	(void)user;
	return (struct mono){w.mono_ms * 1000000};
}

static inline uint64_t
on_wall(void *user)
{
	(void)user;
	return w.wall_s;
}

static inline int
on_self(void *user, const struct facts *facts)
{
	(void)user, (void)facts;
	return w.self;
}

static inline void
on_maclist(void *user, enum mac_list which)
{
	(void)user;
	w.asked_list = which;
	w.lists++;
}

static inline int
on_confirmed(void *user)
{
	(void)user;
	memcpy(w.settings.mail, w.settings.mail_next, sizeof w.settings.mail);
	w.settings.mail_next[0] = '\0';
	w.confirmed++;
	return 0;
}

static inline int
on_mail_arrived(void *user)
{
	(void)user;
	w.settings.mail_back_s = 0;
	return 0;
}

static inline void
on_notice(void *user, uint32_t code)
{
	(void)user;
	w.notice = code;
}

static const struct login_env env = {.maclist = on_maclist,
	.prompt = on_prompt,
	.mail = on_mail,
	.check = on_check,
	.is_self = on_self,
	.now = on_now,
	.wall_s = on_wall,
	.address_confirmed = on_confirmed,
	.mail_arrived = on_mail_arrived,
	.notice = on_notice};
static const uint8_t stranger[32] = {1}, handshake[32] = {7, 9};

static inline int
setup(void **state)
{
	static const char *const names[FILES] = {
		"devices", "factors", "passkeys", "persons", "registry"};
	(void)state;
	memset(&w, 0, sizeof w);
	policy_init(&w.policy);
	w.policy.disable_inspection = w.policy.disable_maccheck = w.policy.disable_devicecheck =
		w.policy.disable_limited_firewall = 1;
	w.policy.deny_clients_html5 = 0;
	w.policy.otp_mail_strangers = 30;
	strcpy(w.settings.mail, "tanaka@city.example.lg.jp");
	strcpy(w.settings.password, "$argon2id$");
	strcpy(w.dir, "/tmp/engawa-test-login.XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	for (size_t i = 0; i < FILES; i++)
		snprintf(w.path[i], sizeof w.path[i], "%s/%s", w.dir, names[i]);
	assert_int_equal(devices_open(w.path[DEVICES], &w.devices, NULL), 0);
	assert_int_equal(factors_open(w.path[FACTORS], &w.factors, NULL), 0);
	assert_int_equal(passkeys_open(w.path[PASSKEYS], &w.passkeys, NULL), 0);
	assert_int_equal(devices_open(w.path[PERSONS], &w.persons, NULL), 0);
	assert_int_equal(registry_open(w.path[REGISTRY], &w.registry, NULL), 0);
	w.mono_ms = 1000000;
	w.wall_s = 1800000000;
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	login_fini(&w.login);
	policy_fini(&w.policy);
	devices_free(w.devices);
	factors_free(w.factors);
	passkeys_free(w.passkeys);
	devices_free(w.persons);
	registry_free(w.registry);
	iplist_fini(&w.addresses);
	maclist_fini(&w.macs);
	for (size_t i = 0; i < FILES; i++)
		unlink(w.path[i]);
	rmdir(w.dir);
	return 0;
}

/* A value of the policy that is on the heap. */
static inline void
set(char **field, const char *value)
{
	free(*field);
	*field = strdup(value);
}

static inline void
begin_under(const struct policy *policy, int code, const uint8_t *device, const char *address,
	const uint8_t *hash)
{
	const struct login_office office = {.policy = policy,
		.policy_code = code,
		.settings = &w.settings,
		.addresses = &w.addresses,
		.devices = w.devices,
		.users = &w.users,
		.persons = w.persons,
		.factors = w.factors,
		.passkeys = w.passkeys,
		.registry = w.registry,
		.pairing = &w.pairing,
		.macs = &w.macs};
	login_init(&w.login, &env, &office, address, device, hash);
}

static inline void
begin_with(const uint8_t *device, const uint8_t *hash)
{
	begin_under(&w.policy, 0, device, "192.0.2.1", hash);
}

static inline void
begin_at(const uint8_t *device, const char *address)
{
	begin_under(&w.policy, 0, device, address, handshake);
}

static inline void
begin(const uint8_t *device)
{
	begin_with(device, handshake);
}

static inline struct facts
plain_facts(unsigned kind)
{
	struct facts f = {.kind = (uint8_t)kind,
		.build = 1,
		.window_mib = 8,
		.mac_count = 1,
		.macs = {{0, 1, 2, 3, 4, 5}}};
	strcpy(f.computer_name, "home");
	return f;
}

static inline int
facts(unsigned kind)
{
	struct facts f = plain_facts(kind);
	return login_facts(&w.login, &f);
}

static inline int
reply(unsigned kind, const char *text)
{
	w.reply = (struct reply){.kind = (uint8_t)kind};
	snprintf(w.reply.text, sizeof w.reply.text, "%s", text);
	return login_reply(&w.login, &w.reply);
}

static inline void
to_code(const uint8_t *device)
{
	begin(device);
	assert_int_equal(facts(HTML5), LOGIN_WAITS);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, CODE);
}

static inline void
to_password(const uint8_t *device)
{
	to_code(device);
	assert_int_equal(reply(CODE, w.code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

static inline const char *
wrong_code(void)
{
	return strcmp(w.code, "00000000") == 0 ? "11111111" : "00000000";
}
