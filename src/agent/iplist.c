#include "agent/iplist.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	V4_OFFSET_BITS = 96,
	LINE_SIZE = sizeof "allow /128\n" + INET6_ADDRSTRLEN
};

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* *ret_v4 is 1 for an address written as IPv4. */
static int
parse_address(const char *text, uint8_t out[static 16], int *ret_v4)
{
	memcpy(out, v4_mapped, sizeof v4_mapped);
	*ret_v4 = inet_pton(AF_INET, text, out + sizeof v4_mapped) == 1;
	return *ret_v4 || inet_pton(AF_INET6, text, out) == 1 ? 0 : -ERR_SETTING;
}

static int
same_prefix(const uint8_t a[static 16], const uint8_t b[static 16], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(a, b, whole) != 0)
		return 0;
	return rest == 0 || ((a[whole] ^ b[whole]) & (0xffu << (8 - rest) & 0xffu)) == 0;
}

static int
tail_is_zero(const uint8_t address[static 16], unsigned prefix)
{
	for (unsigned bit = prefix; bit < 128; bit++)
		if (address[bit / 8] & 0x80u >> bit % 8)
			return 0;
	return 1;
}

int
iplist_network(const char *text, struct iplist_entry *ret_entry)
{
	char address[INET6_ADDRSTRLEN];
	struct iplist_entry entry = {.prefix = 128};
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	int64_t prefix;
	int v4;
	if (len >= sizeof address)
		return -ERR_SETTING;
	memcpy(address, text, len);
	address[len] = '\0';
	if (parse_address(address, entry.network, &v4) < 0)
		return -ERR_SETTING;
	if (slash) {
		if (str_int(slash + 1, 0, v4 ? 32 : 128, &prefix) < 0)
			return -ERR_SETTING;
		entry.prefix = (uint8_t)(v4 ? V4_OFFSET_BITS + prefix : prefix);
	}
	if (!tail_is_zero(entry.network, entry.prefix))
		return -ERR_SETTING;
	*ret_entry = entry;
	return 0;
}

int
iplist_insert(struct iplist *list, size_t place, const struct iplist_entry *entry)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->entries[i].prefix == entry->prefix &&
			memcmp(list->entries[i].network, entry->network, sizeof entry->network) ==
				0)
			return -ERR_EXISTS;
	if (list->count >= IPLIST_MAX)
		return -ERR_LIMIT;
	struct iplist_entry *entries = mem_resize(list->entries, list->count + 1, sizeof *entries);
	if (!entries)
		return -ENOMEM;
	list->entries = entries;
	if (place > list->count)
		place = list->count;
	memmove(entries + place + 1, entries + place, (list->count - place) * sizeof *entries);
	entries[place] = *entry;
	list->count++;
	return 0;
}

int
iplist_remove(struct iplist *list, size_t place)
{
	if (place >= list->count)
		return -ERR_NOT_FOUND;
	list->count--;
	memmove(list->entries + place, list->entries + place + 1,
		(list->count - place) * sizeof *list->entries);
	return 0;
}

static int
on_line(void *user, const char *key, const char *value)
{
	struct iplist_entry entry;
	int deny = strcmp(key, "deny") == 0;
	if (!deny && strcmp(key, "allow") != 0)
		return -ERR_SETTING;
	int r = iplist_network(value, &entry);
	if (r < 0)
		return r;
	entry.deny = (uint8_t)deny;
	return iplist_insert(user, SIZE_MAX, &entry);
}

int
iplist_parse(const char *text, size_t len, struct iplist *ret_list, struct conf_error *error)
{
	struct iplist list = {0};
	unsigned line = 0;
	int r = conf_lines(text, len, on_line, &list, &line);
	if (r < 0) {
		snprintf(error->text, sizeof error->text,
			"line %u: not \"allow NETWORK\" or \"deny NETWORK\", or a repetition",
			line);
		iplist_fini(&list);
		return -ERR_SETTING;
	}
	*ret_list = list;
	return 0;
}

static void
print_entry(const struct iplist_entry *e, char *out, size_t size)
{
	char address[INET6_ADDRSTRLEN];
	int v4 =
		e->prefix >= V4_OFFSET_BITS && memcmp(e->network, v4_mapped, sizeof v4_mapped) == 0;
	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? e->network + sizeof v4_mapped : e->network, address,
		sizeof address);
	snprintf(out, size, "%s %s/%d\n", e->deny ? "deny" : "allow", address,
		v4 ? e->prefix - V4_OFFSET_BITS : e->prefix);
}

char *
iplist_text(const struct iplist *list)
{
	char *text = mem_array(list->count + 1, LINE_SIZE);
	size_t len = 0;
	for (size_t i = 0; text && i < list->count; i++) {
		print_entry(&list->entries[i], text + len, LINE_SIZE);
		len += strlen(text + len);
	}
	return text;
}

void
iplist_fini(struct iplist *list)
{
	if (!list)
		return;
	free(list->entries);
	*list = (struct iplist){0};
}

int
iplist_check(const struct iplist *list, const char *address)
{
	uint8_t bytes[16];
	int v4;
	if (list->count == 0)
		return 0;
	if (parse_address(address, bytes, &v4) < 0)
		return -ERR_ADDRESS_DENIED;
	v4 = memcmp(bytes, v4_mapped, sizeof v4_mapped) == 0;
	for (size_t i = 0; i < list->count; i++)
		/* ::/0 is all of IPv6, and IPv4 is only written as IPv6 here */
		if ((!v4 || list->entries[i].prefix >= V4_OFFSET_BITS) &&
			same_prefix(bytes, list->entries[i].network, list->entries[i].prefix))
			return list->entries[i].deny ? -ERR_ADDRESS_DENIED : 0;
	return 0;
}
