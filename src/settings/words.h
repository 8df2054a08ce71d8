/* The texts of words.def in the person's language. */
#pragma once
#include "base/err.h"

enum word {
#define WORD(name, ja, en) WORD_##name,
#include "settings/words.def"
#undef WORD
	WORD_COUNT
};

/* Japanese unless the locale names another language: "C" and none are Japanese here, where the
 * person has no terminal that was set up for him. */
void words_choose(const char *locale);
enum err_lang words_lang(void);

/* Never NULL. The format functions take words that say in their names what goes into them; g_free.
 */
const char *word(enum word w);
char *word_name(enum word w, const char *name);
char *word_number(enum word w, long long number);
