/* SPDX-License-Identifier: MIT */
/* Lines end in CRLF, names are tokens that touch their colon, nothing is folded, no byte is a control. Hosts
 * are of the characters that names and addresses have; what a name means is for the resolver to say, which
 * also reads the odd ways of writing an IPv4 address. */
#include "net/proxy_head.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define HEADERS_MOST 100
#define TOKEN_CHARS "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789.-_"
#define IPV6_CHARS "abcdef0123456789:."
#define SCHEME "http://"
#define PORT_DIGITS 5
#define LENGTH_DIGITS 18

struct piece {
    const char *at;
    size_t len;
};

struct header {
    struct piece name, value;
};

static bool piece_is(struct piece p, const char *text)
{
    return p.len == strlen(text) && strncasecmp(p.at, text, p.len) == 0;
}

static bool piece_only(struct piece p, const char *set)
{
    for (size_t i = 0; i < p.len; i++)
        if (!p.at[i] || !strchr(set, p.at[i]))
            return false;
    return true;
}

/* Takes the next line, without its end, off the rest; false when there is none. */
static bool next_line(struct piece *rest, struct piece *ret)
{
    const char *end = memmem(rest->at, rest->len, "\r\n", 2);
    if (!end)
        return false;
    *ret = (struct piece){rest->at, (size_t)(end - rest->at)};
    rest->len -= ret->len + 2;
    rest->at = end + 2;
    return true;
}

