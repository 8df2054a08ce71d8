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

enum {
	CODE = engawa_PromptKind_PROMPT_MAIL_CODE,
	PASSWORD = engawa_PromptKind_PROMPT_PASSWORD
};
enum {
	APP = engawa_ClientKind_CLIENT_APP,
	HTML5 = engawa_ClientKind_CLIENT_HTML5
};

/* The outside of a login, and its clocks. */
static struct world {
	struct policy policy;
	struct settings settings;
	struct users users;
	struct devices *devices;
	struct factors *factors;
	struct registry registry;
	struct pairing pairing;
	struct iplist addresses;
	int self;
	char path[64], factors_path[80];
	uint64_t mono_ms, wall_s;
	struct prompt prompt;
	unsigned prompts, mails, checks;
	enum mac_list asked_list;
	char code[LOGIN_CODE_DIGITS + 1], words[2][32];
	char checked[512];
	uint32_t notice;
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
	assert_string_equal(mail->address, w.settings.mail);
	assert_int_equal(strlen(mail->code), LOGIN_CODE_DIGITS);
	strcpy(w.code, mail->code);
	for (int i = 0; i < 2; i++)
		snprintf(w.words[i], sizeof w.words[i], "%s", mail->words[i]);
	w.mails++;
	return 0;
}

static inline void
on_check(void *user, const char *hash, const char *text)
{
	(void)user;
	assert_string_equal(hash, w.settings.password);
	snprintf(w.checked, sizeof w.checked, "%s", text);
	w.checks++;
}

static struct mono
on_now(void *user)
{
	(void)user;
	return (struct mono){w.mono_ms * 1000000};
}

static uint64_t
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
	.mail_arrived = on_mail_arrived,
	.notice = on_notice};
static const uint8_t stranger[32] = {1};

static inline int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	policy_init(&w.policy);
	w.policy.disable_inspection = w.policy.disable_maccheck = w.policy.disable_devicecheck =
		w.policy.disable_limited_firewall = 1;
	w.policy.deny_clients_html5 = 0;
	strcpy(w.settings.mail, "tanaka@city.example.lg.jp");
	strcpy(w.settings.password, "$argon2id$");
	strcpy(w.path, "/tmp/engawa-test-login.XXXXXX");
	close(mkstemp(w.path));
	unlink(w.path);
	assert_int_equal(devices_open(w.path, &w.devices, NULL), 0);
	snprintf(w.factors_path, sizeof w.factors_path, "%s-factors", w.path);
	assert_int_equal(factors_open(w.factors_path, &w.factors, NULL), 0);
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
	unlink(w.factors_path);
	iplist_fini(&w.addresses);
	unlink(w.path);
	return 0;
}

static inline void
begin_with(const uint8_t *device, const uint8_t *hash)
{
	const struct login_office office = {&w.policy, 0, &w.settings, &w.addresses, w.devices,
		.factors = w.factors, .registry = &w.registry, .pairing = &w.pairing,
		.users = &w.users};
	login_init(&w.login, &env, &office, "192.0.2.1", device, hash);
}

static inline void
begin(const uint8_t *device)
{
	static const uint8_t hash[32] = {7, 9};
	begin_with(device, hash);
}

static inline int
facts(unsigned kind)
{
	struct facts f = {.kind = (uint8_t)kind,
		.build = 1,
		.window_mib = 8,
		.mac_count = 1,
		.macs = {{0, 1, 2, 3, 4, 5}}};
	strcpy(f.computer_name, "home");
	return login_facts(&w.login, &f);
}

static inline int
reply(unsigned kind, const char *text)
{
	struct reply r = {.kind = (uint8_t)kind};
	snprintf(r.text, sizeof r.text, "%s", text);
	return login_reply(&w.login, &r);
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
