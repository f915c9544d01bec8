/* SPDX-License-Identifier: MIT */
/* Random identifiers. Thread-safe. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>
#include <stddef.h>

#define UUID_LEN 36
#define UUID_SIZE (UUID_LEN + 1)

/* A random (version 4) UUID in lower case. ret holds UUID_SIZE. Aborts if the system has no randomness. */
void uuid_make(char *ret);

/* Whether s is a UUID in its 36-character form, of any version, in either case. */
bool uuid_valid(const char *s);

/* Fills with cryptographic randomness; aborts if the system has none (nothing safe can be done then). */
void random_bytes(void *ret, size_t len);

/* `len` random characters of the given alphabet (2..256 characters) and a NUL. */
void random_text(const char *alphabet, char *ret, size_t len);

#endif
