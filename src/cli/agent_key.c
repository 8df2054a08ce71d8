/* engawa agent key: the security keys of this office PC. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/message.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/agent_local.h"
#include "cli/command.h"

static void
print_day(long long at_s)
{
	time_t at = (time_t)at_s;
	struct tm day;
	char text[16] = "-";
	if (at && localtime_r(&at, &day))
		strftime(text, sizeof text, "%Y-%m-%d", &day);
	printf("%-12s", text);
}

/* "N made used person label" as people read it. */
static void
print_line(const char *line, int len)
{
	unsigned long n;
	long long made, used;
	int at = 0;
	if (sscanf(line, "%lu %lld %lld %n", &n, &made, &used, &at) < 3)
		return;
	printf("%-4lu", n);
	print_day(made);
	print_day(used);
	printf("%.*s\n", len - at, line + at);
}

/* In pages: the list may be longer than an answer. */
static int
list(const struct agent_settings *s)
{
	char question[32], answer[ANSWER_MAX_BYTES];
	int ja = agent_japanese();
	for (unsigned long next = 1;;) {
		snprintf(question, sizeof question, "list %lu", next);
		int r = agent_ask(s, MSG_KEY, question, answer);
		if (r == -ERR_NOT_FOUND || (r == 0 && !answer[0]))
			return 0;
		if (r < 0)
			return command_fail(r, NULL);
		if (next == 1)
			printf(ja ? "番号 登録日    最終使用    利用者 名前\n"
				  : "N   REGISTERED  LAST USE    PERSON LABEL\n");
		for (const char *p = answer, *end; (end = strchr(p, '\n')); p = end + 1, next++)
			print_line(p, (int)(end - p));
	}
}

static int
add(const struct agent_settings *s, const char *label)
{
	char question[TEXT_SIZE], code[ANSWER_MAX_BYTES] = "";
	if (s->person && strchr(s->person, ' '))
		return command_fail(ERR_PERSON_NAME, s->person);
	int r = str_print(
		question, sizeof question, "add %s %s", s->person ? s->person : "-", label);
	if (r == 0)
		r = agent_ask(s, MSG_KEY, question, code);
	if (r < 0)
		return command_fail(r, label);
	fprintf(stderr,
		agent_japanese()
			? "この登録コードを控え、7日以内に、接続するときの確認コードの欄に入力してください。\n"
			  "続いてセキュリティキーを登録する画面になります。1つのコードで登録できるキーは1つです。\n"
			: "Note this registration code. Within 7 days, connect and type it where a code is asked for:\n"
			  "the security key is registered then. One code registers one key.\n");
	printf("%s\n", code);
	mem_wipe(code, sizeof code);
	return 0;
}

int
agent_key(const struct agent_settings *s, const struct args *args)
{
	char question[TEXT_SIZE], answer[ANSWER_MAX_BYTES];
	const char *what = args->count ? args->words[0] : "";
	if (args->count == 1 && strcmp(what, "list") == 0)
		return list(s);
	if (args->count == 2 && strcmp(what, "add") == 0)
		return add(s, args->words[1]);
	int is_remove = args->count == 2 && strcmp(what, "remove") == 0;
	if (!is_remove && (args->count != 1 || strcmp(what, "cancel") != 0))
		return 2;
	int r = str_print(question, sizeof question, "%s%s%s", what, is_remove ? " " : "",
		is_remove ? args->words[1] : "");
	if (r == 0)
		r = agent_ask(s, MSG_KEY, question, answer);
	return r < 0 ? command_fail(r, is_remove ? args->words[1] : NULL) : 0;
}
