#include "cli/findings.h"

void
findings_print(FILE *out, const uint32_t *codes, size_t count, enum err_lang lang)
{
	for (size_t i = 0; i < count; i++) {
		const struct err_entry *entry = err_find((int)codes[i]);
		if (entry)
			fprintf(out, "  %zu. %s (EW-%d)\n     %s\n", i + 1, entry->what[lang],
				entry->number, entry->next[lang]);
	}
}

json_t *
findings_json(const uint32_t *codes, size_t count, enum err_lang lang)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		const struct err_entry *entry = err_find((int)codes[i]);
		if (entry)
			json_array_append_new(
				list, json_pack("{s:i, s:s, s:s, s:s}", "code", entry->number,
					      "name", entry->name, "what", entry->what[lang],
					      "next", entry->next[lang]));
	}
	return list;
}