static bool has_controls(struct piece line)
{
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.at[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static int read_number(struct piece p, size_t digits, int64_t *ret)
{
    int64_t n = 0;
    if (p.len == 0 || p.len > digits || !piece_only(p, "0123456789"))
        return -EBADMSG;
    for (size_t i = 0; i < p.len; i++)
        n = n * 10 + (p.at[i] - '0');
    *ret = n;
    return 0;
}

/* ---- the request line */

static int copy_host(struct piece host, const char *chars, char *ret)
{
    if (host.len == 0 || host.len >= PROXY_HOST_SIZE)
        return -EBADMSG;
    memcpy(ret, host.at, host.len);
    ret[host.len] = '\0';
    str_lower(ret);
    return strlen(ret) == host.len && str_only(ret, chars) ? 0 : -EBADMSG;
}

/* "host", "host:port", "[address]" or "[address]:port". port: where none is given; 0 = it must be. */
static int read_authority(struct piece a, int port, struct proxy_head *ret)
{
    bool bracketed = a.len > 0 && a.at[0] == '[';
    const char *end = a.len == 0 ? NULL : memchr(a.at, bracketed ? ']' : ':', a.len);
    struct piece host = {a.at + bracketed, end ? (size_t)(end - a.at) - bracketed : a.len}, rest = {a.at, 0};
    if (bracketed && !end)
        return -EBADMSG;
    if (end)
        rest = (struct piece){end + bracketed, a.len - (size_t)(end - a.at) - bracketed};
    int64_t number = port;
    int r = copy_host(host, bracketed ? IPV6_CHARS : NAME_CHARS, ret->host);
    if (r == 0 && rest.len > 0)
        r = rest.at[0] == ':' ? read_number((struct piece){rest.at + 1, rest.len - 1}, PORT_DIGITS, &number)
                              : -EBADMSG;
    if (r == 0 && (number < 1 || number > 65535))
        r = -EBADMSG;
    ret->port = (int)number;
    return r;
}

static int read_url(const char *text, struct piece url, struct proxy_head *ret)
{
    size_t scheme = strlen(SCHEME);
    if (url.len <= scheme || strncasecmp(url.at, SCHEME, scheme) != 0)
        return url.len > 0 && memmem(url.at, url.len, "://", 3) ? -EOPNOTSUPP : -EBADMSG;
    struct piece authority = {url.at + scheme, 0};
    size_t left = url.len - scheme;
    while (authority.len < left && !strchr("/?#", authority.at[authority.len]))
        authority.len++;
    ret->path_at = (size_t)(authority.at + authority.len - text);
    ret->path_len = left - authority.len;
    if (memchr(authority.at, '#', left))
        return -EBADMSG;
    return read_authority(authority, 80, ret);
}

static int read_request_line(const char *text, struct piece line, struct proxy_head *ret)
{
    static const char *const methods[] = {"GET", "HEAD", "POST"};
    const char *space = line.len == 0 ? NULL : memchr(line.at, ' ', line.len);
    if (!space || !piece_only((struct piece){line.at, (size_t)(space - line.at)}, TOKEN_CHARS))
        return -EBADMSG;
    struct piece method = {line.at, (size_t)(space - line.at)}, rest = {space + 1, line.len - method.len - 1};
    space = rest.len == 0 ? NULL : memchr(rest.at, ' ', rest.len);
    if (method.len == 0 || !space)
        return -EBADMSG;
    struct piece target = {rest.at, (size_t)(space - rest.at)},
                 version = {space + 1, rest.len - target.len - 1};
    if (!piece_is(version, "HTTP/1.1") && !piece_is(version, "HTTP/1.0"))
        return -EBADMSG;
    ret->method_len = method.len;
    ret->tunnel = method.len == strlen("CONNECT") && memcmp(method.at, "CONNECT", method.len) == 0;
    if (ret->tunnel)
        return read_authority(target, 0, ret);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (method.len == strlen(methods[i]) && memcmp(method.at, methods[i], method.len) == 0)
            return read_url(text, target, ret);
    return -EOPNOTSUPP;
}

/* ---- headers */

static int read_header(struct piece line, struct header *ret)
{
    const char *colon = line.len == 0 ? NULL : memchr(line.at, ':', line.len);
    if (!colon || colon == line.at || has_controls(line))
        return -EBADMSG;
    ret->name = (struct piece){line.at, (size_t)(colon - line.at)};
    ret->value = (struct piece){colon + 1, line.len - ret->name.len - 1};
    while (ret->value.len > 0 && strchr(" \t", ret->value.at[0]))
        ret->value.at++, ret->value.len--;
    while (ret->value.len > 0 && strchr(" \t", ret->value.at[ret->value.len - 1]))
        ret->value.len--;
    return piece_only(ret->name, TOKEN_CHARS) ? 0 : -EBADMSG;
}

static int read_credentials(struct piece value, struct proxy_head *ret)
{
    static const char basic[] = "Basic ";
    size_t skip = sizeof basic - 1;
    if (ret->credentials[0] || value.len <= skip || strncasecmp(value.at, basic, skip) != 0 ||
        value.len - skip >= sizeof ret->credentials)
        return -EBADMSG;
    memcpy(ret->credentials, value.at + skip, value.len - skip);
    ret->credentials[value.len - skip] = '\0';
    return 0;
}

static int use_header(const struct header *h, struct proxy_head *ret, bool *has_length)
{
    if (piece_is(h->name, "Proxy-Authorization"))
        return read_credentials(h->value, ret);
    if (piece_is(h->name, "Transfer-Encoding"))
        return -EOPNOTSUPP;
    if (!piece_is(h->name, "Content-Length"))
        return 0;
    if (*has_length)
        return -EBADMSG;
    *has_length = true;
    return read_number(h->value, LENGTH_DIGITS, &ret->body);
}

static int read_headers(struct piece rest, struct proxy_head *ret)
{
    struct piece line;
    bool has_length = false;
    for (int n = 0; n <= HEADERS_MOST; n++) {
        struct header h;
        if (!next_line(&rest, &line))
            return -EBADMSG;
        if (line.len == 0)
            return rest.len == 0 ? 0 : -EBADMSG;
        int r = read_header(line, &h);
        if (r == 0)
            r = use_header(&h, ret, &has_length);
        if (r < 0)
            return r;
    }
    return -EBADMSG;
}

int proxy_head_parse(const char *text, size_t len, struct proxy_head *ret)
{
    struct proxy_head head = {0};
    struct piece rest = {text, len}, line;
    if (len > PROXY_HEAD_MAX || !next_line(&rest, &line) || has_controls(line) ||
        memchr(line.at, '\t', line.len))
        return -EBADMSG;
    int r = read_request_line(text, line, &head);
    if (r == 0)
        r = read_headers(rest, &head);
    if (r == 0 && head.tunnel && head.body > 0)
        r = -EBADMSG;
    if (r == 0)
        *ret = head;
    wipe(&head, sizeof head);
    return r;
}

/* ---- what the server behind gets */

static bool is_ours(struct piece name)
{
    static const char *const ours[] = {
        "Host",   "Connection",          "Keep-Alive",      "TE", "Upgrade", "Trailer",
        "Expect", "Proxy-Authorization", "Proxy-Connection"};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (piece_is(name, ours[i]))
            return true;
    return false;
}

static void add_host(const struct proxy_head *head, struct buf *out)
{
    bool v6 = strchr(head->host, ':') != NULL;
    (void)buf_addf(out, "Host: %s%s%s", v6 ? "[" : "", head->host, v6 ? "]" : "");
    if (head->port != 80)
        (void)buf_addf(out, ":%d", head->port);
    (void)buf_adds(out, "\r\n");
}

int proxy_head_rewrite(const char *text, size_t len, const struct proxy_head *head, struct buf *out)
{
    struct piece rest = {text, len}, line;
    bool rooted = head->path_len > 0 && text[head->path_at] == '/';
    (void)buf_add(out, text, head->method_len);
    (void)buf_adds(out, rooted ? " " : " /");
    (void)buf_add(out, text + head->path_at, head->path_len);
    (void)buf_adds(out, " HTTP/1.1\r\n");
    add_host(head, out);
    (void)next_line(&rest, &line);
    while (next_line(&rest, &line) && line.len > 0) {
        struct header h;
        if (read_header(line, &h) < 0 || is_ours(h.name))
            continue;
        (void)buf_add(out, line.at, line.len);
        (void)buf_adds(out, "\r\n");
    }
    (void)buf_adds(out, "Connection: close\r\n\r\n");
    if (out->failed)
        return out->len >= out->max ? -ENOBUFS : -ENOMEM;
    return 0;
}
