/* Feeds every file of a directory to a fuzz target once: the corpus as an ordinary test. */
#include <dirent.h>
#include <stdio.h>

#include "base/conf.h"
#include "base/mem.h"
#include "base/str.h"
#include "fuzz.h"

static int
replay(const char *path)
{
	char *text;
	size_t len;
	if (conf_read_file(path, 16u << 20, &text, &len) < 0)
		return -1;
	/* an exact allocation, so that the sanitizer sees the first byte over the end */
	uint8_t *exact = malloc(len ? len : 1);
	for (size_t i = 0; exact && i < len; i++)
		exact[i] = (uint8_t)text[i];
	free(text);
	if (exact)
		LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 0;
}

int
main(int argc, char **argv)
{
	int count = 0;
	DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
	if (!directory)
		return 1;
	for (struct dirent *e; (e = readdir(directory));) {
		char path[4096];
		if (e->d_name[0] == '.' ||
			str_print(path, sizeof path, "%s/%s", argv[1], e->d_name) < 0)
			continue;
		if (replay(path) == 0)
			count++;
	}
	closedir(directory);
	printf("%d inputs\n", count);
	return count > 0 ? 0 : 1;
}
