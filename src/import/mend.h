/* SPDX-License-Identifier: MIT */
/* Texts of a foreign database in a form that both engines and every reader take. SQLite stores any bytes as
 * text; JavaScript writes halves of characters and NULs into JSON. What can't be is replaced by U+FFFD, as
 * every decoder does, and the caller is told. Pure. */
#ifndef IMPORT_MEND_H
#define IMPORT_MEND_H

#include "base/arena.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The text with malformed UTF-8 and NULs replaced, in the arena (at most three times as long); NULL without
 * memory. ret_mended is set to true where something was. */
char *mend_text(struct arena *a, const char *s, size_t len, bool *ret_mended);

/* The same for the text of a JSON value: replaces, in its strings, the escapes \u0000 and of lone surrogates.
 * Text that is no JSON comes back as it is. */
char *mend_json(struct arena *a, const char *s, bool *ret_mended);

/* A time as Prisma stores it: whole milliseconds since the epoch, or ISO 8601 text with "T" or a space. In
 * milliseconds; -EINVAL for anything that isn't between 1970 and 9999. */
int mend_time(const char *text, int64_t number, int64_t *ret_ms);

/* An answer as AnythingLLM stores it ({"text", "sources", "type", "attachments", "metrics" …}), made such
 * that a history can show it: well-formed, "text" a string, "sources" (and "actions", if any) an array.
 * Answers above `max` bytes lose their attachments. 0 and the JSON in the arena; -EINVAL it is no JSON,
 * -ENODATA it has no text (AnythingLLM doesn't show those either), -E2BIG, or -ENOMEM. */
int mend_answer(struct arena *a, const char *s, size_t max, const char **ret, bool *ret_mended);

#endif
