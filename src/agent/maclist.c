#include "agent/maclist.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

static int
hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

int
mac_parse(const char *text, size_t len, uint8_t ret_mac[static MAC_BYTES])
{
	uint8_t mac[MAC_BYTES] = {0};
	static const uint8_t none[MAC_BYTES];
	size_t digits = 0;
	for (size_t i = 0; i < len; i++) {
		int v = hex(text[i]);
		if (v < 0 && strchr("-:.", text[i]) && text[i] && digits > 0 && digits % 2 == 0)
			continue;
		if (v < 0 || digits >= 2 * MAC_BYTES)
			return -ERR_SETTING;
		mac[digits / 2] = (uint8_t)(mac[digits / 2] << 4 | v);
		digits++;
	}
	if (digits != 2 * MAC_BYTES || mac[0] & 1 || memcmp(mac, none, sizeof mac) == 0 ||
		hex(text[len - 1]) < 0)
		return -ERR_SETTING;
	memcpy(ret_mac, mac, sizeof mac);
	return 0;
}

void
mac_text(const uint8_t mac[static MAC_BYTES], char ret_text[static MAC_TEXT_SIZE])
{
	snprintf(ret_text, MAC_TEXT_SIZE, "%02X-%02X-%02X-%02X-%02X-%02X", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
}

int
mac_is_random(const uint8_t mac[static MAC_BYTES])
{
	return (mac[0] & 2) != 0;
}

/* The part of a line before its comment, without blanks around it. */
static void
trim(const char **text, size_t *len)
{
	for (size_t i = 0; i < *len; i++) {
		if ((*text)[i] == '#' ||
			((*text)[i] == '/' && i + 1 < *len && (*text)[i + 1] == '/')) {
			*len = i;
			break;
		}
	}
	while (*len > 0 && isspace((unsigned char)(*text)[*len - 1]))
		(*len)--;
	while (*len > 0 && isspace((unsigned char)(*text)[0])) {
		(*text)++;
		(*len)--;
	}
}

static int
add(struct maclist *list, size_t *room, const uint8_t mac[static MAC_BYTES])
{
	if (list->count >= MACLIST_MAX)
		return -ERR_LIMIT;
	if (list->count == *room) {
		size_t more = *room ? *room * 2 : 64;
		void *entries = mem_resize(list->entries, more, MAC_BYTES);
		if (!entries)
			return -ENOMEM;
		list->entries = entries;
		*room = more;
	}
	memcpy(list->entries[list->count++], mac, MAC_BYTES);
	return 0;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, MAC_BYTES);
}

int
maclist_parse(const char *text, size_t len, struct maclist *ret_list, struct conf_error *error)
{
	struct maclist list = {0};
	size_t room = 0, line = 0;
	int r = len > MACLIST_TEXT_MAX_BYTES ? -ERR_LIMIT : 0;
	if (r == 0 && len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	while (r == 0 && len > 0) {
		const char *end = memchr(text, '\n', len), *part = text;
		size_t whole = end ? (size_t)(end - text) + 1 : len, part_len = whole;
		uint8_t mac[MAC_BYTES];
		line++;
		trim(&part, &part_len);
		if (part_len > 0) {
			r = mac_parse(part, part_len, mac);
			if (r == 0)
				r = add(&list, &room, mac);
		}
		text += whole;
		len -= whole;
	}
	if (r < 0) {
		snprintf(error->text, sizeof error->text, "line %zu: %s", line,
			r == -ERR_SETTING ? "not a MAC address" : "the list is too long");
		maclist_fini(&list);
		return r;
	}
	if (list.count > 0)
		qsort(list.entries, list.count, MAC_BYTES, compare);
	*ret_list = list;
	return 0;
}

void
maclist_fini(struct maclist *list)
{
	if (!list)
		return;
	free(list->entries);
	*list = (struct maclist){0};
}

int
maclist_has(const struct maclist *list, const uint8_t mac[static MAC_BYTES])
{
	return list->count > 0 &&
	       bsearch(mac, list->entries, list->count, MAC_BYTES, compare) != NULL;
}
