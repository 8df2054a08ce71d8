/*
 * Full handshakes with certificates on both sides, one after the other.
 *
 *   greet COUNT agent PORT ORGANISATION-FILE CA-DIRECTORY
 */
#include "base/str.h"
#include "ends.h"

int
main(int argc, char **argv)
{
	int64_t count;
	if (argc < 3 || str_int(argv[1], 1, 1000000, &count) < 0)
		return 2;
	struct relay *relay = relay_open(argc - 2, argv + 2);
	while (count-- > 0)
		relay_greet(relay);
	return 0;
}
