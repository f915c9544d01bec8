/* SPDX-License-Identifier: MIT */
#include "import/document.h"

#include "base/text.h"
#include "import/mend.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TITLE_MAX 200
#define DEPTH_MAX 8

int document_parse(struct arena *a, const char *data, size_t len, struct document *ret)
{
    bool mended = false;
    const char *text = mend_text(a, data, len, &mended);
    text = text ? mend_json(a, text, &mended) : NULL;
    if (!text)
        return -ENOMEM;
    _cleanup_json_ json_t *file = json_parse(text, strlen(text));
    const char *content = json_str(file, "pageContent", NULL), *title = json_str(file, "title", NULL);
    if (!content || str_is_blank(content))
        return -EINVAL;
    size_t content_len = strlen(content);
    if (content_len > DOCUMENT_TEXT_MAX)
        return -E2BIG;
    title = title && !str_is_blank(title) ? title : "Document";
    ret->title = arena_strndup(a, title, utf8_floor(title, strlen(title), TITLE_MAX));
    ret->text = arena_strndup(a, content, content_len);
    ret->len = content_len;
    return ret->title && ret->text ? 0 : -ENOMEM;
}

/* Where the last `mark` in the second half of the text ends; 0 where there is none. */
static size_t last_end(const char *text, size_t len, const char *mark)
{
    size_t k = strlen(mark);
    for (size_t end = len; end >= len / 2 + k; end--)
        if (memcmp(text + end - k, mark, k) == 0)
            return end;
    return 0;
}

size_t document_part(const char *text, size_t len)
{
    static const char *const marks[] = {"\n\n", "\n", ". ", " "};
    if (len <= DOCUMENT_PART)
        return len;
    size_t most = utf8_floor(text, len, DOCUMENT_PART);
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        size_t end = last_end(text, most, marks[i]);
        if (end > 0)
            return end;
    }
    return most > 0 ? most : DOCUMENT_PART;
}

int document_open(int dir, const char *docpath)
{
    char part[256];
    int at = dup(dir);
    for (int depth = 0; at >= 0; depth++) {
        size_t len = strcspn(docpath, "/");
        bool last = docpath[len] == '\0';
        if (len == 0 || len >= sizeof part || docpath[0] == '.' || depth == DEPTH_MAX) {
            close(at);
            return -EINVAL;
        }
        memcpy(part, docpath, len);
        part[len] = '\0';
        int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
        int next = openat(at, part, flags), error = errno;
        close(at);
        if (next < 0)
            return -error;
        if (last)
            return next;
        at = next;
        docpath += len + 1;
    }
    return -errno;
}
