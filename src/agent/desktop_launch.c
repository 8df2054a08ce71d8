/*
 * The desktop launcher. For the source x11 it becomes the person, connects to the display, tells
 * the monitor how to authorize, and turns into engawa-desktop with descriptors: 3 the socket to
 * the work process, 4 the display, 5 the input method if there is one; or into engawa-guard: 3
 * still the monitor, 4 the journal, 5 the display. All that the person controls (the authority
 * file, the sockets) is touched with the person's rights. For the source rdp it becomes the agent's
 * user, who has none, and turns into engawa-desktop-rdp with descriptor 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/ibus_address.h"
#include "agent/message.h"
#include "agent/role.h"
#include "agent/xauthority.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"
#include "desktop/guard.h"

enum {
	DESKTOP = 4,
	IBUS = 5,
	AUTHORITY_MAX_BYTES = 65536,
	VARIABLES_MAX = 16,
	VARIABLE_SIZE = PATH_MAX,
};

static int
become(const char *user)
{
	if (!user || !*user || geteuid() != 0)
		return 0;
	struct passwd *pw = getpwnam(user);
	if (!pw)
		return -ERR_NOT_FOUND;
	if (initgroups(user, pw->pw_gid) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
		setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return -errno;
	return 0;
}

/* ":7" or ":7.0" to 7. */
static int
display_number(const char *display, char *out, size_t size)
{
	size_t len = display[0] == ':' ? strspn(display + 1, "0123456789") : 0;
	if (len == 0 || len > 5 || (display[1 + len] && display[1 + len] != '.'))
		return -ERR_SETTING;
	return str_print(out, size, "%.*s", (int)len, display + 1);
}

static int
connect_display(const char *number)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int r = str_print(address.sun_path, sizeof address.sun_path, "/tmp/.X11-unix/X%s", number);
	int fd = r < 0 ? r : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r < 0)
		return r;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	return fd;
}

/* No cookie is not yet a failure: the display may admit this user by itself. */
static void
send_auth(const char *path, const char *number)
{
	struct display_auth auth = {.name = ""};
	uint8_t out[MESSAGE_MAX_BYTES];
	char *file = NULL;
	size_t len;
	int r = path && *path ? conf_read_file(path, AUTHORITY_MAX_BYTES, &file, &len) : 0;
	if (r == 0 && file)
		r = xauthority_find(file, len, number, &auth);
	if (file)
		mem_wipe_free(file, len);
	if (r < 0)
		LOG(WARN, "desktop.authority", F_ERR("code", r));
	role_send(MSG_DISPLAY, out, display_auth_put(&auth, out), -1);
	mem_wipe(&auth, sizeof auth);
	mem_wipe(out, sizeof out);
}

/* IBus of the session as descriptor 5. There may be none: then characters are typed by keys. */
static void
connect_ibus(const struct options *options, const char *number)
{
	char directory[PATH_MAX] = "";
	const char *given = options->ibus_directory;
	const struct passwd *pw = getpwuid(geteuid());
	int r = given && *given ? str_copy(directory, sizeof directory, given)
		: pw ? str_print(directory, sizeof directory, "%s/.config/ibus/bus", pw->pw_dir)
		     : -ERR_NOT_FOUND;
	close_range(IBUS, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	int fd = r < 0 || strcmp(directory, "none") == 0 ? -ERR_NOT_FOUND
							 : ibus_connect(directory, number);
	if (fd < 0)
		LOG(INFO, "desktop.no_ibus", F_STR("directory", directory), F_ERR("why", fd));
	else if (fd == IBUS)
		fcntl(IBUS, F_SETFD, 0);
	else if (dup2(fd, IBUS) < 0)
		LOG(WARN, "desktop.no_ibus", F_ERR("why", -errno));
}

/* The rest of the way is the program's: only what is to stay open does. */
static int
become_program(const char *program, char **argv)
{
	char *env[] = {NULL};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0)
		return -errno;
	fcntl(ROLE_CHANNEL, F_SETFD, 0);
	execve(program, argv, env);
	return -errno;
}

/* The work process' socket takes the place of the monitor's, who sees the end of file and knows
 * that we got here. */
static int
leave_monitor(void)
{
	return dup2(DESKTOP, ROLE_CHANNEL) < 0 ? -errno : 0;
}

static int
launch_x11(const struct options *options)
{
	char number[8], level[] = "--log-level";
	char *argv[] = {options->desktop_program, level, options->log_level, NULL};
	int fd = -1, r = become(options->desktop_user);
	if (r == 0)
		r = display_number(options->display, number, sizeof number);
	if (r == 0)
		r = fd = connect_display(number);
	if (r < 0)
		return r;
	send_auth(options->xauthority, number);
	r = leave_monitor();
	if (r == 0 && (dup2(fd, DESKTOP) < 0 || close(fd) < 0))
		r = -errno;
	if (r == 0) {
		connect_ibus(options, number);
		fcntl(DESKTOP, F_SETFD, 0);
		r = become_program(options->desktop_program, argv);
	}
	return r;
}

