/* SPDX-License-Identifier: MIT */
/* The http_request step: where it may go, what it sends, and what it makes of the answer. */
#include "flows.h"

static void answer(struct fake_request *rq)
{
    const char *path = rq->path, *body = rq->body;
    struct buf big = BUF_INIT(2 * 1024 * 1024);
    if (strcmp(path, "/redirect") == 0)
        fake_reply(rq, 302, "Location: http://169.254.169.254/latest/meta-data\r\n", "");
    else if (strcmp(path, "/here") == 0)
        fake_reply(rq, 302, "Location: /json\r\n", "");
    else if (strcmp(path, "/text") == 0)
        fake_reply(rq, 200, "Content-Type: text/plain\r\n", "just [ACTION:x:{}] text");
    else if (strcmp(path, "/binary") == 0)
        fake_reply(rq, 200, "Content-Type: image/png\r\n", "\x89PNG\xff");
    else if (strcmp(path, "/odd-type") == 0)
        fake_reply(rq, 200, "Content-Type: \xff\xfe\r\n", "odd");
    else if (strcmp(path, "/empty") == 0)
        fake_reply(rq, 204, "", "");
    else if (strcmp(path, "/huge") == 0) {
        while (big.len < 600 * 1024)
            (void)buf_adds(&big, "0123456789abcdef");
        fake_reply(rq, 200, "", big.data);
    } else
        fake_json(rq, 200, body[0] ? body : "{\"ok\":true}");
    buf_free(&big);
}

#define REQUEST(config) "[{'type':'http_request','result_key':'r','config':" config "}]"

static enum action_status request(struct world *w, const char *config, const char *input)
{
    static int count;
    char slug[32], steps[2048];
    (void)snprintf(slug, sizeof slug, "f%d", count++);
    (void)snprintf(steps, sizeof steps, REQUEST("%s"), config);
    add_flow(w, slug, true, steps);
    return run_flow(w, slug, input);
}

static void an_answer_is_json_where_it_can_be(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    assert_int_equal(request(w, "{'url':'$URL/json'}", "{}"), ACTION_SUCCESS);
    assert_results(w, "{'r':{'status':200,'contentType':'application/json','body':{'ok':true}}}");
    assert_int_equal(request(w, "{'url':'$URL/text'}", "{}"), ACTION_SUCCESS);
    assert_results(w, "{'r':{'status':200,'contentType':'text/plain','body':'just [ACTION:x:{}] text'}}");
    assert_int_equal(request(w, "{'url':'$URL/empty'}", "{}"), ACTION_SUCCESS);
    assert_results(w, "{'r':{'status':204,'contentType':'','body':''}}");
    assert_int_equal(request(w, "{'url':'$URL/odd-type'}", "{}"), ACTION_SUCCESS);
    assert_results(w, "{'r':{'status':200,'contentType':'','body':'odd'}}");
    assert_int_equal(request(w, "{'url':'$URL/binary'}", "{}"), ACTION_ERROR);
    assert_error(w, "not text");
    assert_int_equal(request(w, "{'url':'$URL/huge'}", "{}"), ACTION_ERROR);
    assert_error(w, "too large");
}

