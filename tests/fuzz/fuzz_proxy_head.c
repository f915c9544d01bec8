/* SPDX-License-Identifier: MIT */
/* Heads of any bytes: what is taken names a host and a port of the characters that these have, and what goes
 * on to a server is again one head, which is taken too, says the same, and holds no password. */
#include "fuzz.h"

#include "base/text.h"
#include "net/proxy_head.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OUT_MAX (2 * PROXY_HEAD_MAX)

static void require(bool held)
{
    if (!held)
        abort();
}

/* The rewritten request, with the URL put back in front of its path. */
static void check_again(const struct proxy_head *head, struct buf *out)
{
    struct proxy_head again;
    _cleanup_buf_ struct buf text = BUF_INIT(2 * OUT_MAX);
    const char *space = memchr(out->data, ' ', out->len);
    require(space && space[1] == '/');
    size_t method = (size_t)(space + 1 - out->data);
    bool v6 = strchr(head->host, ':') != NULL;
    (void)buf_add(&text, out->data, method);
    (void)buf_addf(&text, "http://%s%s%s:%d", v6 ? "[" : "", head->host, v6 ? "]" : "", head->port);
    (void)buf_add(&text, space + 1, out->len - method);
    require(!text.failed);
    int r = proxy_head_parse(text.data, text.len, &again);
    if (text.len > PROXY_HEAD_MAX || r == -EBADMSG)
        return; /* one header more than are taken, or too long by what was added */
    require(r == 0 && str_equal(again.host, head->host) && again.port == head->port);
    require(again.body == head->body && !again.credentials[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_head head;
    char *text = malloc(size ? size : 1); /* of its own, so that a read past the end is noticed */
    require(text != NULL);
    if (size)
        memcpy(text, data, size);
    int r = proxy_head_parse(text, size, &head);
    require(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP);
    if (r == 0) {
        require(head.host[0] && str_only(head.host, "abcdefghijklmnopqrstuvwxyz0123456789.-_:"));
        require(head.port >= 1 && head.port <= 65535 && head.body >= 0);
    }
    if (r == 0 && !head.tunnel) {
        _cleanup_buf_ struct buf out = BUF_INIT(OUT_MAX);
        require(proxy_head_rewrite(text, size, &head, &out) == 0);
        require(out.len > 4 && memcmp(out.data + out.len - 4, "\r\n\r\n", 4) == 0);
        require((size_t)((char *)memmem(out.data, out.len, "\r\n\r\n", 4) - out.data) == out.len - 4);
        check_again(&head, &out);
    }
    free(text);
    return 0;
}
