#include "gate/notice.h"

#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "gate/parent_state.h"

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
}
