/* engawa agent addresses: who may come in, as the person or administrator at the office PC sets it.
 */
#include <stdio.h>
#include <string.h>

#include "agent/message.h"
#include "base/err.h"
#include "base/str.h"
#include "cli/agent_local.h"
#include "cli/command.h"

/* In pages: the list may be longer than an answer. */
static int
list_addresses(const struct agent_settings *s)
{
	char question[32], answer[ANSWER_MAX_BYTES];
	for (unsigned long next = 1;;) {
		snprintf(question, sizeof question, "list %lu", next);
		int r = agent_ask(s, MSG_ADDRESSES, question, answer);
		/* beyond the largest number that an entry can have */
		if (r == -ERR_NOT_FOUND || (r == 0 && !answer[0]))
			return 0;
		if (r < 0)
			return command_fail(r, NULL);
		printf("%s", answer);
		for (const char *p = answer; (p = strchr(p, '\n')); p++)
			next++;
	}
}

static int
addresses(const struct agent_settings *s, const struct args *args)
{
	char question[256] = "", answer[ANSWER_MAX_BYTES];
	if (args->count == 1 && strcmp(args->words[0], "list") == 0)
		return list_addresses(s);
	if (args->count < 2 || args->count > 3)
		return 2;
	for (int i = 0; i < args->count; i++) {
		size_t len = strlen(question);
		if (str_print(question + len, sizeof question - len, "%s%s", i ? " " : "",
			    args->words[i]) < 0)
			return 2;
	}
	int r = agent_ask(s, MSG_ADDRESSES, question, answer);
	return r < 0 ? command_fail(r, args->words[1]) : 0;
}

int
agent_login(const char *action, const struct agent_settings *s, const struct args *args)
{
	if (strcmp(action, "addresses") == 0)
		return addresses(s, args);
	return -1;
}
