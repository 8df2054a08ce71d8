/*
 * Who may change what lets somebody in: an office PC that stands unlocked for a minute must not
 * give a stranger a password of his own. Root may, and whoever has said the settings password where
 * there is one. Without one, a password is changed by who knows the present one, and the table of
 * persons by nobody: there, no password of one person speaks for the others.
 *
 * MSG_PROVE ""                must I prove myself for the single password? 0; or a code as below
 *           "NAME"            the same for that person's own
 *           " PASSWORD"       the present one; good for the next change of it on this connection
 *           "NAME PASSWORD"
 *
 * Guesses count like those at the settings password.
 */
#pragma once

struct peer;

/* For the password of this person (folded; "": the single one, and the first settings password). 0;
 * -ERR_PASSWORD_PROTECTED: it has to be proved first; -ERR_USERS_PROTECTED. A proof is used up. */
int local_may_change(struct peer *peer, const char *name);
/* For the table of persons: 0 or -ERR_USERS_PROTECTED. */
int local_may_manage(const struct peer *peer);
/* MSG_PROVE: answers. */
void local_prove(struct peer *peer, const char *text);
