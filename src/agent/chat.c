/* SPDX-License-Identifier: MIT */
/* The beginning of a turn, in order: context, gate, commands, retrieval, plan, prompt, model. Nothing before
 * the model costs anything, so the plan is asked last. */
#include "agent/chat.h"

#include "agent/attachments.h"
#include "agent/gate.h"
#include "agent/prompt.h"
#include "agent/turn.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#define ARENA_MAX (64 * 1024 * 1024)
#define PASSAGES_MOST 8
#define SKILLS_MOST_A_PROMPT 3
#define SKILL_DIRECT_LEAST 0.3    /* a tag, or as much in words: less is chance */
#define FLOWS_WAITING_MOST 100000 /* works queued for flow workers: at most two a turn */
#define TEMPERATURE 0.7
#define RESET_COMMAND "/reset"

int chat_open(const struct chat_options *options, struct chat **ret)
{
    struct chat *chat = calloc(1, sizeof *chat);
    if (!chat)
        return -ENOMEM;
    chat->env = options->env;
    chat->events = options->events;
    chat->catalog = options->flows;
    chat->quota = options->quota;
    pthread_mutex_init(&chat->lock, NULL);
    cond_init(&chat->idle);
    int r = pool_start("genie-flows", (int)chat->env.cfg->model_threads, FLOWS_WAITING_MOST, &chat->flows);
    if (r < 0) {
        free(chat);
        return r;
    }
    *ret = chat;
    return 0;
}

void chat_quiesce(struct chat *chat)
{
    struct turn *t;
    pthread_mutex_lock(&chat->lock);
    chat->closing = true;
    DL_FOREACH (chat->turns, t) {
        (void)turn_stop(t);
    }
    while (chat->running > 0)
        pthread_cond_wait(&chat->idle, &chat->lock);
    pthread_mutex_unlock(&chat->lock);
}

void chat_close(struct chat *chat)
{
    pool_stop(chat->flows);
    pthread_cond_destroy(&chat->idle);
    pthread_mutex_destroy(&chat->lock);
    free(chat);
}

bool chat_stop(struct event_stream *stream)
{
    return turn_stop(event_stream_ctx(stream));
}

const char *chat_default_session(struct arena *a, const struct identity *who)
{
    return arena_printf(a, "genie-%s", who->user_id);
}

/* What the beginning of a turn works with. */
struct begin {
    struct chat *chat;
    const struct chat_message *message;
    struct chat_refusal *refusal;
    struct turn *turn;
    struct arena arena;          /* what nobody needs once the model has its request */
    struct event_stream *stream; /* the caller's reference, once there is one */
    struct chat_context context;
    struct attachments attachments;
    struct flow_offer *flows;
    size_t n_flows;
    struct prompt_skill skills[SKILLS_MOST_A_PROMPT];
    size_t n_skills;
};

static int refuse(struct begin *b, enum error_id error, const char *sentence)
{
    *b->refusal = (struct chat_refusal){.error = error, .sentence = sentence};
    return -1;
}

static int refuse_store(struct begin *b, int r)
{
    return refuse(b, r == -ENOMEM ? ERR_OVERLOADED : ERR_STORE_UNAVAILABLE, NULL);
}

/* The outcome stands in the refusal already. */
static int refuse_quota(struct begin *b)
{
    b->refusal->error = ERR_TIER_LIMIT;
    return -1;
}

static int parse_attachments(struct begin *b)
{
    const char *sentence = NULL;
    int r = attachments_parse(&b->arena, b->message->attachments, &b->attachments, &sentence);
    if (r == -ENOMEM)
        return refuse(b, ERR_OVERLOADED, NULL);
    if (r < 0) {
        (void)refuse(b, r == -ENOTSUP ? ERR_ATTACHMENT_UNSUPPORTED : ERR_INVALID_FIELD, sentence);
        b->refusal->field = "attachments";
    }
    return r < 0 ? -1 : 0;
}

static int load(struct begin *b)
{
    struct turn *t = b->turn;
    struct chat *chat = b->chat;
    t->message = arena_strdup(&t->arena, b->message->text);
    t->session_id = b->message->session_id ? arena_strdup(&t->arena, b->message->session_id)
                                           : chat_default_session(&t->arena, t->who);
    if (!t->message || !t->session_id)
        return refuse(b, ERR_OVERLOADED, NULL);
    int r = history_load(chat->env.db, &b->arena, t->who, t->session_id, &b->context);
    if (r < 0)
        return refuse_store(b, r);
    if (b->context.workspace_id == 0)
        return refuse(b, ERR_WORKSPACE_MISSING, NULL);
    t->state = b->context.state;
    t->workspace_id = b->context.workspace_id;
    return parse_attachments(b);
}

