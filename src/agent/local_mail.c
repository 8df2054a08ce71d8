#include "agent/local_mail.h"

#include <errno.h>
#include <string.h>

#include "agent/local.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	WORD_SIZE = 16
};

static int
set_now(struct agent *agent, const char *address, const char *change)
{
	struct settings settings = agent->settings;
	int r = str_copy(settings.mail, sizeof settings.mail, address);
	settings.mail_next[0] = '\0';
	settings.mail_next_until_s = settings.mail_back_s = 0;
	if (r == 0)
		r = local_save(agent, &settings);
	LOG(INFO, "settings.mail", F_STR("change", change), F_ERR("code", r));
	mem_wipe(&settings, sizeof settings);
	return r;
}

static int
set_next(struct agent *agent, const char *address)
{
	struct settings settings = agent->settings;
	int r = str_copy(settings.mail_next, sizeof settings.mail_next, address);
	settings.mail_next_until_s = address[0] ? wall_s() + SETTINGS_MAIL_NEXT_S : 0;
	if (r == 0)
		r = local_save(agent, &settings);
	LOG(INFO, "settings.mail", F_STR("change", address[0] ? "asked" : "cancelled"),
		F_ERR("code", r));
	mem_wipe(&settings, sizeof settings);
	return r;
}

/* Where several persons share the office PC no password of one of them speaks for the others. */
static int
may_change(const struct agent *agent)
{
	return agent->users->count > 0 || !agent->settings.password[0] ? -ERR_DENIED : 1;
}

int
local_mail(struct agent *agent, int root, const char *text,
	char ret_address[static SETTINGS_MAIL_SIZE], const char **ret_password)
{
	char what[WORD_SIZE] = "";
	const char *address = strchr(text, ' ');
	size_t len = strcspn(text, " ");
	if (len < sizeof what)
		memcpy(what, text, len);
	if (!address && strcmp(what, "cancel") == 0)
		return set_next(agent, "");
	if (!address && strcmp(what, "remove") == 0)
		return root || !agent->settings.mail[0] ? set_now(agent, "", "removed")
							: -ERR_MAIL_PROTECTED;
	if (!address)
		return -ERR_SETTING;
	const char *rest = strchr(++address, ' ');
	len = strcspn(address, " ");
	if (len >= SETTINGS_MAIL_SIZE)
		return -ERR_MAIL_ADDRESS;
	memcpy(ret_address, address, len);
	ret_address[len] = '\0';
	if (!settings_mail_fit(ret_address))
		return -ERR_MAIL_ADDRESS;
	if (strcmp(what, "change") == 0 && rest && agent->settings.mail[0]) {
		*ret_password = rest + 1;
		return may_change(agent);
	}
	if (rest || (strcmp(what, "set") != 0 && strcmp(what, "reset") != 0))
		return -ERR_SETTING;
	if (what[0] == 's' ? agent->settings.mail[0] != '\0' : !root)
		return what[0] == 's' ? -ERR_MAIL_PROTECTED : -ERR_DENIED;
	return set_now(agent, ret_address, what);
}

int
local_mail_asked(struct agent *agent, const char *address)
{
	return set_next(agent, address);
}
