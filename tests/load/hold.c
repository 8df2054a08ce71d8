/*
 * Sessions through a relay in which nothing moves. Their ends are in a set of events that nobody
 * asks, as those of idle_agents are in one: what the kernel needs for it is counted for everybody.
 *
 *   hold RELAY…      reads totals from stdin, one per line, ascending; answers each with "up N";
 *                    ends at end of file
 */
#include <stdio.h>
#include <sys/epoll.h>

#include "base/str.h"
#include "ends.h"

static void
watch(int set, const struct end *end)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	if (epoll_ctl(set, EPOLL_CTL_ADD, end->fd, &event) < 0)
		ends_die("epoll");
}

int
main(int argc, char **argv)
{
	char line[16];
	int64_t have = 0, wanted;
	if (argc < 2)
		return 2;
	int set = epoll_create1(EPOLL_CLOEXEC);
	setvbuf(stdout, NULL, _IOLBF, 0);
	struct relay *relay = relay_open(argc - 1, argv + 1);
	while (fgets(line, sizeof line, stdin)) {
		for (char *c = line; *c; c++)
			if (*c == '\n')
				*c = '\0';
		if (str_int(line, have, 20000, &wanted) < 0)
			ends_die(line);
		for (; have < wanted; have++) {
			struct ends ends; /* they go with us */
			relay_session(relay, &ends);
			watch(set, &ends.client);
			watch(set, &ends.agent);
		}
		printf("up %lld\n", (long long)have);
	}
	return 0;
}
