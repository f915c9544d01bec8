/* SPDX-License-Identifier: MIT */
/* A part's content ends at CR LF "--" boundary. CR stands only at the beginning of that, so after a mismatch
 * nothing but the byte at hand can begin another match: what had matched was content. */
#include "http/multipart.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static bool is_boundary_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("'()+_,-./:=? ", c));
}

/* One parameter of a header's value: `; name=token` or `; name="quoted"`. Moves *at on; false at the end, or
 * where it is malformed. The value is copied into `value` with its escapes undone. */
static bool next_parameter(const char **at, const char **ret_name, size_t *ret_len, struct buf *value)
{
    const char *s = *at + strspn(*at, "; \t");
    *ret_name = s;
    *ret_len = strcspn(s, "=; \t");
    s += *ret_len;
    if (*ret_len == 0 || *s != '=')
        return false;
    buf_reset(value);
    if (*++s != '"') {
        size_t len = strcspn(s, "; \t");
        *at = s + len;
        return buf_add(value, s, len) == 0;
    }
    for (s++; *s && *s != '"'; s++) {
        s += *s == '\\' && (s[1] == '"' || s[1] == '\\');
        (void)buf_add(value, s, 1);
    }
    *at = s + (*s == '"');
    return *s == '"' && !value->failed;
}

static bool name_is(const char *name, size_t len, const char *wanted)
{
    return strlen(wanted) == len && strncasecmp(name, wanted, len) == 0;
}

static int set_boundary(struct multipart *m, const char *boundary)
{
    size_t len = strlen(boundary);
    if (len == 0 || len > MULTIPART_BOUNDARY_MAX || boundary[len - 1] == ' ')
        return -EINVAL;
    for (size_t i = 0; i < len; i++)
        if (!is_boundary_char(boundary[i]))
            return -EINVAL;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, len);
    m->delimiter_len = 4 + len;
    m->matched = 2; /* the first delimiter begins the body */
    return 0;
}

int multipart_init(struct multipart *m, const char *content_type, const struct multipart_events *events,
                   void *ctx)
{
    static const char form[] = "multipart/form-data";
    _cleanup_buf_ struct buf value = BUF_INIT(MULTIPART_HEADERS_MAX);
    const char *at, *name;
    size_t len;
    *m = (struct multipart){.events = events, .ctx = ctx, .headers = BUF_INIT(MULTIPART_HEADERS_MAX)};
    if (!content_type || strncasecmp(content_type, form, sizeof form - 1) != 0)
        return -EINVAL;
    at = content_type + sizeof form - 1;
    if (!strchr("; \t", *at))
        return -EINVAL;
    while (next_parameter(&at, &name, &len, &value))
        if (name_is(name, len, "boundary"))
            return set_boundary(m, buf_str(&value));
    return -EINVAL;
}

void multipart_free(struct multipart *m)
{
    buf_free(&m->headers);
}

/* --- a part's headers ---------------------------------------------------------------------------------- */

/* RFC 5987: charset'language'percent-encoded; only UTF-8. */
static int decode_extended(const char *value, struct buf *to)
{
    uint8_t byte;
    static const char utf8[] = "UTF-8'";
    const char *s =
        strncasecmp(value, utf8, sizeof utf8 - 1) == 0 ? strchr(value + sizeof utf8 - 1, '\'') : NULL;
    if (!s)
        return -EINVAL;
    buf_reset(to);
    for (s++; *s; s++) {
        byte = (uint8_t)*s;
        char digits[] = {s[1], s[1] ? s[2] : '\0', '\0'};
        if (*s == '%' && hex_decode(digits, &byte, 1) < 0)
            return -EINVAL;
        s += *s == '%' ? 2 : 0;
        if (byte == 0 || buf_add(to, &byte, 1) < 0)
            return -EINVAL;
    }
    return 0;
}

struct texts {
    struct buf name, filename, type;
    bool has_name, has_filename, has_type;
};

static void free_texts(struct texts *t)
{
    buf_free(&t->name);
    buf_free(&t->filename);
    buf_free(&t->type);
}

