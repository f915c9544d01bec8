/* SPDX-License-Identifier: MIT */
#include "agent/prompt.h"

#include "agent/tags.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define BYTES_PER_TOKEN 4
#define MESSAGE_OVERHEAD 4 /* tokens a model adds around each message */
#define ANSWER_TOKENS_MAX 2048
#define SYSTEM_MAX (512 * 1024)

static const char grounding_rules[] = "Use the notes below where they bear on the question, and cite them by "
                                      "their number in brackets, as in [1]. If they don't "
                                      "answer it, say so instead of inventing facts.";
static const char flow_rules[] =
    "You can run one of these actions by writing its tag, exactly in this form, on a line of its own: "
    "[ACTION:<slug>:<JSON object with its inputs>]. The user never sees the tag. Use an action only if the "
    "user's own message "
    "asks for what it does.";

int64_t prompt_tokens(const char *text)
{
    return (int64_t)(strlen(text) + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}

/* The budget while a prompt grows. */
struct builder {
    struct arena *arena;
    const struct prompt_parts *parts;
    struct buf system;
    int64_t left; /* tokens */
};

/* Adds a text to the system message if the window has room for it. */
static bool add_if_fits(struct builder *b, const char *text)
{
    int64_t cost = text ? prompt_tokens(text) : 0;
    if (!text || cost > b->left || buf_adds(&b->system, text) < 0)
        return false;
    b->left -= cost;
    return true;
}

/* Never left out whole: half of what is left is theirs at most, so that a question can still be answered. */
static void add_instructions(struct builder *b)
{
    const char *text = b->parts->context->system_prompt;
    size_t len = utf8_floor(text, strlen(text), (size_t)(b->left / 2) * BYTES_PER_TOKEN);
    (void)add_if_fits(b, arena_strndup(b->arena, text, len));
}

static void add_persona(struct builder *b)
{
    const struct chat_context *c = b->parts->context;
    if (c->voice && c->voice[0])
        (void)add_if_fits(
            b, arena_printf(b->arena, "\n\nThe creator's voice: %s", tags_break(b->arena, c->voice)));
    if (c->summary && c->summary[0])
        (void)add_if_fits(
            b, arena_printf(b->arena, "\n\nAbout the creator: %s", tags_break(b->arena, c->summary)));
}

static void add_flows(struct builder *b)
{
    if (b->parts->n_flows == 0 || !add_if_fits(b, "\n\n# Actions\n") || !add_if_fits(b, flow_rules))
        return;
    for (size_t i = 0; i < b->parts->n_flows; i++) {
        const struct flow_offer *f = &b->parts->flows[i];
        (void)add_if_fits(b, arena_printf(b->arena, "\n- %s: %s. %s%s%s", f->slug, f->name, f->description,
                                          f->input_hint[0] ? " Inputs: " : "", f->input_hint));
    }
}

static size_t add_passages(struct builder *b)
{
    size_t n = 0;
    if (b->parts->n_passages == 0 || !add_if_fits(b, "\n\n# Notes\n") || !add_if_fits(b, grounding_rules))
        return 0;
    for (; n < b->parts->n_passages; n++) {
        const struct passage *p = &b->parts->passages[n];
        const char *title = tags_break(b->arena, p->title), *text = tags_break(b->arena, p->text);
        if (!title || !text ||
            !add_if_fits(b, arena_printf(b->arena, "\n\n[%zu] %s\n%s", n + 1, title, text)))
            break;
    }
    return n;
}

/* Attachments are cut to what is left, since the user asks about their beginning rather than about none of
 * them. */
static void add_attachments(struct builder *b)
{
    const struct attachments *at = b->parts->attachments;
    for (size_t i = 0; at && i < at->n_texts; i++) {
        const char *text = tags_break(b->arena, at->texts[i].text),
                   *name = tags_break(b->arena, at->texts[i].name);
        if (!text || !name)
            return;
        size_t room = b->left > 64 ? (size_t)(b->left - 64) * BYTES_PER_TOKEN : 0;
        size_t len = utf8_floor(text, strlen(text), room);
        if (len > 0)
            (void)add_if_fits(b, arena_printf(b->arena, "\n\n# Attachment: %s\n%.*s", name, (int)len, text));
    }
}

/* How many of the newest exchanges fit. */
static size_t history_that_fits(struct builder *b)
{
    const struct chat_context *c = b->parts->context;
    size_t n = 0;
    for (; n < c->n_history; n++) {
        const struct exchange *e = &c->history[c->n_history - 1 - n];
        int64_t cost = prompt_tokens(e->prompt) + prompt_tokens(e->answer) + 2 * MESSAGE_OVERHEAD;
        if (cost > b->left)
            break;
        b->left -= cost;
    }
    return n;
}

static int write_messages(struct builder *b, size_t n_history, const char *message, struct prompt *ret)
{
    const struct chat_context *c = b->parts->context;
    struct llm_message *m = arena_alloc(b->arena, (2 * n_history + 2) * sizeof *m);
    if (!m)
        return -ENOMEM;
    ret->messages = m;
    *m++ = (struct llm_message){.speaker = LLM_SYSTEM,
                                .text = arena_strndup(b->arena, b->system.data, b->system.len)};
    for (const struct exchange *e = c->history + c->n_history - n_history; e < c->history + c->n_history;
         e++) {
        *m++ = (struct llm_message){.speaker = LLM_USER, .text = tags_break(b->arena, e->prompt)};
        *m++ = (struct llm_message){.speaker = LLM_ASSISTANT, .text = tags_break(b->arena, e->answer)};
    }
    *m = (struct llm_message){.speaker = LLM_USER, .text = message};
    if (b->parts->attachments) {
        m->images = b->parts->attachments->images;
        m->n_images = b->parts->attachments->n_images;
    }
    ret->n = 2 * n_history + 2;
    for (size_t i = 0; i < ret->n; i++)
        if (!ret->messages[i].text)
            return -ENOMEM;
    return 0;
}

int prompt_build(struct arena *a, const struct prompt_parts *parts, struct prompt *ret)
{
    int64_t answer =
        parts->window_tokens / 4 < ANSWER_TOKENS_MAX ? parts->window_tokens / 4 : ANSWER_TOKENS_MAX;
    struct builder b = {a, parts, BUF_INIT(SYSTEM_MAX), parts->window_tokens - answer - 2 * MESSAGE_OVERHEAD};
    struct prompt prompt = {.answer_tokens = answer};
    char *message = tags_break(a, parts->message);
    if (!message)
        return -ENOMEM;
    /* a message longer than the window keeps its beginning, and half of the window stays for the rest */
    message[utf8_floor(message, strlen(message), (size_t)(b.left / 2) * BYTES_PER_TOKEN)] = '\0';
    b.left -= prompt_tokens(message);
    add_instructions(&b);
    add_flows(&b);
    add_persona(&b);
    add_attachments(&b);
    prompt.n_passages = add_passages(&b);
    int r = buf_str(&b.system) ? write_messages(&b, history_that_fits(&b), message, &prompt) : -ENOMEM;
    buf_free(&b.system);
    if (r == 0)
        *ret = prompt;
    return r;
}
