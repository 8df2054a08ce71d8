/* engawa agent mail: where codes go. A registered address changes with the password, and when the
 * next login confirms it. */
#include <stdio.h>

#include "agent/message.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/agent_local.h"
#include "cli/command.h"

enum {
	QUESTION_SIZE = 2 * TEXT_SIZE
};

static int
change(const struct agent_settings *s, const char *address)
{
	char password[TEXT_SIZE] = "", question[QUESTION_SIZE], answer[ANSWER_MAX_BYTES];
	int ja = agent_japanese();
	fprintf(stderr,
		ja ? "登録済みのアドレスを変更するには、接続用のパスワードが必要です。\n"
		   : "The registered address changes only with the password for connecting.\n");
	int r = agent_read_line(ja ? "パスワード" : "Password", password);
	if (r == 0)
		r = str_print(question, sizeof question, "change %s %s", address, password);
	if (r == 0)
		r = agent_ask(s, MSG_MAIL, question, answer);
	mem_wipe(password, sizeof password);
	mem_wipe(question, sizeof question);
	if (r < 0)
		return command_fail(r, address);
	printf(ja ? "7日以内に自宅などから接続してください。新しいアドレスに届く確認コードを入力すると、変更が完了します。\n"
		    "それまでは今のアドレスが使われます。取り消すには: engawa agent mail --cancel\n"
		  : "Connect from home within 7 days and type the code that the new address gets: then it is changed.\n"
		    "Until then the present address stays. To call it off: engawa agent mail --cancel\n");
	return 0;
}

static int
put(const struct agent_settings *s, const char *what, const char *address)
{
	char question[QUESTION_SIZE], answer[ANSWER_MAX_BYTES];
	int r = str_print(question, sizeof question, "%s%s%s", what, address ? " " : "",
		address ? address : "");
	return r < 0 ? r : agent_ask(s, MSG_MAIL, question, answer);
}

int
agent_mail(const struct agent_settings *s, const struct args *args)
{
	int without = s->remove || s->cancel;
	if (args->count != !without || s->remove + s->cancel + s->reset > 1)
		return 2;
	const char *address = without ? NULL : args->words[0];
	int r = put(s,
		s->remove   ? "remove"
		: s->cancel ? "cancel"
		: s->reset  ? "reset"
			    : "set",
		address);
	if (r == -ERR_MAIL_PROTECTED && address)
		return change(s, address);
	if (r < 0)
		return command_fail(r, address);
	if (address)
		fprintf(stderr,
			agent_japanese()
				? "メールの確認コードは旧方式です。認証アプリ (engawa agent totp) やセキュリティキー (engawa agent key add) のほうが安全です。\n"
				: "Codes by mail are the old way. An authenticator app (engawa agent totp) or a security key (engawa agent key add) is safer.\n");
	return 0;
}
