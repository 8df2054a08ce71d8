#include "settings/words.h"

#include <glib.h>
#include <string.h>

static const char *const words[WORD_COUNT][2] = {
#define WORD(name, ja, en) {ja, en},
#include "settings/words.def"
#undef WORD
};
static enum err_lang lang;

void
words_choose(const char *locale)
{
	int unset = !locale || !locale[0] || locale[0] == 'C' || strncmp(locale, "POSIX", 5) == 0;
	lang = unset ? ERR_LANG_JA : err_lang(locale);
}

enum err_lang
words_lang(void)
{
	return lang;
}

const char *
word(enum word w)
{
	return words[w][lang];
}

/* The formats are ours: words.def. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

char *
word_name(enum word w, const char *name)
{
	return g_strdup_printf(word(w), name);
}

char *
word_number(enum word w, long long number)
{
	return g_strdup_printf(word(w), number);
}
