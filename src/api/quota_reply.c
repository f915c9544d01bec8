/* SPDX-License-Identifier: MIT */
#include "api/quota_reply.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/text.h"

static json_t *numbers(json_t *body, const struct quota_outcome *o)
{
    char resets[ISO_TIME_LEN];
    if (!body || o->reason == QUOTA_CHECK_FAILED)
        return body;
    (void)json_object_set_new(body, "limit", json_integer(o->limit));
    (void)json_object_set_new(body, "used", json_integer(o->used));
    if (o->resets_ms) {
        clock_format_iso(o->resets_ms, resets);
        (void)json_object_set_new(body, "resets_at", json_string(resets));
    }
    return body;
}

/* Clients of this refusal look for the code under `error` too. */
reply reply_quota_refused(struct request *rq, const struct quota_outcome *outcome)
{
    const struct error_info *info = error_info(ERR_TIER_LIMIT);
    char message[QUOTA_SENTENCE_SIZE];
    quota_sentence(outcome, message);
    metric_add(METRIC_QUOTA_REFUSED, 1);
    if (str_has_prefix(rq->path, "/api/directus"))
        return reply_error(rq, ERR_TIER_LIMIT, message);
    json_t *body = json_pack("{s:b, s:s, s:s, s:s, s:s}", "ok", 0, "error", info->code, "code", info->code,
                             "reason", quota_reason_name(outcome->reason), "message", message);
    return reply_value(rq, info->status, numbers(body, outcome));
}
