/* SPDX-License-Identifier: MIT */
/* PostgreSQL's lexical rules, as far as they decide what is quoted: strings, escape strings, dollar quotes,
 * quoted names, both kinds of comments (one of which nests). What isn't closed reaches to the end; the server
 * says what is wrong with it. */
#include "db/pg_sql.h"

#include "base/buf.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#define SQL_MAX (16 * 1024 * 1024)

enum token { TOKEN_END, TOKEN_BLANK, TOKEN_WORD, TOKEN_PARAM, TOKEN_SEMICOLON, TOKEN_OTHER };

static bool begins_word(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool goes_on_word(char c)
{
    return begins_word(c) || isdigit((unsigned char)c) || c == '$';
}

/* The length of a quoted piece; a doubled quote is part of it, and so is what stands behind a backslash. */
static size_t quoted_length(const char *s, char quote, bool backslash)
{
    size_t i = 1;
    for (; s[i]; i++) {
        if (backslash && s[i] == '\\' && s[i + 1])
            i++;
        else if (s[i] == quote && s[i + 1] == quote)
            i++;
        else if (s[i] == quote)
            return i + 1;
    }
    return i;
}

static size_t block_comment_length(const char *s)
{
    size_t i = 2;
    for (int depth = 1; s[i] && depth > 0;) {
        bool opens = s[i] == '/' && s[i + 1] == '*', closes = s[i] == '*' && s[i + 1] == '/';
        depth += opens - closes;
        i += opens || closes ? 2 : 1;
    }
    return i;
}

/* $$…$$ or $tag$…$tag$; 1 where the dollar begins nothing of the kind. */
static size_t dollar_length(const char *s)
{
    size_t tag = 1;
    if (begins_word(s[1]))
        while (s[tag] != '$' && goes_on_word(s[tag]))
            tag++;
    if (s[tag] != '$')
        return 1;
    tag++;
    for (const char *end = s + tag; (end = strchr(end, '$')); end++)
        if (strncmp(end, s, tag) == 0)
            return (size_t)(end - s) + tag;
    return strlen(s);
}

static size_t word_length(const char *s)
{
    size_t i = 1;
    while (s[i] && goes_on_word(s[i]))
        i++;
    return i;
}

/* What s begins with, and how long it is. */
static enum token next(const char *s, size_t *ret_len)
{
    *ret_len = s[0] ? 1 : 0;
    if (!s[0])
        return TOKEN_END;
    if (isspace((unsigned char)s[0]))
        return TOKEN_BLANK;
    if (s[0] == '-' && s[1] == '-') {
        *ret_len = strcspn(s, "\n");
        return TOKEN_BLANK;
    }
    if (s[0] == '/' && s[1] == '*') {
        *ret_len = block_comment_length(s);
        return TOKEN_BLANK;
    }
    if ((s[0] == 'e' || s[0] == 'E') && s[1] == '\'') {
        *ret_len = 1 + quoted_length(s + 1, '\'', true);
        return TOKEN_OTHER;
    }
    if (begins_word(s[0])) {
        *ret_len = word_length(s);
        return TOKEN_WORD;
    }
    if (s[0] == '\'' || s[0] == '"')
        *ret_len = quoted_length(s, s[0], false);
    else if (s[0] == '$')
        *ret_len = dollar_length(s);
    else if (s[0] == '?' && isdigit((unsigned char)s[1]))
        *ret_len = 1 + strspn(s + 1, "0123456789");
    return s[0] == ';' ? TOKEN_SEMICOLON : s[0] == '?' && *ret_len > 1 ? TOKEN_PARAM : TOKEN_OTHER;
}

/* The number of "?N", or -EINVAL. */
static int param_number(const char *s, size_t len)
{
    int n = 0;
    for (size_t i = 1; i < len && n <= PG_MAX_PARAMS; i++)
        n = n * 10 + (s[i] - '0');
    return n >= 1 && n <= PG_MAX_PARAMS ? n : -EINVAL;
}

int pg_sql_translate(const char *sql, char **ret, int *ret_params)
{
    _cleanup_buf_ struct buf out = BUF_INIT(SQL_MAX);
    int most = 0;
    size_t len;
    for (enum token t; (t = next(sql, &len)) != TOKEN_END; sql += len) {
        int n = t == TOKEN_PARAM ? param_number(sql, len) : 0;
        if (n < 0)
            return n;
        most = n > most ? n : most;
        (void)(t == TOKEN_PARAM ? buf_addf(&out, "$%d", n) : buf_add(&out, sql, len));
    }
    char *text = out.failed ? NULL : buf_take(&out, NULL);
    if (!text)
        return -ENOMEM;
    *ret = text;
    *ret_params = most;
    return 0;
}

bool pg_sql_controls_transaction(const char *sql, size_t len)
{
    static const char *const words[] = {"abort",   "begin",    "commit",    "end",  "prepare",
                                        "release", "rollback", "savepoint", "start"};
    size_t word;
    const char *end = sql + len;
    enum token t;
    while ((t = next(sql, &word)) == TOKEN_BLANK && sql < end)
        sql += word;
    for (size_t i = 0; t == TOKEN_WORD && sql < end && i < ARRAY_LEN(words); i++)
        if (strlen(words[i]) == word && strncasecmp(words[i], sql, word) == 0)
            return true;
    return false;
}

bool pg_sql_next_statement(const char **script, const char **ret, size_t *ret_len)
{
    size_t len;
    const char *s = *script, *start = NULL;
    enum token t;
    for (; (t = next(s, &len)) != TOKEN_END; s += len) {
        if (t == TOKEN_SEMICOLON && start)
            break;
        if (!start && t != TOKEN_BLANK && t != TOKEN_SEMICOLON)
            start = s;
    }
    *script = s + len;
    if (!start)
        return false;
    *ret = start;
    *ret_len = (size_t)(s - start);
    return true;
}
