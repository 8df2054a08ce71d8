#include "agent/places.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

static const char *
absolute(const char *variable)
{
	const char *path = getenv(variable);
	return path && path[0] == '/' ? path : NULL;
}

static const char *
home(void)
{
	const char *path = absolute("HOME");
	const struct passwd *pw = path ? NULL : getpwuid(geteuid());
	return path ? path : pw ? pw->pw_dir : NULL;
}

int
places_state(char *out, size_t size)
{
	const char *state = absolute("XDG_STATE_HOME"), *at = home();
	if (state)
		return str_print(out, size, "%s/engawa-agent", state);
	return at ? str_print(out, size, "%s/.local/state/engawa-agent", at) : -ENOENT;
}

int
places_run(char *out, size_t size)
{
	const char *run = absolute("XDG_RUNTIME_DIR");
	return run ? str_print(out, size, "%s/engawa-agent", run) : -ENOENT;
}

int
places_make(const char *directory)
{
	char path[PATH_MAX];
	int r = str_copy(path, sizeof path, directory);
	for (char *p = path; r == 0 && (p = strchr(p + 1, '/'));) {
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
			r = -errno;
		*p = '/';
	}
	if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
		r = -errno;
	return r;
}

int
places_administrator(void)
{
	/* only root can have put them there */
	static const char *const traces[] = {"/var/lib/engawa-agent", "/run/engawa-agent",
		"/etc/engawa/agent.conf",
		"/etc/systemd/system/multi-user.target.wants/engawa-agent.service"};
	struct stat st;
	for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++)
		if (lstat(traces[i], &st) == 0)
			return 1;
	return 0;
}
