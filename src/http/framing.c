/* SPDX-License-Identifier: MIT */
#include "http/framing.h"

#include "base/text.h"
#include "http/secret.h"

#include <stdbool.h>

struct headers {
    size_t bytes;
    int lengths, encodings, hosts, authorizations, secrets, keys;
};

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                    const char *value, size_t value_len)
{
    struct headers *h = cls;
    (void)kind, (void)value;
    h->bytes += name_len + value_len + 4; /* ": " and the line's end */
    h->lengths += str_equal_nocase(name, "Content-Length");
    h->encodings += str_equal_nocase(name, "Transfer-Encoding");
    h->hosts += str_equal_nocase(name, "Host");
    h->authorizations += str_equal_nocase(name, "Authorization");
    h->secrets += str_equal_nocase(name, SECRET_HEADER);
    h->keys += str_equal_nocase(name, "Idempotency-Key");
    return MHD_YES;
}

enum error_id framing_check(struct MHD_Connection *connection)
{
    struct headers h = {0};
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, count_header, &h);
    if (h.bytes > FRAMING_HEADER_BYTES_MAX)
        return ERR_HEADERS_TOO_LARGE;
    bool two_readings =
        h.lengths + h.encodings > 1 || h.hosts > 1 || h.authorizations > 1 || h.secrets > 1 || h.keys > 1;
    return two_readings ? ERR_BAD_REQUEST : ERR_NONE;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t framing_unescape(char *text)
{
    char *to = text;
    for (const char *s = text; *s; to++) {
        int high = *s == '%' ? digit(s[1]) : -1, low = high >= 0 ? digit(s[2]) : -1;
        bool decoded = low >= 0 && high + low > 0;
        *to = decoded ? (char)(high << 4 | low) : *s;
        s += decoded ? 3 : 1;
    }
    *to = '\0';
    return (size_t)(to - text);
}
