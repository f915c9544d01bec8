/* SPDX-License-Identifier: MIT */
#include "reader/record.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char *const kind_names[] = {
    [NODE_CONTENT] = "content",
    [NODE_FAN_MEMORY] = "fan_memory",
    [NODE_PERSONA] = "persona",
    [NODE_NOTE] = "note",
};

/* How words begin that say what a name is of. */
static const struct {
    const char *word;
    enum node_kind kind;
} words[] = {
    {"post", NODE_CONTENT},
    {"tweet", NODE_CONTENT},
    {"caption", NODE_CONTENT},
    {"content", NODE_CONTENT},
    {"stories", NODE_CONTENT},
    {"story", NODE_CONTENT},
    {"reel", NODE_CONTENT},
    {"video", NODE_CONTENT},
    {"photo", NODE_CONTENT},
    {"media", NODE_CONTENT},
    {"comment", NODE_CONTENT},
    {"message", NODE_FAN_MEMORY},
    {"chat", NODE_FAN_MEMORY},
    {"dm", NODE_FAN_MEMORY},
    {"inbox", NODE_FAN_MEMORY},
    {"direct", NODE_FAN_MEMORY},
    {"conversation", NODE_FAN_MEMORY},
    {"fan", NODE_FAN_MEMORY},
    {"subscriber", NODE_FAN_MEMORY},
    {"follower", NODE_FAN_MEMORY},
    {"tip", NODE_FAN_MEMORY},
    {"profile", NODE_PERSONA},
    {"about", NODE_PERSONA},
    {"bio", NODE_PERSONA},
    {"persona", NODE_PERSONA},
    {"brand", NODE_PERSONA},
    {"voice", NODE_PERSONA},
    {"account", NODE_PERSONA},
    {"note", NODE_NOTE},
    {"idea", NODE_NOTE},
    {"journal", NODE_NOTE},
};

const char *node_kind_name(enum node_kind kind)
{
    return kind_names[kind];
}

/* The kind that the word at `at` says; NODE_KINDS = none. "dm" and "fan" are also how other words begin. */
static enum node_kind kind_of_word(const char *at, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t n = strlen(words[i].word);
        if (len >= n && strncasecmp(at, words[i].word, n) == 0 && (n > 3 || len <= n + 1))
            return words[i].kind;
    }
    return NODE_KINDS;
}

/* The last word that says something wins: folders are said before files. */
enum node_kind node_kind_of(const char *name, size_t len, enum node_kind otherwise)
{
    enum node_kind kind = otherwise;
    size_t at = 0;
    while (at < len) {
        size_t n = 0;
        while (at + n < len && isalpha((unsigned char)name[at + n]))
            n++;
        enum node_kind found = n > 0 ? kind_of_word(name + at, n) : NODE_KINDS;
        if (found != NODE_KINDS)
            kind = found;
        at += n + 1;
    }
    return kind;
}
