/* engawa agent pair | device | mac: which computers may come to this office PC. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/message.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/agent_local.h"
#include "cli/command.h"

static int
order(const struct agent_settings *s, const char *text, const char *about)
{
	char answer[ANSWER_MAX_BYTES];
	int r = agent_ask(s, MSG_DEVICES, text, answer);
	return r < 0 ? command_fail(r, about) : 0;
}

static int
pair(const struct agent_settings *s)
{
	char answer[ANSWER_MAX_BYTES] = "";
	if (s->remove)
		return order(s, "pair end", NULL);
	int r = agent_ask(s, MSG_DEVICES, "pair", answer);
	if (r < 0)
		return command_fail(r, NULL);
	char *seconds = strchr(answer, ' ');
	long minutes = seconds ? strtol(seconds, NULL, 10) / 60 : 0;
	answer[strcspn(answer, " ")] = '\0';
	printf("%s\n", answer);
	fprintf(stderr,
		agent_japanese()
			? "登録する端末で接続し、このペアリングコードを入力してください。%ld分間、1回だけ使えます。\nほかの人に教えないでください。\n"
			: "Connect with the computer to be registered and type this pairing code there. It is good once, for %ld minutes.\nTell it to nobody else.\n",
		minutes);
	mem_wipe(answer, sizeof answer);
	return 0;
}

/* One line of tabs as the agent tells it: for people with the time in words, fields apart. */
static void
print_device(char *line)
{
	char *fields[8] = {line}, since[32] = "";
	size_t n = 1;
	for (char *p = line; *p && n < 8; p++)
		if (*p == '\t') {
			*p = '\0';
			fields[n++] = p + 1;
		}
	if (n != 8)
		return;
	time_t t = (time_t)strtoll(fields[2], NULL, 10);
	struct tm tm;
	if (localtime_r(&t, &tm))
		strftime(since, sizeof since, "%Y-%m-%d %H:%M", &tm);
	printf("%s  %-10s  %s  %s\n", fields[1], fields[0], since, *fields[3] ? fields[3] : "-");
	printf("    %s · %s · %s · %s\n", *fields[4] ? fields[4] : "-",
		*fields[5] ? fields[5] : "-", *fields[6] ? fields[6] : "-",
		*fields[7] ? fields[7] : "-");
}

/* "add" and "remove" take one address, "add" a comment too. */
static int
mac(const struct agent_settings *s, const struct args *args)
{
	char question[256], answer[ANSWER_MAX_BYTES];
	if (args->count == 1 && strcmp(args->words[0], "list") == 0)
		return agent_list(s, MSG_MACS, NULL);
	if (args->count < 2 || args->count > 3 || agent_words(args, question, sizeof question) < 0)
		return 2;
	int r = agent_ask(s, MSG_MACS, question, answer);
	return r < 0 ? command_fail(r, args->words[1]) : 0;
}

int
agent_device(const char *action, const struct agent_settings *s, const struct args *args)
{
	char question[256];
	if (strcmp(action, "pair") == 0)
		return args->count ? 2 : pair(s);
	if (strcmp(action, "mac") == 0)
		return mac(s, args);
	if (strcmp(action, "device") != 0)
		return -1;
	if (args->count == 1 && strcmp(args->words[0], "list") == 0)
		return agent_list(s, MSG_DEVICES, print_device);
	if (args->count < 2 || args->count > 3 || agent_words(args, question, sizeof question) < 0)
		return 2;
	return order(s, question, args->words[1]);
}
