#include "base/err.h"

#include <stdlib.h>
#include <string.h>

static const struct err_entry table[] = {
#define ERR(name, number, fault, ja, ja_next, en, en_next) \
	{number, #name, ERR_FAULT_##fault, {ja, en}, {ja_next, en_next}},
#include "base/err.def"
#undef ERR
};

const struct err_entry *
err_table(size_t *ret_count)
{
	*ret_count = sizeof table / sizeof table[0];
	return table;
}

const struct err_entry *
err_find(int number)
{
	number = abs(number);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].number == number)
			return &table[i];
	return NULL;
}

const char *
err_name(int number)
{
	const struct err_entry *entry = err_find(number);
	if (entry)
		return entry->name;
	const char *name = strerrorname_np(abs(number));
	return name ? name : "UNKNOWN";
}

const char *
err_text(int number, enum err_lang lang)
{
	const struct err_entry *entry = err_find(number);
	return entry ? entry->what[lang] : strerror(abs(number));
}

enum err_lang
err_lang(const char *locale)
{
	return locale && strncmp(locale, "ja", 2) == 0 ? ERR_LANG_JA : ERR_LANG_EN;
}
