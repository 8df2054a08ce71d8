#include "agent/health.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "agent/agent.h"
#include "agent/session.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

struct room {
	int low;
	int64_t free_mib;
	uint64_t told_s;
};

struct health {
	struct agent *agent;
	struct timer *timer;
	struct room rooms[HEALTH_COUNT];
};

static const struct {
	uint32_t code;
	const char *low, *well; /* in the log */
} names[HEALTH_COUNT] = {
	[HEALTH_DISK] = {ERR_DISK_LOW, "health.disk.low", "health.disk.well"},
	[HEALTH_MEMORY] = {ERR_MEMORY_LOW, "health.memory.low", "health.memory.well"},
};

int64_t
health_meminfo(const char *text)
{
	static const char key[] = "MemAvailable:";
	const char *line = strstr(text, key);
	char *end;
	if (!line)
		return -1;
	line += sizeof key - 1;
	long long kib = strtoll(line, &end, 10);
	return end == line || strncmp(end, " kB", 3) != 0 || kib < 0 ? -1 : kib / 1024;
}

int
health_low(int was_low, int64_t free_mib, int64_t warn_mib)
{
	if (warn_mib == 0 || free_mib < 0)
		return 0;
	return free_mib < (was_low ? warn_mib + warn_mib / 10 : warn_mib);
}

static int64_t
disk_free_mib(const char *directory)
{
	struct statvfs fs;
	if (statvfs(directory, &fs) < 0)
		return -1;
	return (int64_t)((uint64_t)fs.f_bavail * fs.f_frsize >> 20);
}

static int64_t
memory_free_mib(void)
{
	char *text;
	size_t len;
	if (conf_read_file("/proc/meminfo", HEALTH_MEMINFO_MAX_BYTES, &text, &len) < 0)
		return -1;
	int64_t mib = health_meminfo(text);
	free(text);
	return mib;
}

static void
tell_all(struct health *h, enum health_what what)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (h->agent->sessions[i])
			session_notice(h->agent->sessions[i], names[what].code);
}

static void
look(struct health *h, enum health_what what, int64_t free_mib, int64_t warn_mib)
{
	struct room *room = &h->rooms[what];
	uint64_t now_s = wall_s();
	int was_low = room->low;
	room->free_mib = free_mib;
	room->low = health_low(was_low, free_mib, warn_mib);
	if (was_low && !room->low)
		LOG(INFO, names[what].well, F_INT("free_mib", free_mib));
	/* a clock that was set back must not keep it quiet */
	if (!room->low ||
		(was_low && now_s >= room->told_s && now_s - room->told_s < HEALTH_AGAIN_S))
		return;
	room->told_s = now_s;
	LOG(WARN, names[what].low, F_INT("free_mib", free_mib), F_INT("warn_mib", warn_mib));
	tell_all(h, what);
}

static void
on_tick(void *user)
{
	struct health *h = user;
	const struct options *o = &h->agent->options;
	look(h, HEALTH_DISK, disk_free_mib(o->state_directory), o->disk_warn_mib);
	look(h, HEALTH_MEMORY, memory_free_mib(), o->memory_warn_mib);
}

struct health *
health_new(struct agent *agent)
{
	struct health *h = mem_new(sizeof *h);
	h->agent = agent;
	h->timer = timer_new(agent->loop, on_tick, h);
	timer_start(h->timer, HEALTH_EVERY_MS, HEALTH_EVERY_MS);
	on_tick(h);
	return h;
}

void
health_free(struct health *health)
{
	if (!health)
		return;
	timer_free(health->timer);
	free(health);
}

uint32_t
health_code(const struct health *health, enum health_what what)
{
	return health->rooms[what].low ? names[what].code : 0;
}

int64_t
health_free_mib(const struct health *health, enum health_what what)
{
	return health->rooms[what].free_mib;
}

void
health_tell(const struct health *health, struct session *session)
{
	for (enum health_what what = 0; health && what < HEALTH_COUNT; what++)
		if (health->rooms[what].low)
			session_notice(session, names[what].code);
}
