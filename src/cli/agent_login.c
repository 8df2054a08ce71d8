/* engawa agent addresses | totp | recovery | emergency: who may come in, as the person or
 * administrator at the office PC sets it.
 */
#include <stdio.h>
#include <string.h>

#include "agent/message.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/agent_local.h"
#include "cli/command.h"
#include "cli/qr.h"

static int
addresses(const struct agent_settings *s, const struct args *args)
{
	char question[256], answer[ANSWER_MAX_BYTES];
	if (args->count == 1 && strcmp(args->words[0], "list") == 0)
		return agent_list(s, MSG_ADDRESSES, NULL);
	if (args->count < 2 || args->count > 3 || agent_words(args, question, sizeof question) < 0)
		return 2;
	int r = agent_ask(s, MSG_ADDRESSES, question, answer);
	return r < 0 ? command_fail(r, args->words[1]) : 0;
}

int
agent_japanese(void)
{
	return command_language() == ERR_LANG_JA;
}

/* Shows the new secret, and puts it in force when a code was typed that was made with it. */
static int
enrol_totp(const struct agent_settings *s)
{
	static const char key[] = "secret=";
	char uri[ANSWER_MAX_BYTES], code[TEXT_SIZE] = "", question[TEXT_SIZE],
				    none[ANSWER_MAX_BYTES];
	int ja = agent_japanese();
	int r = agent_ask(s, MSG_TOTP, "begin", uri);
	if (r == 0)
		r = qr_print(uri, stdout);
	const char *secret = r == 0 ? strstr(uri, key) : NULL;
	if (secret)
		printf(ja ? "認証アプリでこのQRコードを読み取ってください。手で入力する場合: %.*s\n%s\n"
			  : "Scan this with your authenticator app. To type it instead: %.*s\n%s\n",
			(int)strcspn(secret + sizeof key - 1, "&"), secret + sizeof key - 1, uri);
	fflush(stdout);
	mem_wipe(uri, sizeof uri);
	if (r == 0)
		r = agent_read_line(
			ja ? "アプリに表示された6桁" : "The six digits that it shows", code);
	if (r == 0)
		r = str_print(question, sizeof question, "confirm %s", code);
	if (r == 0)
		r = agent_ask(s, MSG_TOTP, question, none);
	if (r < 0)
		return command_fail(r, NULL);
	printf(ja ? "認証アプリを登録しました。\n" : "The authenticator app is enrolled.\n");
	return 0;
}

static int
totp(const struct agent_settings *s, const struct args *args)
{
	char answer[ANSWER_MAX_BYTES];
	if (args->count)
		return 2;
	if (!s->remove)
		return enrol_totp(s);
	int r = agent_ask(s, MSG_TOTP, "remove", answer);
	return r < 0 ? command_fail(r, NULL) : 0;
}

/* Printed once: the office PC keeps nothing that they could be printed from again. */
static int
recovery(const struct agent_settings *s, const struct args *args, const char *what)
{
	char answer[ANSWER_MAX_BYTES] = "";
	if (args->count)
		return 2;
	int r = agent_ask(s, MSG_RECOVERY, s->remove ? "remove" : what, answer);
	if (r < 0)
		return command_fail(r, NULL);
	if (!s->remove) {
		fprintf(stderr,
			agent_japanese()
				? "1つのコードは1回だけ使えます。紙に控え、安全な場所に保管してください。\n"
				: "Each code is good once. Keep them on paper, in a safe place.\n");
		printf("%s%s", answer, strchr(answer, '\n') ? "" : "\n");
	}
	mem_wipe(answer, sizeof answer);
	return 0;
}

int
agent_login(const char *action, const struct agent_settings *s, const struct args *args)
{
	if (strcmp(action, "addresses") == 0)
		return addresses(s, args);
	if (strcmp(action, "totp") == 0)
		return totp(s, args);
	if (strcmp(action, "recovery") == 0)
		return recovery(s, args, "make");
	if (strcmp(action, "emergency") == 0)
		return recovery(s, args, "emergency");
	return -1;
}
