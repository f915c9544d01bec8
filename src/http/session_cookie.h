/* SPDX-License-Identifier: MIT */
/* The one cookie that authenticates: Directus's session token, for browsers that use its SDK in session mode.
 * It is honoured under one path only, and only on a request whose content type is JSON: no form of another
 * site can make one, and a script there fails its preflight. The reading of an asset needs no such type,
 * since a page's images have none: it changes nothing, and the cookie (SameSite=Lax) isn't sent with what
 * other sites embed. */
#ifndef HTTP_SESSION_COOKIE_H
#define HTTP_SESSION_COOKIE_H

#include "http/request.h"

#define SESSION_COOKIE "directus_session_token"
#define SESSION_COOKIE_PATH "/api/directus"

/* Whether cookies count on this request at all. */
bool session_cookies_count(const struct request *rq);

/* The session token of the cookie, in the arena, where cookies count; else NULL. */
const char *session_cookie(struct request *rq);

#endif