static int
launch_rdp(const struct options *options)
{
	char program[PATH_MAX], port[8], level_key[] = "--log-level", port_key[] = "--rdp-port",
					 certificate_key[] = "--rdp-certificate",
					 program_key[] = "--rdp-program",
					 keyboard_key[] = "--rdp-keyboard";
	char *argv[] = {program, level_key, options->log_level, port_key, port, certificate_key,
		options->rdp_certificate, program_key, options->rdp_program, keyboard_key,
		options->rdp_keyboard, NULL};
	int r = str_print(program, sizeof program, "%s-rdp", options->desktop_program);
	if (r >= 0)
		r = str_print(port, sizeof port, "%u", (unsigned)options->rdp_port);
	if (r >= 0)
		r = become(options->user);
	if (r < 0)
		return r;
	send_auth(NULL, "");
	r = leave_monitor();
	if (r == 0)
		r = close(DESKTOP) < 0 ? -errno : become_program(program, argv);
	return r;
}

int
desktop_main(const struct options *options)
{
	int r = options_rdp(options) ? launch_rdp(options) : launch_x11(options);
	LOG(ERROR, "desktop.start", F_STR("source", options->desktop_source),
		F_STR("program", options->desktop_program), F_STR("display", options->display),
		F_ERR("code", r));
	return 2;
}

/* ---- the guard ---- */

/* What a lock needs to be started, and where the person's bus is. Ours already where we are the
 * person. */
static int
make_surroundings(const struct options *o, char *const env[static VARIABLES_MAX])
{
	static char text[4][VARIABLE_SIZE];
	const struct passwd *pw = getpwuid(geteuid());
	char **out = (char **)(uintptr_t)env;
	size_t at = 0;
	for (char **e = environ; *e && at < VARIABLES_MAX - 6; e++)
		out[at++] = *e;
	int r = str_print(text[0], sizeof text[0], "DISPLAY=%s", o->display);
	if (r == 0 && o->xauthority && *o->xauthority)
		r = str_print(text[1], sizeof text[1], "XAUTHORITY=%s", o->xauthority);
	if (r == 0 && !getenv("HOME") && pw)
		r = str_print(text[2], sizeof text[2], "HOME=%s", pw->pw_dir);
	if (r == 0 && !getenv("XDG_RUNTIME_DIR"))
		r = str_print(text[3], sizeof text[3], "XDG_RUNTIME_DIR=/run/user/%lu",
			(unsigned long)geteuid());
	for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
		if (text[i][0])
			out[at++] = text[i];
	if (!getenv("PATH"))
		out[at++] = (char *)(uintptr_t) "PATH=/usr/local/bin:/usr/bin:/bin";
	out[at] = NULL;
	return r;
}

/* It stands beside engawa-desktop. */
static int
guard_path(const struct options *o, char path[static PATH_MAX])
{
	char copy[PATH_MAX];
	int r = str_copy(copy, sizeof copy, o->desktop_program);
	return r < 0 ? r : str_print(path, PATH_MAX, "%s/engawa-guard", dirname(copy));
}

static int
become_guard(const struct options *o, int display)
{
	static char path[PATH_MAX];
	char *env[VARIABLES_MAX], level[] = "--log-level", name[] = "--display",
				  lock[] = "--lock-command";
	int has_lock = o->lock_command && *o->lock_command;
	char *argv[] = {path, level, o->log_level, name, o->display, has_lock ? lock : NULL,
		has_lock ? o->lock_command : NULL, NULL};
	int r = guard_path(o, path);
	if (r == 0)
		r = make_surroundings(o, env);
	if (r < 0)
		return r;
	if (dup2(display, GUARD_DISPLAY) < 0)
		return -errno;
	for (int fd = GUARD_CHANNEL; fd <= GUARD_DISPLAY; fd++)
		fcntl(fd, F_SETFD, 0);
	execve(path, argv, env);
	return -errno;
}

static void
tell_failed(int r)
{
	uint8_t out[4];
	struct wr w = wr_init(out, sizeof out);
	wr_u32(&w, (uint32_t)-r);
	role_send(GUARD_STATE, out, w.len, -1);
}

int
guard_main(const struct options *options)
{
	char number[8];
	int fd = -1;
	int r = become(options->desktop_user);
	if (r == 0)
		r = display_number(options->display, number, sizeof number);
	if (r == 0)
		r = fd = connect_display(number);
	if (r == -ENOENT || r == -ECONNREFUSED)
		r = -ERR_NO_DISPLAY;
	if (r >= 0) {
		send_auth(options->xauthority, number);
		r = become_guard(options, fd);
	}
	LOG(ERROR, "guard.start", F_STR("display", options->display), F_ERR("code", r));
	tell_failed(err_find(r) ? r : -ERR_GUARD_LOST);
	return 2;
}
