/* SPDX-License-Identifier: MIT */
#include "import/report.h"

#include "base/text.h"

#include <inttypes.h>
#include <string.h>

static const char *const outcome_names[] = {"added", "linked", "there", "left"};

struct report_table *report_table(struct report *r, const char *name)
{
    for (size_t i = 0; i < r->n_tables; i++)
        if (str_equal(r->tables[i].name, name))
            return &r->tables[i];
    if (r->n_tables == REPORT_TABLES)
        return &r->tables[REPORT_TABLES - 1];
    struct report_table *t = &r->tables[r->n_tables++];
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

void report_count(struct report_table *t, enum outcome outcome)
{
    t->counts[outcome]++;
}

static struct report_reason *find_reason(struct report_table *t, bool left, const char *why)
{
    for (size_t i = 0; i < t->n_reasons; i++)
        if (t->reasons[i].left == left && strcmp(t->reasons[i].why, why) == 0)
            return &t->reasons[i];
    if (t->n_reasons == REPORT_REASONS)
        return &t->reasons[REPORT_REASONS - 1];
    struct report_reason *reason = &t->reasons[t->n_reasons++];
    *reason = (struct report_reason){.left = left, .why = why};
    return reason;
}

void report_why(struct report_table *t, bool left, const char *why, int64_t id)
{
    struct report_reason *reason = find_reason(t, left, why);
    if (reason->rows < REPORT_EXAMPLES)
        reason->examples[reason->rows] = id;
    reason->rows++;
}

int64_t report_total(const struct report *r, enum outcome outcome)
{
    int64_t sum = 0;
    for (size_t i = 0; i < r->n_tables; i++)
        sum += r->tables[i].counts[outcome];
    return sum;
}

static size_t examples_of(const struct report_reason *reason)
{
    return reason->rows < REPORT_EXAMPLES ? (size_t)reason->rows : REPORT_EXAMPLES;
}

static void print_reason(const struct report_reason *reason, FILE *out)
{
    (void)fprintf(out, "    %" PRId64 " %s: %s (", reason->rows, reason->left ? "left" : "changed",
                  reason->why);
    for (size_t i = 0; i < examples_of(reason); i++)
        (void)fprintf(out, "%s%" PRId64, i ? ", " : "row ", reason->examples[i]);
    (void)fprintf(out, "%s)\n", reason->rows > REPORT_EXAMPLES ? ", …" : "");
}

void report_print(const struct report *r, FILE *out)
{
    (void)fprintf(out, "%-22s %8s %8s %8s %8s\n", "TABLE", "ADDED", "LINKED", "THERE", "LEFT");
    for (size_t i = 0; i < r->n_tables; i++) {
        const struct report_table *t = &r->tables[i];
        (void)fprintf(out, "%-22s", t->name);
        for (size_t k = 0; k < OUTCOME_KINDS; k++)
            (void)fprintf(out, " %8" PRId64, t->counts[k]);
        (void)fputc('\n', out);
        for (size_t k = 0; k < t->n_reasons; k++)
            print_reason(&t->reasons[k], out);
    }
}

static json_t *reason_json(const struct report_reason *reason)
{
    json_t *examples = json_array();
    for (size_t i = 0; i < examples_of(reason); i++)
        (void)json_array_append_new(examples, json_integer(reason->examples[i]));
    return json_pack("{s:s, s:s, s:I, s:o}", "kind", reason->left ? "left" : "changed", "why", reason->why,
                     "rows", (json_int_t)reason->rows, "examples", examples);
}

static json_t *table_json(const struct report_table *t)
{
    json_t *reasons = json_array(), *out = json_pack("{s:s}", "table", t->name);
    for (size_t k = 0; k < OUTCOME_KINDS; k++)
        (void)json_object_set_new(out, outcome_names[k], json_integer(t->counts[k]));
    for (size_t k = 0; k < t->n_reasons; k++)
        (void)json_array_append_new(reasons, reason_json(&t->reasons[k]));
    (void)json_object_set_new(out, "reasons", reasons);
    return out;
}

json_t *report_json(const struct report *r)
{
    json_t *tables = json_array();
    for (size_t i = 0; i < r->n_tables; i++)
        if (json_array_append_new(tables, table_json(&r->tables[i])) < 0) {
            json_decref(tables);
            return NULL;
        }
    return tables;
}