/* form-data; name="…"; filename="…" */
static int read_disposition(const char *value, struct texts *t)
{
    static const char form[] = "form-data";
    _cleanup_buf_ struct buf text = BUF_INIT(MULTIPART_HEADERS_MAX);
    const char *at = value + sizeof form - 1, *name;
    size_t len;
    bool extended = false;
    if (strncasecmp(value, form, sizeof form - 1) != 0 || !strchr("; \t", *at))
        return -EINVAL;
    while (next_parameter(&at, &name, &len, &text)) {
        int r = 0;
        if (name_is(name, len, "name")) {
            buf_reset(&t->name);
            r = buf_add(&t->name, text.data, text.len);
            t->has_name = true;
        } else if (name_is(name, len, "filename*")) {
            r = decode_extended(buf_str(&text), &t->filename);
            t->has_filename = extended = true;
        } else if (name_is(name, len, "filename") && !extended) {
            buf_reset(&t->filename);
            r = buf_add(&t->filename, text.data, text.len);
            t->has_filename = true;
        }
        if (r < 0)
            return r;
    }
    return at[strspn(at, "; \t")] == '\0' && t->has_name ? 0 : -EINVAL;
}

/* Content comes as it is; nobody sends base64 in a form, and it must not be stored by mistake. */
static int check_encoding(const char *value)
{
    return str_equal_nocase(value, "binary") || str_equal_nocase(value, "8bit") ||
                   str_equal_nocase(value, "7bit")
               ? 0
               : -EINVAL;
}

static int read_header(const char *name, size_t len, const char *value, struct texts *t)
{
    if (name_is(name, len, "Content-Disposition"))
        return t->has_name ? -EINVAL : read_disposition(value, t);
    if (name_is(name, len, "Content-Transfer-Encoding"))
        return check_encoding(value);
    if (!name_is(name, len, "Content-Type"))
        return 0;
    buf_reset(&t->type);
    t->has_type = true;
    return buf_adds(&t->type, value);
}

/* The lines are whole; each ends with CR LF, and so does the text. It is cut up. */
static int read_headers(char *text, struct texts *t)
{
    for (char *line = text; *line;) {
        char *end = strstr(line, "\r\n"), *colon = strchr(line, ':');
        *end = '\0';
        if (!colon || colon >= end || colon == line || strpbrk(line, "\r\n"))
            return -EINVAL;
        char *value = colon + 1 + strspn(colon + 1, " \t");
        for (char *last = end; last > value && strchr(" \t", last[-1]);)
            *--last = '\0';
        int r = read_header(line, (size_t)(colon - line), value, t);
        if (r < 0)
            return r;
        line = end + 2;
    }
    return t->has_name ? 0 : -EINVAL;
}

static int begin_part(struct multipart *m)
{
    _cleanup_(free_texts) struct texts t = {.name = BUF_INIT(MULTIPART_HEADERS_MAX),
                                            .filename = BUF_INIT(MULTIPART_HEADERS_MAX),
                                            .type = BUF_INIT(MULTIPART_HEADERS_MAX)};
    if (++m->parts > MULTIPART_PARTS_MAX)
        return -E2BIG;
    m->headers.data[m->headers.len - 2] = '\0'; /* without the empty line */
    int r = strlen(m->headers.data) == m->headers.len - 2 ? read_headers(m->headers.data, &t) : -EINVAL;
    buf_reset(&m->headers);
    if (r < 0)
        return r == -ENOMEM ? r : -EINVAL;
    struct multipart_part part = {buf_str(&t.name), t.has_filename ? buf_str(&t.filename) : NULL,
                                  t.has_type ? buf_str(&t.type) : NULL};
    if (!part.name || (t.has_filename && !part.filename) || (t.has_type && !part.type))
        return -ENOMEM;
    m->state = MULTIPART_CONTENT;
    m->matched = 0;
    return m->events->begin(m->ctx, &part);
}

