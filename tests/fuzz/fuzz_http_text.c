/* SPDX-License-Identifier: MIT */
/* The small texts of a request: times, event ids, forwarded addresses, lists, durations. What is read can be
 * written again and means the same; what is refused leaves its result alone. */
#include "fuzz.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/uuid.h"
#include "http/client_address.h"
#include "http/events.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define UNTOUCHED INT64_C(-4711)
#define PROXIES "127.0.0.1,10.0.0.2,::1,2001:db8::2"

static void require(bool held)
{
    if (!held)
        abort();
}

static void check_time(const char *text)
{
    char again[ISO_TIME_LEN];
    int64_t ms = UNTOUCHED, back = UNTOUCHED;
    if (clock_parse_iso(text, &ms) < 0) {
        require(ms == UNTOUCHED);
        return;
    }
    clock_format_iso(ms, again);
    require(clock_parse_iso(again, &back) == 0 && back == ms);
}

static void check_event_id(const char *text)
{
    char id[UUID_SIZE] = "-", again[UUID_SIZE + 32];
    int64_t n = UNTOUCHED;
    if (event_id_parse(text, id, &n) < 0) {
        require(n == UNTOUCHED && str_equal(id, "-"));
        return;
    }
    require(n >= 0 && (id[0] == '\0' || uuid_valid(id)));
    (void)snprintf(again, sizeof again, "%s%s%lld", id, id[0] ? ":" : "", (long long)n);
    int64_t back = UNTOUCHED;
    require(event_id_parse(again, NULL, &back) == 0 && back == n);
}

static void check_address(const char *text)
{
    struct arena a;
    struct in6_addr binary;
    char again[INET6_ADDRSTRLEN];
    arena_init(&a, (size_t)1024 * 1024);
    const char *found = client_address(&a, "127.0.0.1", PROXIES, text);
    require(found != NULL);
    int family = strchr(found, ':') ? AF_INET6 : AF_INET;
    require(inet_pton(family, found, &binary) == 1 && inet_ntop(family, &binary, again, sizeof again));
    require(strcmp(found, again) == 0); /* canonical, so that it can be compared */
    require(str_equal(client_address(&a, "9.9.9.9", PROXIES, text), "9.9.9.9"));
    require(str_equal(client_address(&a, "127.0.0.1", "none", text), "127.0.0.1"));
    arena_free(&a);
}

static void check_list(const char *text)
{
    const char *list = text, *item, *last_end = text, *end = text + strlen(text);
    size_t len;
    while (list_next(&list, &item, &len)) {
        require(item >= last_end && len > 0 && item + len <= list && list <= end);
        require(!memchr(item, ',', len) && !strchr(" \t", item[0]) && !strchr(" \t", item[len - 1]));
        last_end = item + len;
    }
    require(list == end);
}

static void check_duration(const char *text)
{
    int64_t ms = UNTOUCHED, n = 0;
    if (parse_duration(text, &ms) < 0)
        require(ms == UNTOUCHED);
    else
        require(ms >= 1000 && ms <= INT64_C(1000000) * 86400 * 1000 && ms % 1000 == 0);
    if (parse_int(text, -100, 100, &n) == 0)
        require(n >= -100 && n <= 100);
}

static void check_base64(const char *text)
{
    struct arena a;
    size_t len = 0;
    arena_init(&a, (size_t)1024 * 1024);
    uint8_t *bytes = base64_decode(&a, text, &len);
    if (bytes) {
        const char *again = base64_encode(&a, bytes, len);
        require(again && strlen(again) == strlen(text) && len <= strlen(text) / 4 * 3);
        require(strncmp(again, text, len / 3 * 4) == 0); /* the last group may carry bits that mean nothing */
    }
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 16 * 1024)
        return 0;
    char *text = calloc(1, size + 1); /* of its own, so that a read past the end is noticed */
    require(text != NULL);
    memcpy(text, data, size);
    check_time(text);
    check_event_id(text);
    check_address(text);
    check_list(text);
    check_duration(text);
    check_base64(text);
    free(text);
    return 0;
}
