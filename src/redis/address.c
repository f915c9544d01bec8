/* SPDX-License-Identifier: MIT */
#include "redis/address.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define SCHEME "redis://"
#define HOST_MAX 255

static int refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EINVAL;
}

/* %XX into bytes, in place; a NUL can't be meant. */
static int percent_decode(char *s)
{
    char *to = s;
    for (; *s; s++) {
        uint8_t byte;
        if (*s != '%') {
            *to++ = *s;
            continue;
        }
        char digits[3] = {s[1], s[1] ? s[2] : '\0'};
        if (hex_decode(digits, &byte, 1) < 0 || byte == 0)
            return -EINVAL;
        *to++ = (char)byte;
        s += 2;
    }
    *to = '\0';
    return 0;
}

static int parse_user_info(char *info, struct redis_address *ret, const char **ret_why)
{
    char *password = strchr(info, ':');
    if (password)
        *password++ = '\0';
    if (percent_decode(info) < 0 || (password && percent_decode(password) < 0))
        return refuse(ret_why, "has a user or password that isn't percent-encoded rightly");
    ret->user = info[0] ? info : NULL;
    ret->password = password && password[0] ? password : NULL;
    if (ret->user && !ret->password)
        return refuse(ret_why, "names a user, but no password");
    return 0;
}

static int parse_db(const char *path, struct redis_address *ret, const char **ret_why)
{
    int64_t db = 0;
    if (path[0] && parse_int(path, 0, 65535, &db) < 0)
        return refuse(ret_why, "must end in the number of a database, as in /0");
    ret->db = (int)db;
    return 0;
}

static int parse_host(char *host, struct redis_address *ret, const char **ret_why)
{
    int64_t port = 0;
    char *colon = strrchr(host, ':');
    if (host[0] == '[') {
        char *end = strchr(host, ']');
        if (!end || (end[1] && end[1] != ':'))
            return refuse(ret_why, "has an address in brackets that doesn't end");
        colon = end[1] ? end + 1 : NULL;
        *end = '\0';
        host++;
    }
    if (colon) {
        *colon++ = '\0';
        if (parse_int(colon, 1, 65535, &port) < 0)
            return refuse(ret_why, "has a port that isn't a number from 1 to 65535");
        ret->port = colon;
    }
    if (!host[0] || strlen(host) > HOST_MAX || strpbrk(host, " \t\r\n"))
        return refuse(ret_why, "names no host");
    ret->host = host;
    return 0;
}

int redis_address_parse(const char *url, struct arena *a, struct redis_address *ret, const char **ret_why)
{
    struct redis_address out = {.port = "6379"};
    if (!str_has_prefix(url, SCHEME))
        return refuse(ret_why, "must begin with redis://");
    if (strpbrk(url, "?#"))
        return refuse(ret_why, "takes no options behind ? or #");
    char *rest = arena_strdup(a, url + strlen(SCHEME));
    if (!rest)
        return -ENOMEM;
    char *path = strchr(rest, '/');
    if (path)
        *path++ = '\0';
    char *host = strrchr(rest, '@');
    int r = 0;
    if (host) {
        *host++ = '\0';
        r = parse_user_info(rest, &out, ret_why);
    }
    if (r == 0)
        r = parse_db(path ? path : "", &out, ret_why);
    if (r == 0)
        r = parse_host(host ? host : rest, &out, ret_why);
    if (r == 0)
        *ret = out;
    return r;
}
