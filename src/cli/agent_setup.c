/* engawa agent setup: user mode, an agent of one's own that starts with the desktop. Nothing of it
 * needs root. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/places.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/str.h"
#include "cli/agent_local.h"
#include "cli/command.h"

/* $XDG_CONFIG_HOME/autostart/engawa-agent.desktop */
static int
entry_path(char out[static PATH_MAX])
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char directory[PATH_MAX];
	int r = config && config[0] == '/'
			? str_print(directory, sizeof directory, "%s/autostart", config)
		: home && home[0] == '/'
			? str_print(directory, sizeof directory, "%s/.config/autostart", home)
			: -ENOENT;
	if (r == 0)
		r = places_make(directory);
	return r < 0 ? r : str_print(out, PATH_MAX, "%s/engawa-agent.desktop", directory);
}

/* In the entry's Exec, within double quotes. */
static int
is_plain(const char *path)
{
	for (const char *p = path; *p; p++)
		if (strchr("\"`$\\%\n\r", *p))
			return 0;
	return 1;
}

static int
write_entry(const char *path, const char *agent)
{
	char text[PATH_MAX + 512];
	int r = is_plain(agent) ? 0 : -EINVAL;
	if (r == 0)
		r = str_print(text, sizeof text,
			"[Desktop Entry]\n"
			"Type=Application\n"
			"Name=Engawa telework agent\n"
			"Name[ja]=Engawa テレワーク\n"
			"Comment=Lets you work at this desktop from home\n"
			"Comment[ja]=自宅などからこのデスクトップで仕事ができるようにします\n"
			"Exec=\"%s\" run\n"
			"NoDisplay=true\n"
			"X-GNOME-Autostart-enabled=true\n",
			agent);
	return r < 0 ? r : conf_write_file(path, text, strlen(text), 0600);
}

static int
tell_next(const char *agent)
{
	printf(agent_japanese()
			? "次のログインから、Engawa が自動で始まります。今回だけ次の順に行ってください。\n"
			  "  1. engawa agent enrol --org 団体ファイル --code 登録コード\n"
			  "  2. %s run &\n"
			  "  3. engawa agent password\n"
			  "  4. engawa agent mail メールアドレス\n"
			  "接続できるのは、この庁内PCにログインしていて、画面がロックされていない間です。\n"
			: "Engawa starts with your next login. Once, in this order:\n"
			  "  1. engawa agent enrol --org FILE --code CODE\n"
			  "  2. %s run &\n"
			  "  3. engawa agent password\n"
			  "  4. engawa agent mail ADDRESS\n"
			  "You can come in while you are logged in at this office PC and its screen is not locked.\n",
		agent);
	return 0;
}

int
agent_setup(const struct agent_settings *s, const struct args *args)
{
	char path[PATH_MAX], agent[PATH_MAX];
	if (args->count)
		return 2;
	if (geteuid() == 0)
		return command_fail(-ERR_DENIED,
			agent_japanese() ? "setup は root ではなく利用者本人が実行します"
					 : "setup is for the person, not for root");
	int r = entry_path(path);
	if (r == 0 && s->remove)
		return unlink(path) < 0 && errno != ENOENT ? command_fail(-errno, path) : 0;
	if (r == 0 && places_administrator())
		r = -ERR_ADMIN_AGENT;
	if (r == 0)
		r = agent_program(agent);
	if (r == 0)
		r = write_entry(path, agent);
	return r < 0 ? command_fail(r, path) : tell_next(agent);
}
