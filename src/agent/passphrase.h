/* A passphrase from a file of its owner only, from the terminal without echo, or from a pipe. */
#pragma once

enum {
	PASSPHRASE_SIZE = 1024
};

/* new: the terminal asks twice. 0, -errno (-EPERM: others may read the file), -ERR_PASSPHRASE_SHORT
 * (none), -ERR_BACKUP_WRONG (the two differ). */
int passphrase_read(const char *file, int new, char ret_text[static PASSPHRASE_SIZE]);
