/* Lists of networks: what is read is written and read back to the same; what is refused leaves
 * nothing. */
#include "agent/iplist.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iplist list = {NULL, 0}, again = {NULL, 0};
	struct conf_error error;
	if (iplist_parse((const char *)data, size, &list, &error) < 0) {
		assert(list.count == 0);
		iplist_fini(&list);
		return 0;
	}
	char *text = iplist_text(&list);
	assert(text && iplist_parse(text, strlen(text), &again, &error) == 0);
	assert(again.count == list.count && list.count <= IPLIST_MAX);
	iplist_check(&list, "192.0.2.1");
	iplist_check(&list, "2001:db8::1");
	free(text);
	iplist_fini(&list);
	iplist_fini(&again);
	return 0;
}
