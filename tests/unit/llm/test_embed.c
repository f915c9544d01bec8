/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "base/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct tcp_server *server;
    struct model_site site;
    struct llm *llm;
    const char *answer;
    char asked[1000];
    bool saw_key;
};

static struct world world;

static void script(struct tcp_peer *p, void *ctx)
{
    (void)ctx;
    while (peer_read_request(p)) {
        if (!peer_path_is(p, "/api/embed") && !peer_path_is(p, "/embeddings")) {
            peer_puts(p, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            continue;
        }
        (void)snprintf(world.asked, sizeof world.asked, "%s", p->body);
        world.saw_key = strstr(p->head, "Authorization: Bearer the-key\r\n") != NULL;
        char answer[2000];
        (void)snprintf(answer, sizeof answer, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s",
                       strcmp(world.answer, "500") == 0 ? 500 : 200, strlen(world.answer), world.answer);
        peer_puts(p, answer);
    }
}

static int set_up(void **state)
{
    (void)state;
    world = (struct world){0};
    world.server = tcp_server_start(script, NULL);
    model_site(&world.site, "extractive", tcp_server_port(world.server));
    return llm_open(&world.site.cfg, &world.llm);
}

static int tear_down(void **state)
{
    (void)state;
    llm_close(world.llm);
    tcp_server_stop(world.server);
    return 0;
}

static const char *const texts[] = {"one \"quoted\"", "zwölf"};

static int embed(const char *provider, const char *answer, float **ret, size_t *ret_dim)
{
    world.site.cfg.embedding_provider = provider;
    world.answer = answer;
    return llm_embed(world.llm, texts, 2, ret, ret_dim);
}

static void assert_vectors(const char *provider, const char *answer)
{
    float *v = NULL;
    size_t dim = 0;
    assert_int_equal(embed(provider, answer, &v, &dim), 0);
    assert_int_equal(dim, 3);
    static const float expected[] = {1, -0.5f, 0, 2, 3, 4};
    assert_memory_equal(v, expected, sizeof expected);
    free(v);
    _cleanup_json_ json_t *body = json_parse(world.asked, strlen(world.asked));
    assert_string_equal(json_str(body, "model", ""), "e:1");
    assert_string_equal(json_string_value(json_array_get(json_object_get(body, "input"), 0)), texts[0]);
    assert_string_equal(json_string_value(json_array_get(json_object_get(body, "input"), 1)), texts[1]);
}

static void ollama_makes_vectors(void **state)
{
    (void)state;
    assert_vectors("ollama", "{\"embeddings\":[[1,-0.5,0],[2,3,4e0]]}");
    assert_false(world.saw_key);
}

static void openai_makes_vectors_in_any_order(void **state)
{
    (void)state;
    assert_vectors("openai",
                   "{\"data\":[{\"index\":1,\"embedding\":[2,3,4]},{\"index\":0,\"embedding\":[1,-0.5,0]}]}");
    assert_true(world.saw_key);
}

static void odd_answers_are_refused(void **state)
{
    static const char *const odd[] = {
        "500",
        "",
        "{}",
        "[]",
        "{\"embeddings\":[]}",
        "{\"embeddings\":[[1,2]]}",
        "{\"embeddings\":[[1,2],[1]]}",
        "{\"embeddings\":[[],[]]}",
        "{\"embeddings\":[[1,\"2\"],[1,2]]}",
        "{\"embeddings\":[[1e300],[1]]}",
        "{\"embeddings\":[1,2]}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        float *v;
        size_t dim;
        assert_int_equal(embed("ollama", odd[i], &v, &dim), -EIO);
        assert_int_equal(embed("openai", odd[i], &v, &dim), -EIO);
    }
    float *v;
    size_t dim;
    assert_int_equal(
        embed("openai", "{\"data\":[{\"index\":5,\"embedding\":[1]},{\"embedding\":[1]}]}", &v, &dim), -EIO);
    assert_int_equal(
        embed("openai", "{\"data\":[{\"index\":-1,\"embedding\":[1]},{\"embedding\":[1]}]}", &v, &dim), -EIO);
    assert_int_equal(embed("openai",
                           "{\"data\":[{\"index\":1,\"embedding\":[1]},{\"index\":1,\"embedding\":[1]}]}", &v,
                           &dim),
                     -EIO);
}

static void none_is_configured(void **state)
{
    float *v;
    size_t dim;
    (void)state;
    assert_int_equal(embed(NULL, "", &v, &dim), -ENOTSUP);
    world.site.cfg.llm_base_url = NULL;
    assert_int_equal(embed("openai", "", &v, &dim), -ENOTSUP);
    world.site.cfg.ollama_url = "http://127.0.0.1:1";
    assert_int_equal(embed("ollama", "", &v, &dim), -EIO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ollama_makes_vectors),
        TEST(openai_makes_vectors_in_any_order),
        TEST(odd_answers_are_refused),
        TEST(none_is_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
