/* SPDX-License-Identifier: MIT */
#include "llm/format.h"

#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

void llm_parser_init(struct llm_parser *p, const struct llm_format *format)
{
    *p = (struct llm_parser){.format = format, .prompt_tokens = -1, .completion_tokens = -1};
    lines_init(&p->lines);
    p->event = BUF_INIT(LINE_MAX_BYTES);
    p->text = BUF_INIT(LLM_TEXT_MAX);
}

void llm_parser_free(struct llm_parser *p)
{
    lines_free(&p->lines);
    buf_free(&p->event);
    buf_free(&p->text);
}

void parser_fail(struct llm_parser *p, const char *sentence)
{
    p->state = PARSER_FAILED;
    p->error = sentence;
}

void parser_done(struct llm_parser *p)
{
    join_finish(&p->joiner, &p->text);
    p->state = PARSER_DONE;
}

void parser_say(struct llm_parser *p, const struct pick *text)
{
    if (text->type != PICK_STRING || text->len == 0)
        return;
    p->progress++;
    join_json(&p->joiner, &p->text, text->raw, text->len);
}

void parser_think(struct llm_parser *p, const struct pick *text)
{
    if (text->type == PICK_STRING && text->len > 0)
        p->progress++;
}

int parser_pick(struct llm_parser *p, const char *json, size_t len, const char *const *paths, size_t n,
                struct pick *ret)
{
    int r = pick_fields(json, len, JSON_MAX_DEPTH, paths, n, ret);
    if (r < 0)
        parser_fail(p, SAYS_UNREADABLE);
    return r;
}

bool pick_present(const struct pick *p)
{
    return p->type != PICK_NONE && p->type != PICK_NULL;
}

void build_number(struct buf *out, const char *name, double value)
{
    (void)buf_addf(out, ",\"%s\":%.15g", name, isfinite(value) ? value : 0);
}

/* One JSON text of the stream. Anything but 0 ends the reading of what else was fed. */
static int take_json(struct llm_parser *p, const char *json, size_t len)
{
    p->format->event(p, json, len);
    if (p->text.failed)
        parser_fail(p, SAYS_UNREADABLE);
    return p->state == PARSER_READING ? 0 : -EPIPE;
}

static int end_event(struct llm_parser *p)
{
    if (!p->has_event)
        return 0;
    p->has_event = false;
    int r = p->event.len > 0 ? take_json(p, p->event.data, p->event.len) : 0;
    buf_reset(&p->event);
    return r;
}

/* Only `data` matters: the formats name their events inside of it too. Comments and other fields pass by. */
static int take_event_line(struct llm_parser *p, const char *line, size_t len)
{
    static const char field[] = "data:";
    size_t skip = sizeof field - 1;
    if (len == 0)
        return end_event(p);
    if (len < skip || memcmp(line, field, skip) != 0)
        return 0;
    if (len > skip && line[skip] == ' ')
        skip++;
    if (p->has_event)
        (void)buf_add(&p->event, "\n", 1);
    p->has_event = true;
    (void)buf_add(&p->event, line + skip, len - skip);
    return p->event.failed ? -EMSGSIZE : 0;
}

static int take_line(void *ctx, const char *line, size_t len)
{
    struct llm_parser *p = ctx;
    if (p->format->events)
        return take_event_line(p, line, len);
    return len > 0 ? take_json(p, line, len) : 0;
}

static void note(struct llm_parser *p, int r)
{
    if (r < 0 && p->state == PARSER_READING)
        parser_fail(p, SAYS_UNREADABLE);
}

void llm_parser_feed(struct llm_parser *p, const char *data, size_t len)
{
    if (p->state == PARSER_READING)
        note(p, lines_feed(&p->lines, data, len, take_line, p));
    if (!p->has_event)
        buf_free(&p->event); /* nothing is held between events */
}

void llm_parser_finish(struct llm_parser *p)
{
    if (p->state == PARSER_READING)
        note(p, lines_finish(&p->lines, take_line, p));
    if (p->state == PARSER_READING)
        note(p, end_event(p));
    if (p->state == PARSER_READING && p->may_end)
        parser_done(p);
    if (p->state == PARSER_READING)
        parser_fail(p, SAYS_BROKE_OFF);
}
