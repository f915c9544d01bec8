/* SPDX-License-Identifier: MIT */
/* /api/skills: what the agent knows how to do. Everything is answered from the set in memory
 * (skills/skills.h), so that lists, searches and activation agree on what there is. */
#include "api/app.h"
#include "api/routes.h"
#include "base/text.h"
#include "skills/skills.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#define LIMIT_MAX 500
#define SORTS "name|-name|category|-category|activation_score|-activation_score|date_updated|-date_updated"
#define RELATED_MOST 10 /* of include_related */

struct list_query {
    int64_t limit, offset;
    const char *category, *tags, *q, *sort;
};

struct show_query {
    bool include_related;
};

struct related_query {
    int64_t limit;
};

struct activate_body {
    const char *query, *task_description;
    int64_t limit;
};

struct search_body {
    const char *query, *category;
    int64_t limit, offset;
};

/* clang-format off */
static const struct field list_fields[] = {
    FIELD_STR(list_query, category, "category", MAX_LEN(255)),
    FIELD_STR(list_query, tags, "tags"),
    FIELD_STR(list_query, q, "q", MAX_LEN(255)),
    FIELD_STR(list_query, sort, "sort", CHOICES(SORTS)),
    FIELD_INT(list_query, limit, "limit", RANGE(1, LIMIT_MAX), DEFAULT(50)),
    FIELD_INT(list_query, offset, "offset", RANGE(0, INT64_MAX)),
    FIELD_END
};
static const struct field show_fields[] = {
    FIELD_BOOL(show_query, include_related, "include_related"),
    FIELD_END
};
static const struct field related_fields[] = {
    FIELD_INT(related_query, limit, "limit", RANGE(1, LIMIT_MAX), DEFAULT(10)),
    FIELD_END
};
static const struct field activate_fields[] = {
    FIELD_STR(activate_body, query, "query", MAX_LEN(SKILL_QUERY_MAX), ALIAS("task")),
    FIELD_STR(activate_body, task_description, "taskDescription", MAX_LEN(SKILL_QUERY_MAX)),
    FIELD_INT(activate_body, limit, "limit", RANGE(1, SKILL_HITS_MOST), DEFAULT(5)),
    FIELD_END
};
static const struct field search_fields[] = {
    FIELD_STR(search_body, query, "query", REQUIRED, MAX_LEN(SKILL_QUERY_MAX)),
    FIELD_STR(search_body, category, "category", MAX_LEN(255)),
    FIELD_INT(search_body, limit, "limit", RANGE(1, LIMIT_MAX), DEFAULT(20)),
    FIELD_INT(search_body, offset, "offset", RANGE(0, INT64_MAX)),
    FIELD_END
};

#define HEAD_FIELDS \
    HAS_UUID("id"), \
    HAS_STR("name"), \
    HAS_STR("category"), \
    HAS_STR("description"), \
    HAS_LIST("tags", NULL), \
    HAS_NUM("activation_score"), \
    HAS_TIME("date_updated")
static const struct field whole[] = { HEAD_FIELDS, HAS_STR("content"), FIELD_END };
static const struct field relation[] = {
    HAS_UUID("id"), HAS_STR("name"), HAS_STR("category"), HAS_NUM("edge_weight"), HAS_STR("relation"), FIELD_END
};
static const struct field shown[] = {
    HEAD_FIELDS, HAS_STR("content"), HAS_LIST("related_skills", relation, MAY_BE_ABSENT), FIELD_END
};
static const struct field matched[] = { HAS_LIST("tags", NULL), HAS_LIST("concepts", NULL), FIELD_END };
static const struct field activated[] = {
    HEAD_FIELDS, HAS_STR("content"), HAS_INT("hops"), HAS_OBJECT("matched", matched), FIELD_END
};
static const struct field found[] = { HEAD_FIELDS, HAS_NUM("score"), HAS_STR("snippet"), FIELD_END };
static const struct field counts[] = { HAS_INT("total_count"), HAS_INT("filter_count"), FIELD_END };
static const struct field activation_meta[] = {
    HAS_STR("query"), HAS_INT("seeds"), HAS_INT("fired"), HAS_INT("max_hops"), FIELD_END
};
static const struct field list_answer[] = {
    HAS_BOOL("success"), HAS_LIST("data", whole), HAS_OBJECT("meta", counts), FIELD_END
};
static const struct field show_answer[] = { HAS_BOOL("success"), HAS_OBJECT("data", shown), FIELD_END };
static const struct field activate_answer[] = {
    HAS_BOOL("success"), HAS_LIST("data", activated), HAS_OBJECT("meta", activation_meta), FIELD_END
};
static const struct field search_answer[] = {
    HAS_BOOL("success"), HAS_LIST("data", found), HAS_OBJECT("meta", counts), FIELD_END
};
static const struct field related_answer[] = { HAS_BOOL("success"), HAS_LIST("data", relation), FIELD_END };
/* clang-format on */

