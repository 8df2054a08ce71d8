#include "gate/notice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "gate/parent_state.h"

/* sd_notify(3), without its library: the service manager has to know which process the gate is. */
static void
tell_manager(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	if (!path || (*path != '/' && *path != '@'))
		return;
	int r = str_copy(un.sun_path, sizeof un.sun_path, path);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(un.sun_path));
	if (*path == '@')
		un.sun_path[0] = '\0'; /* an abstract name has no zero at its end */
	int fd = r == 0 ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const void *)&un, len) < 0)
		LOG(WARN, "gate.notify", F_ERR("code", r < 0 ? r : -errno));
	if (fd >= 0)
		close(fd);
}

void
notice_write(const struct parent *p, const char *step)
{
	char path[4096], text[128];
	int r = str_print(path, sizeof path, "%s/gate-%s.state", p->settings->run_directory,
		p->settings->name);
	if (r == 0)
		r = str_print(text, sizeof text, "pid %d\nupgrade %u\nstep %s\n", (int)getpid(),
			p->upgrade.count, step);
	if (r == 0)
		r = conf_write_file(path, text, strlen(text), 0644);
	if (r < 0)
		LOG(WARN, "gate.state", F_STR("directory", p->settings->run_directory),
			F_ERR("code", r));
	if (strcmp(step, "up") == 0 &&
		str_print(text, sizeof text, "READY=1\nMAINPID=%d\n", (int)getpid()) == 0)
		tell_manager(text);
}
