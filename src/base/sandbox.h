/*
 * Giving up rights. A process that reads the network calls these, in this order, before the first byte:
 * sandbox_user, sandbox_no_files, sandbox_calls. All are one-way and inherited.
 */
#pragma once

/* When root: chroot to an empty directory if given, then become the user with no groups. When not root: only no_new_privs.
 * 0, -errno, or -ERR_NOT_FOUND for an unknown user. */
int sandbox_user(const char *user, const char *chroot_directory);

/* Landlock: no path may be opened any more. 0 (also where the kernel has none), or -errno. */
int sandbox_no_files(void);

/* Landlock: only what stands beneath these may be read, nothing written. paths ends with NULL; what does not exist is skipped. 0 (also
 * where the kernel has no Landlock), or -errno. */
int sandbox_reads(const char *const *paths);

enum sandbox_profile {
	SANDBOX_IO,      /* descriptors that are open already: read, write, poll, memory, time; no socket, open, exec, fork */
	SANDBOX_FOREIGN, /* SANDBOX_IO for a library of others that looks for files and makes threads by itself: it finds no files, makes no sockets */
	SANDBOX_STORE,   /* SANDBOX_IO, and files for a database, and threads; no socket, exec, fork */
	SANDBOX_NETWORK, /* the same, and outgoing TCP with name resolution (socket, connect, read-only open) */
	SANDBOX_NETWORK_OWN, /* the same as a person who has sockets of his own on this computer: none of those can be opened */
};

/* seccomp, for all threads: a call outside the profile kills the process (it is a bug or an attack). What a library reads or makes
 * at its first use must have happened: OpenSSL's configuration, threads of SANDBOX_IO. 0 or -errno. */
int sandbox_calls(enum sandbox_profile profile);