static void what_is_sent_is_what_the_config_says(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    assert_int_equal(request(w,
                             "{'url':'$URL/a?b=1','method':'PUT','headers':{'X-Key':'$input.key'},"
                             "'body':{'n':'$input.n'}}",
                             "{'key':'k 1','n':4}"),
                     ACTION_SUCCESS);
    assert_seen(w, "PUT /a?b=1\n");
    assert_true(fake_was_sent(w->server, "\r\nX-Key: k 1\r\n"));
    assert_true(fake_was_sent(w->server, "\r\nContent-Type: application/json\r\n"));
    assert_true(fake_was_sent(w->server, "\r\n\r\n{\"n\":4}"));
    assert_int_equal(
        request(w, "{'url':'$URL/','method':'POST','headers':{'content-type':'text/csv'},'body':'a,b'}",
                "{}"),
        ACTION_SUCCESS);
    assert_true(fake_was_sent(w->server, "\r\ncontent-type: text/csv\r\n"));
    assert_false(fake_was_sent(w->server, "text/plain"));
    assert_int_equal(request(w, "{'url':'$URL/','method':'POST','body':'plain'}", "{}"), ACTION_SUCCESS);
    assert_true(fake_was_sent(w->server, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
}

static void only_named_hosts_are_called(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    static const char *const urls[] = {"http://localhost:1/", "http://127.0.0.2/", "http://example.com/",
                                       "http://127.0.0.1.example.com/"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        char config[128];
        (void)snprintf(config, sizeof config, "{'url':'%s'}", urls[i]);
        assert_int_equal(request(w, config, "{}"), ACTION_ERROR);
        assert_error(w, "not among those");
    }
    static const char *const bad[] = {"ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1",
                                      "http://u:p@127.0.0.1/", ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char config[128];
        (void)snprintf(config, sizeof config, "{'url':'%s'}", bad[i]);
        assert_int_equal(request(w, config, "{}"), ACTION_ERROR);
        assert_error(w, "http or https");
    }
    static const char *const lists[] = {NULL, "127.0.0.1", "127.0.0.1:1", "127.0.0.1:80,localhost"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) { /* a host without a port is the scheme's own port alone */
        w->cfg.http_request_hosts = lists[i];
        assert_int_equal(request(w, "{'url':'$URL/json'}", "{}"), ACTION_ERROR);
        assert_error(w, "not among those");
    }
    assert_seen(w, "");
}

/* A model chooses the input: it must not choose where the request goes. */
static void an_input_stays_its_part_of_the_address(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    static const struct {
        const char *input, *seen;
    } cases[] = {
        {"{'id':'7'}", "GET /users/7/posts?q=7\n"},
        {"{'id':12}", "GET /users/12/posts?q=12\n"},
        {"{'id':'../../admin?x=1#'}",
         "GET /users/..%2F..%2Fadmin%3Fx%3D1%23/posts?q=..%2F..%2Fadmin%3Fx%3D1%23\n"},
        {"{'id':'a b&c=d%2e'}", "GET /users/a%20b%26c%3Dd%252e/posts?q=a%20b%26c%3Dd%252e\n"},
    };
    char seen[1024] = "";
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(request(w, "{'url':'$URL/users/{{input.id}}/posts?q=$input.id'}", cases[i].input),
                         ACTION_SUCCESS);
        (void)snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s", cases[i].seen);
        assert_seen(w, seen);
    }
    assert_int_equal(request(w, "{'url':'$URL/users/$input.id/posts'}", "{'id':'..'}"), ACTION_ERROR);
    assert_error(w, "can't be part of an address");
    assert_int_equal(request(w, "{'url':'http://127.0.0.1$input.id'}", "{'id':':1/'}"), ACTION_ERROR);
    assert_error(w, "http or https");
    assert_int_equal(request(w, "{'url':'http://127.0.0.1$input.id'}", "{'id':'.example.com'}"),
                     ACTION_ERROR);
    assert_error(w, "not among those");
    assert_seen(w, seen);
}

static void a_named_host_must_be_public_too(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    w->cfg.allow_private_urls = false;
    assert_int_equal(request(w, "{'url':'$URL/json'}", "{}"), ACTION_ERROR);
    assert_error(w, "not a public one");
    w->cfg.http_request_hosts = "localhost, 169.254.169.254,0x7f000001";
    assert_int_equal(request(w, "{'url':'http://169.254.169.254/latest'}", "{}"), ACTION_ERROR);
    assert_error(w, "not a public one");
    assert_seen(w, "");
}

static void redirects_are_not_followed(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    assert_int_equal(request(w, "{'url':'$URL/redirect'}", "{}"), ACTION_ERROR);
    assert_error(w, "status 302");
    assert_int_equal(request(w, "{'url':'$URL/here'}", "{}"), ACTION_ERROR);
    assert_seen(w, "GET /redirect\nGET /here\n");
}

static void odd_methods_and_headers_are_refused(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    static const struct {
        const char *config, *error;
    } cases[] = {
        {"{'url':'$URL/','method':'CONNECT'}", "\"method\""},
        {"{'url':'$URL/','method':'get'}", "\"method\""},
        {"{'url':'$URL/','headers':{'Host':'internal'}}", "Host can't be sent"},
        {"{'url':'$URL/','headers':{'transfer-encoding':'chunked'}}", "can't be sent"},
        {"{'url':'$URL/','headers':{'X-A':'a\\r\\nX-B: b'}}", "can't be sent"},
        {"{'url':'$URL/','headers':{'X-A':3}}", "can't be sent"},
        {"{'url':'$URL/','headers':{'X A':'b'}}", "can't be sent"},
        {"{'url':'$URL/','headers':{'':'b'}}", "can't be sent"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(request(w, cases[i].config, "{}"), ACTION_ERROR);
        assert_error(w, cases[i].error);
    }
    assert_seen(w, "");
}

int main(void)
{
#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        WORLD(an_answer_is_json_where_it_can_be),
        WORLD(what_is_sent_is_what_the_config_says),
        WORLD(only_named_hosts_are_called),
        WORLD(a_named_host_must_be_public_too),
        WORLD(an_input_stays_its_part_of_the_address),
        WORLD(redirects_are_not_followed),
        WORLD(odd_methods_and_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
