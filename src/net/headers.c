/* SPDX-License-Identifier: MIT */
#include "net/headers.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

int headers_add(struct curl_slist **list, const char *header)
{
    struct curl_slist *grown = curl_slist_append(*list, header);
    if (!grown)
        return -ENOMEM;
    *list = grown;
    return 0;
}

void headers_free(struct curl_slist *list)
{
    for (struct curl_slist *item = list; item; item = item->next)
        wipe(item->data, strlen(item->data));
    curl_slist_free_all(list);
}
