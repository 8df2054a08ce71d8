/* engawa agent user: the persons who share this office PC. */
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/message.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/agent_local.h"
#include "cli/command.h"
#include "crypto/cert.h"

enum {
	QUESTION_SIZE = TEXT_SIZE + 512,
	PIN_SIZE = sizeof "pin:" + 64
};

/* The agent keeps no certificate, only which one it is. */
static int
pin(const char *path, char ret_method[static PIN_SIZE])
{
	uint8_t hash[32];
	unsigned len = sizeof hash;
	struct x509_st *certificate = cert_load(path);
	int ok = certificate && X509_digest(certificate, EVP_sha256(), hash, &len) == 1;
	cert_free(certificate);
	if (!ok)
		return -ERR_CERTIFICATE_KEY;
	memcpy(ret_method, "pin:", 4);
	str_hex(ret_method + 4, hash, sizeof hash);
	return 0;
}

/* A name has no spaces: what follows it must not be taken for a part of it. */
static int
make_question(
	const struct agent_settings *s, const char *what, const char *name, char *out, size_t size)
{
	char text[TEXT_SIZE] = "", pinned[PIN_SIZE];
	const char *method = s->method ? s->method : "password";
	const char *expires = s->expires ? s->expires : "-";
	int is_add = strcmp(what, "add") == 0, r = 0;
	int secret = is_add ? strcmp(method, "password") == 0 : strcmp(what, "password") == 0;
	if (strchr(name, ' ') || strchr(method, ' ') || strchr(expires, ' '))
		return -ERR_PERSON_NAME;
	if (s->certificate && (!is_add || strcmp(method, "certificate") != 0))
		return -ERR_SETTING;
	if (s->certificate)
		r = pin(s->certificate, pinned);
	if (s->certificate)
		method = pinned;
	if (r == 0 && secret)
		r = agent_read_new("新しいパスワード / New password", text);
	if (r == 0 && is_add)
		r = str_print(out, size, "add %s %s %s%s%s", method, expires, name,
			secret ? " " : "", text);
	else if (r == 0 && strcmp(what, "expire") == 0)
		r = str_print(out, size, "expire %s %s", name, expires);
	else if (r == 0)
		r = str_print(out, size, "%s %s%s%s", what, name, secret ? " " : "", text);
	mem_wipe(text, sizeof text);
	return r;
}

int
agent_user(const struct agent_settings *s, const struct args *args)
{
	static const char *const whats[] = {
		"add", "remove", "expire", "disable", "enable", "password"};
	char question[QUESTION_SIZE], answer[ANSWER_MAX_BYTES], present[TEXT_SIZE] = "";
	size_t known = 0;
	if (args->count == 1 && strcmp(args->words[0], "list") == 0)
		return agent_list(s, MSG_USERS, NULL);
	while (args->count == 2 && known < sizeof whats / sizeof whats[0] &&
		strcmp(whats[known], args->words[0]) != 0)
		known++;
	if (args->count != 2 || known == sizeof whats / sizeof whats[0])
		return 2;
	const char *what = args->words[0], *name = args->words[1];
	int r = strcmp(what, "password") == 0 ? agent_present(s, name, present) : 0;
	if (r == 0)
		r = make_question(s, what, name, question, sizeof question);
	if (r == 0)
		r = agent_ask_proved(s, name, present, MSG_USERS, question, answer);
	mem_wipe(question, sizeof question);
	mem_wipe(present, sizeof present);
	return r < 0 ? command_fail(r, name) : 0;
}