/* Takes up to the end of a line: the number of bytes, or a negative errno. */
static ssize_t take_header_bytes(struct multipart *m, const char *data, size_t len)
{
    const char *end = memchr(data, '\n', len);
    size_t n = end ? (size_t)(end - data) + 1 : len;
    int r = buf_add(&m->headers, data, n);
    if (r < 0)
        return r == -ENOBUFS ? -E2BIG : r;
    const struct buf *h = &m->headers;
    bool whole = end && (h->len == 2 ? memcmp(h->data, "\r\n", 2) == 0
                                     : h->len >= 4 && memcmp(h->data + h->len - 4, "\r\n\r\n", 4) == 0);
    r = whole ? begin_part(m) : 0;
    return r < 0 ? r : (ssize_t)n;
}

/* --- content and delimiters ---------------------------------------------------------------------------- */

static int emit(struct multipart *m, const char *data, size_t len)
{
    return m->state == MULTIPART_CONTENT && len > 0 ? m->events->data(m->ctx, data, len) : 0;
}

/* What had matched was content after all. */
static int give_back_match(struct multipart *m)
{
    size_t n = m->matched;
    m->matched = 0;
    return emit(m, m->delimiter, n);
}

static int meet_delimiter(struct multipart *m)
{
    bool content = m->state == MULTIPART_CONTENT;
    m->matched = 0;
    m->state = MULTIPART_AFTER_DELIMITER;
    return content ? m->events->end(m->ctx) : 0;
}

/* Content (or preamble) up to the next byte that may belong to a delimiter, or one byte of that. */
static ssize_t take_content(struct multipart *m, const char *data, size_t len)
{
    int r = 0;
    if (m->matched == 0) {
        const char *cr = memchr(data, '\r', len);
        size_t n = cr ? (size_t)(cr - data) : len;
        r = emit(m, data, n);
        m->matched = cr != NULL;
        return r < 0 ? r : (ssize_t)(n + (cr != NULL));
    }
    if (data[0] != m->delimiter[m->matched]) {
        r = give_back_match(m);
        return r < 0 ? r : 0;
    }
    if (++m->matched == m->delimiter_len)
        r = meet_delimiter(m);
    return r < 0 ? r : 1;
}

/* Behind a delimiter: blanks and a line's end, or "--". */
static ssize_t take_delimiter_end(struct multipart *m, char c)
{
    if (m->state == MULTIPART_LINE_END && c == '\n')
        m->state = MULTIPART_HEADERS;
    else if (m->state == MULTIPART_CLOSING && c == '-')
        m->state = MULTIPART_EPILOGUE;
    else if (m->state == MULTIPART_AFTER_DELIMITER && c == '-')
        m->state = MULTIPART_CLOSING;
    else if (m->state == MULTIPART_AFTER_DELIMITER && c == '\r')
        m->state = MULTIPART_LINE_END;
    else if (m->state != MULTIPART_AFTER_DELIMITER || (c != ' ' && c != '\t'))
        return -EINVAL;
    return 1;
}

/* Takes some bytes: their number (0 only once in a row), or a negative errno. */
static ssize_t take_some(struct multipart *m, const char *data, size_t len)
{
    switch (m->state) {
    case MULTIPART_PREAMBLE:
    case MULTIPART_CONTENT:
        return take_content(m, data, len);
    case MULTIPART_AFTER_DELIMITER:
    case MULTIPART_CLOSING:
    case MULTIPART_LINE_END:
        return take_delimiter_end(m, data[0]);
    case MULTIPART_HEADERS:
        return take_header_bytes(m, data, len);
    case MULTIPART_EPILOGUE:
        break;
    }
    return (ssize_t)len;
}

int multipart_push(struct multipart *m, const char *data, size_t len)
{
    while (len > 0 && m->failed == 0) {
        ssize_t n = take_some(m, data, len);
        if (n < 0)
            m->failed = (int)n;
        else {
            data += n;
            len -= (size_t)n;
        }
    }
    return m->failed;
}

int multipart_end(struct multipart *m)
{
    if (m->failed == 0 && m->state != MULTIPART_EPILOGUE)
        m->failed = -EINVAL;
    return m->failed;
}