/* What every handler works with. */
struct asked {
    struct skill_set *set;
    struct skill_scratch *scratch;
};

static void release(struct asked *a)
{
    if (a->set)
        skill_scratch_give(a->set, a->scratch);
    skill_set_unref(a->set);
}

static int ask(struct request *rq, struct asked *ret)
{
    int r = skills_take(rq->app->skills, &ret->set);
    if (r < 0)
        return r;
    ret->scratch = skill_scratch_take(ret->set);
    return ret->scratch ? 0 : -ENOMEM;
}

/* Six digits: a float's noise is no part of a score. */
static double rounded(double x)
{
    return round(x * 1e6) / 1e6;
}

static json_t *tags_json(const struct skill_set *set, const struct skill *k)
{
    json_t *tags = json_array();
    for (uint32_t i = 0; tags && i < k->n_tags; i++)
        (void)json_array_append_new(tags, json_string(skill_set_node_name(set, k->tag_nodes[i])));
    return tags;
}

/* A skill without its content: a new reference, NULL without memory. */
static json_t *head_json(const struct skill_set *set, uint32_t skill)
{
    const struct skill *k = &set->skills[skill];
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:f, s:s}", "id", k->id, "name", k->name, "category",
                     k->category, "description", k->description, "tags", tags_json(set, k),
                     "activation_score", k->activation_score, "date_updated", k->date_updated);
}

static json_t *whole_json(const struct skill_set *set, uint32_t skill)
{
    json_t *out = head_json(set, skill);
    if (out)
        (void)json_object_set_new(out, "content", json_string(set->skills[skill].content));
    return out;
}

static json_t *counts_json(size_t total, size_t filtered)
{
    return json_pack("{s:I, s:I}", "total_count", (json_int_t)total, "filter_count", (json_int_t)filtered);
}

/* ---- list */

static bool has_tag(const struct skill_set *set, const struct skill *k, const char *tag, size_t len)
{
    for (uint32_t i = 0; i < k->n_tags; i++) {
        const char *name = skill_set_node_name(set, k->tag_nodes[i]);
        if (strlen(name) == len && strncasecmp(name, tag, len) == 0)
            return true;
    }
    return false;
}

static bool has_any_tag(const struct skill_set *set, const struct skill *k, const char *tags)
{
    const char *tag;
    size_t len;
    while (list_next(&tags, &tag, &len))
        if (has_tag(set, k, tag, len))
            return true;
    return false;
}

/* A filter that is left blank, as a form sends it, filters nothing. */
static bool is_set(const char *filter)
{
    return filter && !str_is_blank(filter);
}

static bool passes(const struct skill_set *set, const struct skill *k, const struct list_query *in)
{
    if (is_set(in->category) && !str_equal(k->category, in->category))
        return false;
    if (is_set(in->tags) && !has_any_tag(set, k, in->tags))
        return false;
    return !is_set(in->q) || strcasestr(k->name, in->q) || strcasestr(k->description, in->q) ||
           has_tag(set, k, in->q, strlen(in->q));
}

/* Skills lie in order of name, so that of equal ones decides. */
static int by_place(const struct skill *a, const struct skill *b)
{
    return a < b ? -1 : a > b;
}

static int by_category(const struct skill *a, const struct skill *b)
{
    return strcmp(a->category, b->category);
}

static int by_activation(const struct skill *a, const struct skill *b)
{
    return a->activation_score < b->activation_score ? -1 : a->activation_score > b->activation_score;
}

static int by_date(const struct skill *a, const struct skill *b)
{
    return strcmp(a->date_updated, b->date_updated);
}

struct listed {
    const struct skill *skill;
    int (*order)(const struct skill *a, const struct skill *b);
    bool descending;
};

static int compare_listed(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    int order = x->order(x->skill, y->skill);
    if (order != 0)
        return x->descending ? -order : order;
    return by_place(x->skill, y->skill);
}

static struct listed sorting(const char *sort)
{
    static const struct {
        const char *name;
        int (*order)(const struct skill *a, const struct skill *b);
    } orders[] = {{"name", by_place},
                  {"category", by_category},
                  {"activation_score", by_activation},
                  {"date_updated", by_date}};
    sort = sort ? sort : "-date_updated";
    struct listed l = {.descending = sort[0] == '-', .order = by_date};
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        if (str_equal(sort + l.descending, orders[i].name))
            l.order = orders[i].order;
    return l;
}