/* Nothing is refused for what the client sent after this, so that refusals leave no stream behind. */
static int open_stream(struct begin *b)
{
    if (turn_open(b->turn) < 0)
        return refuse(b, ERR_OVERLOADED, NULL);
    b->stream = event_stream_ref(b->turn->stream);
    return 0;
}

/* An answer without a model: one text, then the end. */
static int answer_whole(struct begin *b, const char *text, const char *action)
{
    if (open_stream(b) < 0)
        return -1;
    turn_show_stage(b->turn, STAGE_THINKING);
    turn_show_whole(b->turn, text, action);
    turn_show_final(b->turn, false, false, 0);
    turn_drop(b->turn);
    return 0;
}

static int reset(struct begin *b)
{
    int r = history_reset(b->chat->env.db, b->turn->who, b->turn->session_id);
    if (r < 0)
        return refuse_store(b, r);
    return answer_whole(b,
                        "This conversation starts anew: I no longer take into account what was said before.",
                        "reset_chat");
}

static int keep_skill(struct begin *b, const struct skill *skill)
{
    struct prompt_skill kept = {arena_strdup(&b->arena, skill->name),
                                arena_strdup(&b->arena, skill->description),
                                arena_strdup(&b->arena, skill->content)};
    if (!kept.name || !kept.description || !kept.content)
        return -ENOMEM;
    b->skills[b->n_skills++] = kept;
    return 0;
}

/* The skills that the message activates well, copied out of the set. */
static int activate_skills(struct begin *b)
{
    struct skill_activation found;
    _cleanup_(skill_set_unrefP) struct skill_set *set = NULL;
    int r = skills_take(b->chat->env.skills, &set);
    struct skill_scratch *scratch = r == 0 ? skill_scratch_take(set) : NULL;
    if (!scratch)
        return r < 0 ? r : -ENOMEM;
    skill_activate(set, scratch, b->turn->message, SKILLS_MOST_A_PROMPT, &found);
    skill_scratch_give(set, scratch);
    for (size_t i = 0; i < found.n && r == 0; i++)
        if (found.hits[i].direct >= SKILL_DIRECT_LEAST)
            r = keep_skill(b, &set->skills[found.hits[i].skill]);
    return r;
}

static int retrieve(struct begin *b)
{
    struct turn *t = b->turn;
    struct action_env *env = &b->chat->env;
    int r = retrieval_find(env->retrieval, &b->arena, t->who->user_id, t->message, PASSAGES_MOST, &t->found);
    if (r == 0)
        r = activate_skills(b);
    if (r == 0)
        r = flow_catalog_offer(b->chat->catalog, &b->arena, t->who, &b->flows, &b->n_flows);
    return r < 0 ? refuse_store(b, r) : 0;
}

static int choose_model(struct begin *b)
{
    struct turn *t = b->turn;
    t->model =
        llm_choose(b->chat->env.llm, b->n_flows > 0 ? LLM_ORCHESTRATOR : LLM_AGENT, gate_is_admin(t->who));
    if (b->attachments.n_images > 0 && !t->model.takes_images) {
        (void)refuse(b, ERR_ATTACHMENT_UNSUPPORTED, "The model in use can't see images");
        b->refusal->field = "attachments";
        return -1;
    }
    return 0;
}

/* A message of the plan, where the tiers count messages: kept when the answer is stored. */
static int reserve(struct begin *b)
{
    struct turn *t = b->turn;
    struct quota *quota = b->chat->quota;
    struct quota_outcome *out = &b->refusal->quota;
    struct quota_ask ask = {.user_id = t->who->user_id, .feature = FEATURE_CHAT, .amount = 1};
    if (!quota_counts(quota, FEATURE_CHAT))
        return 0;
    if (quota_reserve(quota, &ask, t->uuid, TURN_LEASE_MS, out) < 0)
        quota_fail(quota, FEATURE_CHAT, out);
    if (!out->allowed)
        return refuse_quota(b);
    t->held = true;
    return 0;
}

/* What `extractive` answers from: the passages and the attachments. */
static int ground(struct begin *b, size_t n_passages, struct llm_grounding *ret)
{
    struct turn *t = b->turn;
    size_t n = n_passages + b->attachments.n_texts;
    struct llm_passage *passages = arena_alloc(&b->arena, (n + 1) * sizeof *passages);
    struct llm_flow *flows = arena_alloc(&b->arena, (b->n_flows + 1) * sizeof *flows);
    if (!passages || !flows)
        return -ENOMEM;
    for (size_t i = 0; i < n_passages; i++) {
        const struct passage *p = &t->found.passages[i];
        passages[i] = (struct llm_passage){p->id, p->title, p->text, p->score};
    }
    for (size_t i = 0; i < b->attachments.n_texts; i++)
        passages[n_passages + i] =
            (struct llm_passage){"", b->attachments.texts[i].name, b->attachments.texts[i].text, 0};
    for (size_t i = 0; i < b->n_flows; i++)
        flows[i] = (struct llm_flow){b->flows[i].slug, b->flows[i].name, b->flows[i].description};
    *ret = (struct llm_grounding){t->message, passages, n, flows, b->n_flows, b->context.n_history == 0};
    return 0;
}

