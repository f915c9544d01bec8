/* SPDX-License-Identifier: MIT */
#include "http/framing.h"

#include "base/text.h"
#include "http/secret.h"

#include <stdbool.h>
#include <string.h>

struct headers {
    size_t bytes;
    int lengths, encodings, hosts, authorizations, secrets, keys;
    bool malformed;
};

/* RFC 9110: a name is a token, so it has no blank before the colon; a value has no control characters. */
static bool is_well_formed(const char *name, size_t name_len, const char *value, size_t value_len)
{
    static const char token[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (name_len == 0 || strspn(name, token) != name_len || strlen(name) != name_len)
        return false;
    for (size_t i = 0; i < value_len; i++)
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
            return false;
    return true;
}

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                    const char *value, size_t value_len)
{
    struct headers *h = cls;
    (void)kind;
    h->bytes += name_len + value_len + 4; /* ": " and the line's end */
    h->lengths += str_equal_nocase(name, "Content-Length");
    bool encoding = str_equal_nocase(name, "Transfer-Encoding");
    h->encodings += encoding;
    h->hosts += str_equal_nocase(name, "Host");
    h->authorizations += str_equal_nocase(name, "Authorization");
    h->secrets += str_equal_nocase(name, SECRET_HEADER);
    h->keys += str_equal_nocase(name, "Idempotency-Key");
    h->malformed = h->malformed || !is_well_formed(name, name_len, value, value_len) ||
                   (encoding && !str_equal_nocase(value, "chunked"));
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
    return two_readings || h.malformed ? ERR_BAD_REQUEST : ERR_NONE;
}