static reply list(struct request *rq)
{
    const struct list_query *in = rq->query;
    _cleanup_(release) struct asked a = {0};
    int r = ask(rq, &a);
    if (r < 0)
        return reply_store_error(rq, r);
    struct listed like = sorting(in->sort),
                  *all = arena_alloc(&rq->arena, (a.set->n_skills + 1) * sizeof *all);
    size_t n = 0;
    if (!all)
        return reply_error(rq, ERR_OVERLOADED, NULL);
    for (uint32_t i = 0; i < a.set->n_skills; i++)
        if (passes(a.set, &a.set->skills[i], in)) {
            all[n] = like;
            all[n++].skill = &a.set->skills[i];
        }
    qsort(all, n, sizeof *all, compare_listed);
    _cleanup_json_ json_t *data = json_array();
    for (size_t i = (uint64_t)in->offset < n ? (size_t)in->offset : n;
         i < n && json_array_size(data) < (size_t)in->limit; i++)
        (void)json_array_append_new(data, whole_json(a.set, (uint32_t)(all[i].skill - a.set->skills)));
    return reply_json(rq, 200, "{s:b, s:O, s:o}", "success", 1, "data", data, "meta",
                      counts_json(a.set->n_skills, n));
}

/* ---- one skill */

static json_t *relations_json(const struct asked *a, uint32_t skill, size_t most)
{
    size_t n;
    const struct skill_related *all = skill_relations(a->set, a->scratch, skill, &n);
    json_t *out = json_array();
    for (size_t i = 0; out && i < n && i < most; i++) {
        const struct skill *k = &a->set->skills[all[i].skill];
        (void)json_array_append_new(
            out, json_pack("{s:s, s:s, s:s, s:f, s:s}", "id", k->id, "name", k->name, "category", k->category,
                           "edge_weight", rounded((double)all[i].weight), "relation", all[i].relation));
    }
    return out;
}

/* A skill of the address as what is asked about; where there is none, *ret_reply is the refusal. */
static bool ask_about(struct request *rq, struct asked *a, uint32_t *ret, reply *ret_reply)
{
    int r = ask(rq, a);
    *ret = r == 0 ? skill_set_find(a->set, rq->params[0]) : UINT32_MAX;
    if (*ret == UINT32_MAX)
        *ret_reply = r < 0 ? reply_store_error(rq, r) : reply_error(rq, ERR_NOT_FOUND, NULL);
    return *ret != UINT32_MAX;
}

static reply show(struct request *rq)
{
    const struct show_query *in = rq->query;
    _cleanup_(release) struct asked a = {0};
    uint32_t skill;
    reply refusal;
    if (!ask_about(rq, &a, &skill, &refusal))
        return refusal;
    json_t *data = whole_json(a.set, skill);
    if (data && in->include_related)
        (void)json_object_set_new(data, "related_skills", relations_json(&a, skill, RELATED_MOST));
    return reply_json(rq, 200, "{s:b, s:o}", "success", 1, "data", data);
}

static reply related(struct request *rq)
{
    const struct related_query *in = rq->query;
    _cleanup_(release) struct asked a = {0};
    uint32_t skill;
    reply refusal;
    if (!ask_about(rq, &a, &skill, &refusal))
        return refusal;
    return reply_json(rq, 200, "{s:b, s:o}", "success", 1, "data",
                      relations_json(&a, skill, (size_t)in->limit));
}

/* ---- activation */

static bool is_number(const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isdigit((unsigned char)word[i]))
            return false;
    return true;
}

/* The words of a name or a category that the query has. */
static void add_words(const struct asked *a, const char *text, bool numbers, json_t *words)
{
    static const char between[] = " \t-_./:,;()";
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, between);
        bool taken = n > 0 && (numbers || !is_number(at, n)) && skill_query_holds(a->set, a->scratch, at, n);
        json_t *word = taken ? json_stringn(at, n) : NULL;
        for (size_t i = 0; word && i < json_array_size(words); i++)
            if (json_equal(json_array_get(words, i), word)) {
                json_decref(word);
                word = NULL;
            }
        if (word)
            (void)json_array_append_new(words, word);
        at += n;
        at += *at != '\0';
    }
}

static json_t *matched_json(const struct asked *a, const struct skill *k)
{
    json_t *tags = json_array(), *concepts = json_array();
    for (uint32_t i = 0; tags && i < k->n_tags; i++) {
        const char *tag = skill_set_node_name(a->set, k->tag_nodes[i]);
        if (skill_query_holds(a->set, a->scratch, tag, strlen(tag)))
            (void)json_array_append_new(tags, json_string(tag));
    }
    add_words(a, k->name, true, concepts);
    add_words(a, k->category, false, concepts);
    return json_pack("{s:o, s:o}", "tags", tags, "concepts", concepts);
}

