/* Names of persons inside what a directory (LDAP) reads as a language: a name stays a name. */
#pragma once
#include <stddef.h>

/* Replaces every %s of the template by the name. Escaped: fit for a filter (RFC 4515) and for a DN
 * (RFC 4514), where it can mean nothing but itself. 0, -ENAMETOOLONG. */
int directory_fill(char *out, size_t size, const char *template, const char *name, int escaped);
