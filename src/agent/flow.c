/* SPDX-License-Identifier: MIT */
/* Everything about a flow that can be decided before it runs is decided here: a flow with a step that nobody knows, a
 * result key used twice or a field left out does not run its first half. */
#include "agent/flow.h"

#include "agent/interpolate.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define KEY_MAX 64
#define HINT_MAX 512

static const char key_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

struct check {
    struct flow *flow;
    int n_steps;
    char *error;
    size_t size;
};

static int invalid(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int invalid(struct check *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(c->error, c->size, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

const struct step_type *flow_step_type(const json_t *step)
{
    return step_type_find(json_str(step, "type", ""));
}

const char *flow_step_key(const json_t *step)
{
    return json_str(step, "result_key", NULL);
}

bool flow_step_goes_on(const json_t *step)
{
    return str_equal(json_str(step, "on_error", NULL), "continue");
}

static int check_key(struct check *c, const json_t *step, json_t *keys)
{
    const json_t *given = json_object_get(step, "result_key");
    const char *key = json_string_value(given);
    if (!given)
        return 0;
    bool sane = key && key[0] && strlen(key) <= KEY_MAX && str_only(key, key_chars) && !(key[0] >= '0' && key[0] <= '9');
    if (!sane || strcmp(key, "input") == 0 || strcmp(key, "user") == 0)
        return invalid(c, "Step %d has no usable result_key", c->n_steps);
    if (json_object_get(keys, key))
        return invalid(c, "The result_key \"%.60s\" is used twice", key);
    return json_object_set_new(keys, key, json_true()) < 0 ? -ENOMEM : 0;
}

static int check_on_error(struct check *c, const json_t *step)
{
    const json_t *on_error = json_object_get(step, "on_error");
    const char *text = json_string_value(on_error);
    if (!on_error || str_equal(text, "continue") || str_equal(text, "stop"))
        return 0;
    return invalid(c, "on_error of step %d must be \"continue\" or \"stop\"", c->n_steps);
}

static int check_if(struct check *c, const json_t *test)
{
    static const char *const ops[] = {"eq", "ne", "lt", "gt", "contains", "exists"};
    const char *op = json_str(test, "op", "");
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        known = known || strcmp(ops[i], op) == 0;
    if (!known)
        return invalid(c, "\"op\" of a condition must be eq, ne, lt, gt, contains or exists");
    if (!json_object_get(test, "left") || (strcmp(op, "exists") != 0 && !json_object_get(test, "right")))
        return invalid(c, "A condition needs \"left\" and \"right\"");
    return 0;
}

static int check_list(struct check *c, const json_t *steps, int nesting, json_t *keys, bool covered);

/* The two branches may use the same keys, since only one of them runs; what follows may use neither's. covered: an
 * error in here does not end the flow. */
static int check_branches(struct check *c, const json_t *step, int nesting, json_t *keys, bool covered)
{
    const json_t *config = json_object_get(step, "config");
    const json_t *otherwise = json_object_get(config, "else");
    _cleanup_json_ json_t *second = json_copy(keys);
    if (nesting == FLOW_NESTING_MAX)
        return invalid(c, "Conditions may be nested %d deep", FLOW_NESTING_MAX);
    int r = second ? check_if(c, json_object_get(config, "if")) : -ENOMEM;
    if (r == 0)
        r = check_list(c, json_object_get(config, "then"), nesting + 1, keys, covered);
    if (r == 0 && otherwise)
        r = check_list(c, otherwise, nesting + 1, second, covered);
    if (r == 0 && json_object_update(keys, second) < 0)
        r = -ENOMEM;
    return r;
}

static void add_effects(struct flow *flow, const struct step_type *type, const json_t *config, bool covered)
{
    flow->effects |= type->effects | (type->more_effects ? type->more_effects(config) : 0u);
    flow->unavailable = flow->unavailable || (type->unavailable && !covered);
}

static int check_step(struct check *c, const json_t *step, int nesting, json_t *keys, bool covered)
{
    const json_t *config = json_object_get(step, "config");
    const struct step_type *type = flow_step_type(step);
    if (++c->n_steps > FLOW_STEPS_MAX)
        return invalid(c, "A flow has at most %d steps", FLOW_STEPS_MAX);
    if (!json_is_object(step) || !type)
        return invalid(c, "Step %d has no known type", c->n_steps);
    if (!json_is_object(config))
        return invalid(c, "Step %d (%s) has no config object", c->n_steps, type->name);
    int r = step_check_fields(type, config, false, c->error, c->size);
    if (r == 0)
        r = check_on_error(c, step);
    if (r == 0)
        r = check_key(c, step, keys);
    if (r < 0)
        return r;
    covered = covered || flow_step_goes_on(step);
    add_effects(c->flow, type, config, covered);
    return type->run || type->unavailable ? 0 : check_branches(c, step, nesting, keys, covered);
}

static int check_list(struct check *c, const json_t *steps, int nesting, json_t *keys, bool covered)
{
    json_t *step;
    size_t i;
    if (!json_is_array(steps))
        return invalid(c, "Steps must be a list");
    json_array_foreach(steps, i, step) {
        int r = check_step(c, step, nesting, keys, covered);
        if (r < 0)
            return r;
    }
    return 0;
}

int flow_parse(const char *steps, struct flow *ret, char *error, size_t size)
{
    struct flow flow = {0};
    struct check c = {.flow = &flow, .error = error, .size = size};
    _cleanup_json_ json_t *keys = json_object();
    size_t len = strlen(steps);
    _cleanup_json_ json_t *list = len <= FLOW_BYTES_MAX ? json_parse(steps, len) : NULL;
    if (!list)
        return invalid(&c, "The steps are not valid JSON");
    (void)snprintf(error, size, "Out of memory");
    int r = keys ? check_list(&c, list, 0, keys, false) : -ENOMEM;
    if (r == 0 && c.n_steps == 0)
        r = invalid(&c, "The flow has no steps");
    if (r < 0)
        return r;
    error[0] = '\0';
    ret->effects = flow.effects;
    ret->unavailable = flow.unavailable;
    ret->steps = TAKE_PTR(list);
    return 0;
}

void flow_done(struct flow *flow)
{
    json_decref(flow->steps);
    flow->steps = NULL;
}

struct load {
    const char *slug;
    struct flow flow;
    char *steps;
    struct arena arena;
};

static int read_flow(struct db_conn *c, void *arg)
{
    struct load *l = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT active, allow_side_effects, steps FROM action_flows WHERE slug = ?1",
                     DB_ARGS(DB_TEXT(l->slug)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    l->flow.active = db_int(rows, 0);
    l->flow.allow_side_effects = db_int(rows, 1);
    l->steps = db_text_dup(rows, 2, &l->arena);
    return l->steps ? 0 : -ENOMEM;
}

int flow_load(struct db *db, const char *slug, struct flow *ret, char *error, size_t size)
{
    struct load l = {.slug = slug};
    arena_init(&l.arena, 2 * FLOW_BYTES_MAX);
    int r = db_read(db, read_flow, &l);
    if (r == 0)
        r = flow_parse(l.steps, &l.flow, error, size);
    arena_free(&l.arena);
    if (r == 0)
        *ret = l.flow;
    return r;
}

const char *flow_refusal(const struct flow *flow, const struct identity *who)
{
    if ((flow->effects & STEP_SIDE_EFFECTS) && !flow->allow_side_effects)
        return "This flow deletes, publishes or sends something out, and is not allowed to";
    if ((flow->effects & STEP_WRITES) && who->read_only)
        return "This account may only read, and this flow writes";
    return NULL;
}

struct hint {
    struct buf names;
    json_t *seen;
};

static void add_name(void *ctx, const char *path)
{
    struct hint *h = ctx;
    if (!str_has_prefix(path, "input."))
        return;
    char name[KEY_MAX + 1];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(path + 6, "."), path + 6);
    if (json_object_get(h->seen, name))
        return;
    (void)json_object_set_new(h->seen, name, json_true());
    (void)buf_addf(&h->names, "%s%s", h->names.len ? ", " : "", name);
}

const char *flow_input_hint(const struct flow *flow, struct arena *a)
{
    struct hint h = {.names = BUF_INIT(HINT_MAX), .seen = json_object()};
    interpolate_each(flow->steps, add_name, &h);
    const char *names = buf_str(&h.names);
    char *hint = h.seen && names ? arena_strdup(a, names) : NULL;
    json_decref(h.seen);
    buf_free(&h.names);
    return hint;
}