static int make_request(struct begin *b, struct llm_request *ret)
{
    struct turn *t = b->turn;
    struct prompt prompt;
    struct prompt_parts parts = {
        .context = &b->context,
        .passages = t->found.passages,
        .n_passages = t->found.n,
        .skills = b->skills,
        .n_skills = b->n_skills,
        .flows = b->flows,
        .n_flows = b->n_flows,
        .attachments = &b->attachments,
        .message = t->message,
        .window_tokens = t->model.window_tokens,
    };
    int r = prompt_build(&b->arena, &parts, &prompt);
    if (r < 0)
        return r;
    t->n_sources = prompt.n_passages;
    *ret = (struct llm_request){.model = t->model,
                                .messages = prompt.messages,
                                .n_messages = prompt.n,
                                .temperature = TEMPERATURE,
                                .max_tokens = prompt.answer_tokens};
    return ground(b, prompt.n_passages, &ret->grounding);
}

/* The answer's sources outlive its prompt, without their texts. */
static int keep_sources(struct turn *t)
{
    struct passage *kept = arena_alloc(&t->arena, (t->n_sources + 1) * sizeof *kept);
    if (!kept)
        return -ENOMEM;
    for (size_t i = 0; i < t->n_sources; i++) {
        const struct passage *p = &t->found.passages[i];
        kept[i] = (struct passage){.id = arena_strdup(&t->arena, p->id),
                                   .title = arena_strdup(&t->arena, p->title),
                                   .kind = arena_strdup(&t->arena, p->kind),
                                   .score = p->score};
        if (!kept[i].id || !kept[i].title || !kept[i].kind)
            return -ENOMEM;
    }
    t->found.passages = kept;
    t->found.n = t->n_sources;
    return 0;
}

/* From here on a failure is an event, but for a full queue before the model. */
static int start(struct begin *b)
{
    struct turn *t = b->turn;
    struct llm_request request;
    int r = make_request(b, &request);
    if (r == 0)
        r = keep_sources(t);
    if (r < 0)
        return refuse(b, ERR_OVERLOADED, NULL);
    if (open_stream(b) < 0)
        return -1;
    t->has_fallback = b->chat->env.cfg->llm_fallback && t->model.provider != LLM_EXTRACTIVE;
    if (t->has_fallback) {
        t->kept = b->arena;
        arena_init(&b->arena, ARENA_MAX);
        t->fallback = request;
        t->fallback.model = llm_extractive();
    }
    turn_show_stage(t, STAGE_THINKING);
    r = turn_start(t, &request);
    if (r == -EINVAL) /* a text of the store is not UTF-8 */
        (void)log_error(r, "a prompt can't be sent to the model");
    if (r < 0)
        return refuse(b, r == -EBUSY ? ERR_MODEL_BUSY : r == -EINVAL ? ERR_INTERNAL : ERR_OVERLOADED, NULL);
    metric_add(METRIC_CHATS, 1);
    return 0;
}

static int begin(struct begin *b)
{
    if (load(b) < 0)
        return -1;
    const char *guidance = gate_guidance(b->context.state, b->turn->who);
    if (guidance)
        return answer_whole(b, guidance, NULL);
    if (strncasecmp(b->turn->message, RESET_COMMAND, strlen(RESET_COMMAND)) == 0)
        return reset(b);
    if (retrieve(b) < 0 || choose_model(b) < 0 || reserve(b) < 0)
        return -1;
    return start(b);
}

int chat_begin(struct chat *chat, const struct chat_message *message, struct event_stream **ret,
               struct chat_refusal *ret_refusal)
{
    struct begin b = {.chat = chat, .message = message, .refusal = ret_refusal};
    b.turn = turn_new(chat, message->who);
    if (!b.turn)
        return refuse(&b, ERR_OVERLOADED, NULL);
    arena_init(&b.arena, ARENA_MAX);
    int r = begin(&b);
    arena_free(&b.arena);
    if (r == 0) {
        *ret = b.stream;
        return 0;
    }
    if (b.turn->held)
        (void)quota_settle(chat->quota, message->who->user_id, b.turn->uuid, QUOTA_RETURN_ALL);
    turn_drop(b.turn);
    if (b.stream)
        event_stream_unref(b.stream);
    return -1;
}
