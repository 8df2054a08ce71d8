/*
 * Round trips of 64 bytes through a relay, one after the other: client, agent, client.
 *
 *   ping COUNT RELAY…       prints one time in microseconds per line
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ends.h"

enum {
	BYTES = 64,
	WARM = 200, /* not counted */
};

static double
trip(struct ends *ends, uint8_t number)
{
	uint8_t out[BYTES], in[BYTES];
	memset(out, number, sizeof out);
	struct mono begin = mono_now();
	end_write(&ends->client, out, sizeof out);
	end_read(&ends->agent, in, sizeof in);
	end_write(&ends->agent, in, sizeof in);
	end_read(&ends->client, in, sizeof in);
	double us = (double)(mono_now().ns - begin.ns) / 1e3;
	if (memcmp(in, out, sizeof in) != 0)
		ends_die("other bytes came back");
	return us;
}

int
main(int argc, char **argv)
{
	int64_t count;
	struct ends ends;
	if (argc < 3 || str_int(argv[1], 1, 10000000, &count) < 0)
		return 2;
	relay_session(relay_open(argc - 2, argv + 2), &ends);
	double *us = mem_new((size_t)count * sizeof *us);
	for (int i = 0; i < WARM; i++)
		trip(&ends, (uint8_t)i);
	for (int64_t i = 0; i < count; i++)
		us[i] = trip(&ends, (uint8_t)i);
	for (int64_t i = 0; i < count; i++)
		printf("%.1f\n", us[i]);
	free(us);
	return 0;
}
