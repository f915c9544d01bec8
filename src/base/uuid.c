/* SPDX-License-Identifier: MIT */
#include "base/uuid.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

void random_bytes(void *ret, size_t len)
{
    char *p = ret;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort();
        p += n;
        len -= (size_t)n;
    }
}

void random_text(const char *alphabet, char *ret, size_t len)
{
    size_t n = strlen(alphabet);
    unsigned limit = (unsigned)(256 / n * n); /* values above it would favour the first letters */
    for (size_t i = 0; i < len;) {
        uint8_t bytes[64];
        random_bytes(bytes, sizeof bytes);
        for (size_t k = 0; k < sizeof bytes && i < len; k++)
            if (bytes[k] < limit)
                ret[i++] = alphabet[bytes[k] % n];
    }
    ret[len] = '\0';
}

void uuid_make(char *ret)
{
    uint8_t b[16];
    char hex[33];
    random_bytes(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0F) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3F) | 0x80);
    hex_encode(b, sizeof b, hex);
    static const unsigned parts[] = {8, 4, 4, 4, 12};
    const char *from = hex;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        memcpy(ret, from, parts[i]);
        from += parts[i];
        ret += parts[i];
        *ret++ = '-';
    }
    ret[-1] = '\0';
}

bool uuid_valid(const char *s)
{
    for (int i = 0; i < UUID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
            return false;
    }
    return s[UUID_LEN] == '\0';
}
