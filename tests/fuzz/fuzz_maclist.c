/* Lists of MAC addresses: every address that is taken is found, and has a form that is read back.
 */
#include "agent/maclist.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maclist list = {NULL, 0};
	struct conf_error error;
	uint8_t mac[MAC_BYTES];
	char text[MAC_TEXT_SIZE];
	if (maclist_parse((const char *)data, size, &list, &error) < 0)
		assert(list.count == 0);
	for (size_t i = 0; i < list.count; i++) {
		assert(maclist_has(&list, list.entries[i]));
		mac_text(list.entries[i], text);
		assert(mac_parse(text, strlen(text), mac) == 0);
		assert(memcmp(mac, list.entries[i], MAC_BYTES) == 0);
	}
	maclist_fini(&list);
	return 0;
}
