/*
 * A native client with a security key in software (tests/unit/authenticator.h): two whole logins,
 * the first registers the key. key_driver ORG TERMINAL-ID DEVICE-KEY REGISTRATION-CODE PASSWORD,
 * then `copy`: the second login uses a copy of the key whose counter stands still. Prints one line
 * for each login: the prompts' kinds, then how it ended.
 */
#include <openssl/crypto.h>
#include <stdio.h>

#include "../unit/authenticator.h"
#include "base/err.h"
#include "client/facts.h"
#include "client/session.h"

static struct loop *loop;
static struct session *session;
static struct authenticator usb = {.flags = 5, .plugged = 1};
static const char *code, *password;
static int tries;

static void
on_prompt(void *user, const engawa_Prompt *prompt, const char *const words[2])
{
	(void)user, (void)words;
	printf("%d ", (int)prompt->kind);
	if (prompt->wrong) /* told once; then it is over */
		printf("wrong=%u ", prompt->wrong);
	if (prompt->wrong && ++tries > 1)
		session_end(session);
	else if (prompt->kind >= engawa_PromptKind_PROMPT_WEBAUTHN &&
		 prompt->kind <= engawa_PromptKind_PROMPT_WEBAUTHN_NEW)
		session_use_key(session, "", authenticator_open, &usb);
	else
		session_reply(session,
			prompt->kind == engawa_PromptKind_PROMPT_PASSWORD ? password : code);
}

static void
on_key_failed(void *user, int failure)
{
	(void)user;
	printf("key=%d ", failure);
	session_end(session);
}

static void
on_started(void *user, const engawa_Start *start)
{
	(void)user, (void)start;
	printf("started ");
}

static void
on_picture(void *user)
{
	(void)user;
	session_end(session);
}

static void
on_ended(void *user, int failure)
{
	(void)user;
	printf("%s\n", err_name(failure));
	fflush(stdout);
	loop_stop(loop);
}

static const struct session_events events = {.prompt = on_prompt,
	.started = on_started,
	.picture = on_picture,
	.ended = on_ended,
	.key_failed = on_key_failed};

static int
log_in(const struct orgfile *org, const char *id, const char *device)
{
	struct session_settings settings = {.org = org};
	if (terminal_id_parse(id, settings.terminal) < 0 ||
		device_key_load(device, &settings.device) < 0)
		return 2;
	facts_collect(1280, 800, &settings.facts);
	tries = 0;
	session = session_new(loop, &settings, &events, NULL);
	if (!session)
		return 2;
	loop_run(loop);
	session_free(session);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct orgfile org;
	struct conf_error error = {""};
	if (argc < 6 || orgfile_load(argv[1], &org, &error) < 0)
		return 2;
	code = argv[4];
	password = argv[5];
	loop = loop_new();
	int r = log_in(&org, argv[2], argv[3]);
	if (argc > 6 && strcmp(argv[6], "copy") == 0)
		usb.counter = 0;
	if (r == 0)
		r = log_in(&org, argv[2], argv[3]);
	authenticator_fini(&usb);
	return r;
}
