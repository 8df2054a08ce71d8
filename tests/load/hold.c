/*
 * Sessions through a relay in which nothing moves.
 *
 *   hold RELAY…      reads totals from stdin, one per line, ascending; answers each with "up N";
 *                    ends at end of file
 */
#include <stdio.h>

#include "base/str.h"
#include "ends.h"

int
main(int argc, char **argv)
{
	char line[16];
	int64_t have = 0, wanted;
	if (argc < 2)
		return 2;
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
		}
		printf("up %lld\n", (long long)have);
	}
	return 0;
}
