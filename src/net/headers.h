/* SPDX-License-Identifier: MIT */
/* Header lists for curl. They may hold keys, so they are wiped when freed. */
#ifndef NET_HEADERS_H
#define NET_HEADERS_H

#include <curl/curl.h>

/* Appends one "Name: value": 0 or -ENOMEM. *list may be NULL at first. */
int headers_add(struct curl_slist **list, const char *header);

/* Wipes and frees; NULL does nothing. */
void headers_free(struct curl_slist *list);

#endif
