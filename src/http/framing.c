/* SPDX-License-Identifier: MIT */
#include "http/framing.h"

#include "base/text.h"
#include "http/secret.h"

#include <stdbool.h>

struct headers {
    size_t bytes;
    int lengths, encodings, hosts, authorizations, secrets;
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
    return MHD_YES;
}

enum error_id framing_check(struct MHD_Connection *connection)
{
    struct headers h = {0};
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, count_header, &h);
    if (h.bytes > FRAMING_HEADER_BYTES_MAX)
        return ERR_HEADERS_TOO_LARGE;
    bool two_readings = h.lengths + h.encodings > 1 || h.hosts > 1 || h.authorizations > 1 || h.secrets > 1;
    return two_readings ? ERR_BAD_REQUEST : ERR_NONE;
}
