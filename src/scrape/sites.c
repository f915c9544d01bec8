/* SPDX-License-Identifier: MIT */
/* The addresses of the platforms, as data. */
#include "scrape/internal.h"

#include "base/text.h"

#include <string.h>

#define USERNAME_MAX 512

static const struct site sites[] = {
    {"onlyfans", "https://onlyfans.com/", "https://onlyfans.com/%s", "https://onlyfans.com/posts/create"},
    {"fansly", "https://fansly.com/", "https://fansly.com/%s", "https://fansly.com/home"},
    {"instagram", "https://www.instagram.com/", "https://www.instagram.com/%s/",
     "https://www.instagram.com/"},
    {"tiktok", "https://www.tiktok.com/", "https://www.tiktok.com/@%s", "https://www.tiktok.com/upload"},
    {"x", "https://x.com/", "https://x.com/%s", "https://x.com/compose/post"},
    {"reddit", "https://www.reddit.com/", "https://www.reddit.com/user/%s", "https://www.reddit.com/submit"},
    {"youtube", "https://www.youtube.com/", "https://www.youtube.com/@%s", "https://www.youtube.com/"},
    {"snapchat", "https://my.snapchat.com/", "https://www.snapchat.com/add/%s", "https://my.snapchat.com/"},
    {"facebook", "https://www.facebook.com/", "https://www.facebook.com/%s", "https://www.facebook.com/"},
};

const struct site *site_find(const char *platform)
{
    for (size_t i = 0; i < ARRAY_LEN(sites); i++)
        if (str_equal(sites[i].platform, platform))
            return &sites[i];
    return NULL;
}

const char *site_profile(struct arena *a, const struct site *site, const char *username)
{
    _cleanup_buf_ struct buf name = BUF_INIT(3 * USERNAME_MAX);
    const char *place = strstr(site->profile, "%s");
    if (url_encode(&name, username[0] == '@' ? username + 1 : username) < 0)
        return NULL;
    return arena_printf(a, "%.*s%s%s", (int)(place - site->profile), site->profile, buf_str(&name),
                        place + 2);
}
