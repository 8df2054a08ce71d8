/*
 * What the office PC's screen looks like with the watermark on it, by the desktop's own code.
 * Usage: mark_screen WIDTH HEIGHT [--code AGENT.KEY ORGANISATION.KEY SESSION STARTED] LINE…
 *        < B G R X pixels > the same, marked
 * Both keys are X25519 secrets: of the office PC, and of the organisation's watermark.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "crypto/seal.h"
#include "desktop/mark.h"
#include "mark/code.h"
#include "screen/image.h"

static void
need(int good, const char *what)
{
	if (!good) {
		fprintf(stderr, "mark_screen: %s\n", what);
		exit(1);
	}
}

static void
make_code(char **words, uint8_t code[static WATERMARK_CODE_BYTES])
{
	uint8_t agent[32], agent_public[32], org[32], org_public[32], key[MARK_KEY_BYTES];
	struct mark mark;
	int64_t started_s = 0;
	need(seal_key_load(words[0], agent, agent_public) == 0, words[0]);
	need(seal_key_load(words[1], org, org_public) == 0, words[1]);
	need(str_copy(mark.session, sizeof mark.session, words[2]) == 0, words[2]);
	need(str_int(words[3], 0, UINT32_MAX, &started_s) == 0, words[3]);
	mark.started_s = (uint64_t)started_s;
	need(mark_key_agent(agent, org_public, key) == 0, "mark_key_agent");
	need(mark_encode(key, &mark, code) == 0, "mark_encode");
}

int
main(int argc, char **argv)
{
	struct image image = {0};
	struct watermark *watermark;
	int64_t width = 0, height = 0;
	need(argc > 3 && str_int(argv[1], 1, IMAGE_SIDE_MAX_PX, &width) == 0 &&
			str_int(argv[2], 1, IMAGE_SIDE_MAX_PX, &height) == 0,
		"WIDTH HEIGHT LINE...");
	need(image_init(&image, (uint32_t)width, (uint32_t)height) == 0, "image_init");
	size_t len = image.stride * image.height;
	need(fread(image.bytes, 1, len, stdin) == len, "short input");
	uint8_t code[WATERMARK_CODE_BYTES];
	int has_code = argc > 8 && strcmp(argv[3], "--code") == 0, first = has_code ? 8 : 3;
	if (has_code)
		make_code(argv + 4, code);
	need(mark_draw((const char *const *)argv + first, (size_t)(argc - first),
		     has_code ? code : NULL, &watermark) == 0,
		"mark_draw");
	watermark_apply(watermark, &image, 0, 0);
	need(fwrite(image.bytes, 1, len, stdout) == len, "write");
	watermark_free(watermark);
	image_fini(&image);
	return 0;
}
