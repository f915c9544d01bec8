/* SPDX-License-Identifier: MIT */
/* Vectors for texts, one request for all of them. */
#include "llm/engine.h"

#include "base/json.h"
#include "base/text.h"
#include "net/fetch.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define TIMEOUT_MS 5000
#define BODY_MAX ((size_t)16 * 1024 * 1024)
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)
#define DIM_MAX 16384
#define KEY_MAX 8192

struct embedder {
    const char *base; /* NULL = none is configured */
    const char *key, *path;
    const char *list;   /* where the answer has its vectors */
    const char *member; /* in which member of an item; NULL = the item itself */
};

static struct embedder embedder_of(const struct config *cfg)
{
    if (str_equal(cfg->embedding_provider, "ollama"))
        return (struct embedder){cfg->ollama_url, NULL, "/api/embed", "embeddings", NULL};
    if (str_equal(cfg->embedding_provider, "openai"))
        return (struct embedder){cfg->llm_base_url, cfg->llm_api_key, "/embeddings", "data", "embedding"};
    return (struct embedder){0};
}

static int build(const struct config *cfg, const char *const *texts, size_t n, struct buf *out)
{
    (void)buf_adds(out, "{\"model\":");
    (void)json_write_str(out, cfg->embedding_model, strlen(cfg->embedding_model));
    (void)buf_adds(out, ",\"input\":[");
    for (size_t i = 0; i < n; i++) {
        if (!utf8_valid(texts[i], strlen(texts[i])))
            return -EIO;
        (void)buf_adds(out, i ? "," : "");
        (void)json_write_str(out, texts[i], strlen(texts[i]));
    }
    (void)buf_adds(out, "]}");
    return out->failed ? -EIO : 0;
}

static int ask(const struct embedder *e, const struct buf *body, struct fetch_response *response)
{
    char url[4096 + 64], key[KEY_MAX] = "";
    size_t base_len = strlen(e->base);
    while (base_len > 0 && e->base[base_len - 1] == '/')
        base_len--;
    (void)snprintf(url, sizeof url, "%.*s%s", (int)base_len, e->base, e->path);
    if (e->key)
        (void)snprintf(key, sizeof key, "Authorization: Bearer %s", e->key);
    const char *headers[] = {"Content-Type: application/json", e->key ? key : NULL, NULL};
    struct fetch_request request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = body->data,
        .body_len = body->len,
        .timeout_ms = TIMEOUT_MS,
        .max_body = ANSWER_MAX,
    };
    int r = fetch(&request, response);
    wipe(key, sizeof key);
    if (r == -ETIMEDOUT)
        return r;
    return r < 0 || response->status != 200 ? -EIO : 0;
}

static int read_vector(const json_t *vector, size_t dim, float *ret)
{
    if (json_array_size(vector) != dim)
        return -EIO;
    size_t i;
    json_t *number;
    json_array_foreach (vector, i, number) {
        if (!json_is_number(number) || !isfinite((float)json_number_value(number)))
            return -EIO;
        ret[i] = (float)json_number_value(number);
    }
    return 0;
}

static const json_t *vector_at(const struct embedder *e, const json_t *list, size_t i)
{
    const json_t *item = json_array_get(list, i);
    return e->member ? json_object_get(item, e->member) : item;
}

static int read_vectors(const struct embedder *e, const json_t *answer, size_t n, float **ret,
                        size_t *ret_dim)
{
    const json_t *list = json_object_get(answer, e->list);
    size_t dim = json_array_size(vector_at(e, list, 0));
    if (json_array_size(list) != n || dim == 0 || dim > DIM_MAX)
        return -EIO;
    _cleanup_free_ float *vectors = calloc(n * dim, sizeof *vectors);
    if (!vectors)
        return -EIO;
    for (size_t i = 0; i < n; i++)
        vectors[i * dim] = NAN; /* not yet read */
    for (size_t i = 0; i < n; i++) {
        /* OpenAI's items may come in any order and say which they are. */
        size_t at = e->member ? (size_t)json_int(json_array_get(list, i), "index", (int64_t)i) : i;
        if (at >= n || !isnan(vectors[at * dim]) ||
            read_vector(vector_at(e, list, i), dim, vectors + at * dim) < 0)
            return -EIO;
    }
    *ret = TAKE_PTR(vectors);
    *ret_dim = dim;
    return 0;
}

int llm_embed(struct llm *llm, const char *const *texts, size_t n, float **ret, size_t *ret_dim)
{
    struct embedder e = embedder_of(llm->cfg);
    if (!e.base)
        return -ENOTSUP;
    _cleanup_buf_ struct buf body = BUF_INIT(BODY_MAX);
    int r = n > 0 ? build(llm->cfg, texts, n, &body) : -EIO;
    if (r < 0)
        return r;
    struct fetch_response response = {0};
    r = ask(&e, &body, &response);
    if (r == 0) {
        _cleanup_json_ json_t *answer =
            json_parse(response.body.data ? response.body.data : "", response.body.len);
        r = answer ? read_vectors(&e, answer, n, ret, ret_dim) : -EIO;
    }
    fetch_response_free(&response);
    return r;
}
