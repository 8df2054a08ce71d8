#include "agent/passphrase.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"

static int
from_input(const char *prompt, char text[static PASSPHRASE_SIZE])
{
	struct termios old, silent;
	int is_terminal = tcgetattr(STDIN_FILENO, &old) == 0;
	size_t n = 0;
	if (is_terminal) {
		silent = old;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
		fprintf(stderr, "%s: ", prompt);
	}
	while (n < PASSPHRASE_SIZE - 1 && read(STDIN_FILENO, text + n, 1) == 1 && text[n] != '\n')
		n++;
	text[n] = '\0';
	text[strcspn(text, "\r")] = '\0';
	if (is_terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		fprintf(stderr, "\n");
	}
	return text[0] ? 0 : -ERR_PASSPHRASE_SHORT;
}

int
passphrase_read(const char *file, int new, char ret_text[static PASSPHRASE_SIZE])
{
	char again[PASSPHRASE_SIZE] = "";
	if (file)
		return conf_read_secret_line(file, ret_text, PASSPHRASE_SIZE);
	int r = from_input("控えの合言葉 / Passphrase of the backup", ret_text);
	if (r == 0 && new &&isatty(STDIN_FILENO)) {
		r = from_input("もう一度 / Again", again);
		if (r == 0 && strcmp(again, ret_text) != 0)
			r = -ERR_BACKUP_WRONG;
	}
	mem_wipe(again, sizeof again);
	return r;
}
