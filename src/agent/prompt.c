/* SPDX-License-Identifier: MIT */
#include "agent/prompt.h"

#include "agent/tags.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define BYTES_PER_TOKEN 4
#define MESSAGE_OVERHEAD 4 /* tokens a model adds around each message */
#define ANSWER_TOKENS_MAX 2048
#define SKILLS_SHARE 3                       /* of what is left behind the notes: a third */
#define SYSTEM_MAX ((size_t)8 * 1024 * 1024) /* the largest window there is */

static const char grounding_rules[] = "Use the notes below where they bear on the question, and cite them by "
                                      "their number in brackets, as in [1]. If they don't "
                                      "answer it, say so instead of inventing facts.";
static const char flow_rules[] =
    "You can run one of these actions by writing its tag, exactly in this form, on a line of its own: "
    "[ACTION:<slug>:<JSON object with its inputs>]. The user never sees the tag. Use an action only if the "
    "user's own message "
    "asks for what it does.";

static const char skill_rules[] = "Follow these instructions where they fit what the user asks for.";

int64_t prompt_tokens(const char *text)
{
    return (int64_t)(strlen(text) + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}

/* The budget while a prompt grows. */
struct builder {
    struct arena *arena;
    const struct prompt_parts *parts;
    struct buf system;
    int64_t left;             /* tokens */
    struct exchange *history; /* chosen, oldest first */
    size_t n_history;
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

/* Adds what is known under a heading, its openers broken. */
static void add_known(struct builder *b, const char *heading, const char *text)
{
    const char *broken = text && text[0] ? tags_break(b->arena, text) : NULL;
    if (broken)
        (void)add_if_fits(b, arena_printf(b->arena, "\n\n%s: %s", heading, broken));
}

static void add_persona(struct builder *b)
{
    add_known(b, "The creator's voice", b->parts->context->voice);
    add_known(b, "About the creator", b->parts->context->summary);
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

/* Of a skill the whole text, or at least what it is for. */
static void add_skill(struct builder *b, const struct prompt_skill *skill, int64_t share)
{
    const char *name = tags_break(b->arena, skill->name), *what = tags_break(b->arena, skill->description),
               *text = tags_break(b->arena, skill->content);
    if (!name || !what || !text)
        return;
    const char *whole = arena_printf(b->arena, "\n\n## %s\n%s\n\n%s", name, what, text);
    if (whole && prompt_tokens(whole) <= share && add_if_fits(b, whole))
        return;
    const char *brief = arena_printf(b->arena, "\n\n## %s\n%s", name, what);
    if (brief && prompt_tokens(brief) <= share)
        (void)add_if_fits(b, brief);
}

/* Skills help with an answer and don't hold what it says: a share of what is left is theirs at most. */
static void add_skills(struct builder *b)
{
    int64_t floor = b->left - b->left / SKILLS_SHARE;
    if (b->parts->n_skills == 0 || !add_if_fits(b, "\n\n# Skills\n") || !add_if_fits(b, skill_rules))
        return;
    for (size_t i = 0; i < b->parts->n_skills; i++)
        add_skill(b, &b->parts->skills[i], b->left - floor);
}

/* Bytes that still fit into the system message. */
static size_t room(const struct builder *b)
{
    size_t of_window = (size_t)b->left * BYTES_PER_TOKEN, of_buffer = b->system.max - b->system.len;
    return of_window < of_buffer ? of_window : of_buffer;
}

static void add_attachment(struct builder *b, const struct attached_text *at, size_t share)
{
    /* breaking makes a text longer, never shorter: what can't fit need not be looked at */
    const char *start = arena_strndup(b->arena, at->text, utf8_floor(at->text, strlen(at->text), share));
    const char *text = start ? tags_break(b->arena, start) : NULL, *name = tags_break(b->arena, at->name);
    const char *head = name ? arena_printf(b->arena, "\n\n# Attachment: %s\n", name) : NULL;
    if (!text || !head || strlen(head) >= share)
        return;
    size_t len = utf8_floor(text, strlen(text), share - strlen(head));
    if (len > 0)
        (void)add_if_fits(b, arena_printf(b->arena, "%s%.*s", head, (int)len, text));
}

/* Attachments are cut rather than left out, each to its share of what is left: the user asks about all of
 * them. */
static void add_attachments(struct builder *b)
{
    const struct attachments *at = b->parts->attachments;
    for (size_t i = 0; at && i < at->n_texts; i++)
        add_attachment(b, &at->texts[i], room(b) / (at->n_texts - i));
}

/* Chooses the newest exchanges that fit, their openers broken. */
static int add_history(struct builder *b)
{
    const struct chat_context *c = b->parts->context;
    struct exchange *slots = arena_alloc(b->arena, (c->n_history + 1) * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    b->history = slots + c->n_history;
    for (size_t i = c->n_history; i > 0; i--) {
        const struct exchange *e = &c->history[i - 1];
        if (str_is_blank(e->answer))
            continue; /* a model's API may refuse a message without text */
        struct exchange broken = {tags_break(b->arena, e->prompt), tags_break(b->arena, e->answer)};
        if (!broken.prompt || !broken.answer)
            return -ENOMEM;
        int64_t cost = prompt_tokens(broken.prompt) + prompt_tokens(broken.answer) + 2 * MESSAGE_OVERHEAD;
        if (cost > b->left)
            break;
        b->left -= cost;
        *--b->history = broken;
        b->n_history++;
    }
    return 0;
}

static int write_messages(struct builder *b, const char *message, struct prompt *ret)
{
    const char *system = buf_str(&b->system) ? arena_strndup(b->arena, b->system.data, b->system.len) : NULL;
    struct llm_message *m = arena_alloc(b->arena, (2 * b->n_history + 2) * sizeof *m);
    if (!m || !system)
        return -ENOMEM;
    ret->messages = m;
    ret->n = 2 * b->n_history + 2;
    *m++ = (struct llm_message){.speaker = LLM_SYSTEM, .text = system};
    for (size_t i = 0; i < b->n_history; i++) {
        *m++ = (struct llm_message){.speaker = LLM_USER, .text = b->history[i].prompt};
        *m++ = (struct llm_message){.speaker = LLM_ASSISTANT, .text = b->history[i].answer};
    }
    *m = (struct llm_message){.speaker = LLM_USER, .text = message};
    if (b->parts->attachments) {
        m->images = b->parts->attachments->images;
        m->n_images = b->parts->attachments->n_images;
    }
    return 0;
}

int prompt_build(struct arena *a, const struct prompt_parts *parts, struct prompt *ret)
{
    int64_t answer =
        parts->window_tokens / 4 < ANSWER_TOKENS_MAX ? parts->window_tokens / 4 : ANSWER_TOKENS_MAX;
    struct builder b = {.arena = a,
                        .parts = parts,
                        .system = BUF_INIT(SYSTEM_MAX),
                        .left = parts->window_tokens - answer - 2 * MESSAGE_OVERHEAD};
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
    add_skills(&b);
    int r = add_history(&b);
    if (r == 0)
        r = write_messages(&b, message, &prompt);
    buf_free(&b.system);
    if (r == 0)
        *ret = prompt;
    return r;
}