static json_t *activated_json(const struct asked *a, const struct skill_hit *hit)
{
    json_t *out = whole_json(a->set, hit->skill);
    if (!out)
        return NULL;
    (void)json_object_set_new(out, "activation_score", json_real(rounded(hit->score)));
    (void)json_object_set_new(out, "hops", json_integer(hit->hops));
    (void)json_object_set_new(out, "matched", matched_json(a, &a->set->skills[hit->skill]));
    return out;
}

static reply activate(struct request *rq)
{
    const struct activate_body *in = rq->body;
    const char *query = in->query ? in->query : in->task_description;
    struct skill_activation found_skills;
    _cleanup_(release) struct asked a = {0};
    if (!query || str_is_blank(query))
        return reply_field_error(rq, ERR_MISSING_FIELD, "query", NULL);
    int r = ask(rq, &a);
    if (r < 0)
        return reply_store_error(rq, r);
    skill_activate(a.set, a.scratch, query, (size_t)in->limit, &found_skills);
    json_t *data = json_array();
    for (size_t i = 0; data && i < found_skills.n; i++)
        (void)json_array_append_new(data, activated_json(&a, &found_skills.hits[i]));
    return reply_json(rq, 200, "{s:b, s:o, s:{s:s, s:I, s:I, s:i}}", "success", 1, "data", data, "meta",
                      "query", query, "seeds", (json_int_t)found_skills.seeds, "fired",
                      (json_int_t)found_skills.fired, "max_hops", GRAPH_MAX_HOPS);
}

/* ---- search */

static json_t *found_json(const struct asked *a, const struct skill_score *s, struct arena *arena)
{
    json_t *out = head_json(a->set, s->skill);
    const char *snippet = skill_snippet(a->set, a->scratch, s->skill, arena);
    if (!out || !snippet) {
        json_decref(out);
        return NULL;
    }
    (void)json_object_set_new(out, "score", json_real(rounded((double)s->score)));
    (void)json_object_set_new(out, "snippet", json_string(snippet));
    return out;
}

static reply search(struct request *rq)
{
    const struct search_body *in = rq->body;
    _cleanup_(release) struct asked a = {0};
    size_t n;
    int r = ask(rq, &a);
    if (r < 0)
        return reply_store_error(rq, r);
    const char *category = is_set(in->category) ? in->category : NULL;
    const struct skill_score *all = skill_search(a.set, a.scratch, in->query, category, &n);
    json_t *data = json_array();
    for (size_t i = (uint64_t)in->offset < n ? (size_t)in->offset : n;
         data && i < n && json_array_size(data) < (size_t)in->limit; i++)
        if (json_array_append_new(data, found_json(&a, &all[i], &rq->arena)) < 0) {
            json_decref(data);
            return reply_error(rq, ERR_OVERLOADED, NULL);
        }
    return reply_json(rq, 200, "{s:b, s:o, s:o}", "success", 1, "data", data, "meta",
                      counts_json(a.set->n_skills, n));
}

/* clang-format off */
const struct route skills_routes[] = {
    { HTTP_GET, "/api/skills",             AUTH_USER_OR_PUBLIC, READS, BLOCKING, list, NO_BODY,
      "Skills, those changed last first", .query = QUERY(list_query, list_fields), .answer = ANSWER(list_answer) },
    { HTTP_POST, "/api/skills/activate",   AUTH_USER_OR_PUBLIC, READS, BLOCKING, activate,
      BODY(activate_body, activate_fields), "The skills that a task activates, over the skill graph",
      .answer = ANSWER(activate_answer) },
    { HTTP_POST, "/api/skills/search",     AUTH_USER_OR_PUBLIC, READS, BLOCKING, search,
      BODY(search_body, search_fields), "Full-text search in skills", .answer = ANSWER(search_answer) },
    { HTTP_GET, "/api/skills/:id",         AUTH_USER_OR_PUBLIC, READS, BLOCKING, show, NO_BODY,
      "A skill, by id or by name", .query = QUERY(show_query, show_fields), .answer = ANSWER(show_answer) },
    { HTTP_GET, "/api/skills/:id/related", AUTH_USER_OR_PUBLIC, READS, BLOCKING, related, NO_BODY,
      "The skills that belong to one", .query = QUERY(related_query, related_fields),
      .answer = ANSWER(related_answer) },
    ROUTES_END
};
/* clang-format on */
