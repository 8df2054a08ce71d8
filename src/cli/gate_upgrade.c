/* The gate says in a file which process it is and how far it has come (src/gate/notice.h). */
#include "cli/gate_upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/command.h"

enum {
	WAIT_MS = 300000, /* an upgrade before it may still be finishing */
	LOOK_MS = 50,
	PATH_BYTES = 1024
};

struct options {
	char *run_directory, *name;
};

#define AT(field) offsetof(struct options, field)
static const struct conf_option options[] = {
	{"RUN_DIRECTORY", CONF_STR, AT(run_directory), "/run/engawa", 0, 0,
		"RUN_DIRECTORY of the gate's settings"},
	{"NAME", CONF_STR, AT(name), NULL, 0, 0, "NAME of the gate's settings"},
	CONF_OPTIONS_END,
};

struct state {
	int pid;
	unsigned upgrade;
	char step[32];
};

static const struct {
	const char *word, *ja, *en;
} steps[] = {
	{"started", "新しい版を起動しました。", "The new version has been started."},
	{"filling", "設定を読み込みました。", "It has read its settings."},
	{"agents", "待機中の庁内PCを引き継いでいます。", "Waiting office PCs are crossing."},
	{"sessions", "利用中の接続を引き継いでいます。", "Sessions are crossing."},
	{"late", "引き継ぎました。", "Everything has crossed."},
};

/* Only a file that root or we ourselves have written, so that nobody else chooses who gets the
 * signal. 0 or negative. */
static int
read_state(const char *path, struct state *ret)
{
	char text[256];
	struct stat st;
	struct state s = {0};
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	int good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		   (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & 022);
	ssize_t n = good ? read(fd, text, sizeof text - 1) : -1;
	close(fd);
	if (n < 0)
		return -EACCES;
	text[n] = '\0';
	if (sscanf(text, "pid %d upgrade %u step %31s", &s.pid, &s.upgrade, s.step) != 3 ||
		s.pid < 2)
		return -ERR_PROTOCOL;
	*ret = s;
	return 0;
}

/* The process is a gate: a file may be older than what has its number now. */
static int
is_gate(int pid)
{
	char path[64], name[32] = "";
	if (str_print(path, sizeof path, "/proc/%d/comm", pid) < 0)
		return 0;
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	int got = fscanf(file, "%31s", name);
	fclose(file);
	return got == 1 && strcmp(name, "engawa-gate") == 0;
}

static void
say(const char *word)
{
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		if (strcmp(steps[i].word, word) == 0)
			puts(command_language() == ERR_LANG_JA ? steps[i].ja
										   : steps[i].en);
	fflush(stdout);
}

/* Until another process is the gate. Exit status. */
static int
follow(const char *path, struct state was)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	struct mono end = mono_add_ms(mono_now(), WAIT_MS);
	struct state now = was;
	char shown[sizeof now.step] = "";
	while (mono_before(mono_now(), end)) {
		nanosleep(&pause, NULL);
		if (read_state(path, &now) < 0)
			continue;
		if (now.pid != was.pid && strcmp(now.step, "up") == 0) {
			say("late");
			printf("pid %d\n", now.pid);
			return 0;
		}
		if (now.pid == was.pid && !is_gate(was.pid))
			return command_fail(ERR_UPGRADE, NULL);
		if (now.upgrade == was.upgrade || strcmp(shown, now.step) == 0)
			continue;
		memcpy(shown, now.step, sizeof shown);
		if (strcmp(shown, "given-up") == 0)
			return command_fail(ERR_UPGRADE, NULL);
		say(shown);
	}
	return command_fail(ERR_TIMEOUT, NULL);
}

static int
upgrade(const struct options *o)
{
	char path[PATH_BYTES];
	struct state was;
	if (str_print(path, sizeof path, "%s/gate-%s.state", o->run_directory, o->name) < 0)
		return command_fail(ERR_SETTING, "--run-directory");
	int r = read_state(path, &was);
	if (r < 0)
		return command_fail(command_error(r), path);
	if (!is_gate(was.pid))
		return command_fail(ERR_NOT_FOUND, path);
	if (kill(was.pid, SIGUSR2) < 0)
		return command_fail(command_error(-errno), path);
	return follow(path, was);
}

int
gate_upgrade(int argc, char **argv)
{
	struct options o = {0};
	struct args args;
	int r = args_take(options, &o, "engawa gate upgrade", argc, argv, &args);
	int status = r < 0 ? 2 : 0;
	if (r == 0)
		status = args.count == 0 && o.name ? upgrade(&o) : 2;
	if (status == 2)
		fprintf(stderr, "engawa gate upgrade --name NAME [--run-directory DIR]\n");
	conf_free(options, &o);
	return status;
}
