/* SPDX-License-Identifier: MIT */
/* A wire format: how a request is written and how the stream of an answer is read. The parser takes the bytes
 * of the HTTP body in pieces of any size and knows nothing of transfers, so that tests and fuzz targets can
 * feed it. Private to llm/. Not thread-safe. */
#ifndef LLM_FORMAT_H
#define LLM_FORMAT_H

#include "llm/join.h"
#include "llm/lines.h"
#include "llm/llm.h"
#include "llm/pick.h"

#define LLM_TEXT_MAX \
    ((size_t)4 * 1024 * 1024) /* decoded text between two takes: one line with every byte replaced */

enum parser_state { PARSER_READING, PARSER_DONE, PARSER_FAILED };

struct llm_parser {
    const struct llm_format *format;
    struct lines lines;
    struct buf event; /* data of the server-sent event that is being gathered */
    bool has_event;
    struct joiner joiner;
    struct buf text;   /* what the owner has not yet taken */
    uint64_t progress; /* tokens so far, hidden ones (reasoning) too */
    bool may_end;      /* the model has finished: the stream may end here */
    enum parser_state state;
    const char *error;                        /* a sentence, when failed */
    int64_t prompt_tokens, completion_tokens; /* -1 = not told */
};

struct llm_format {
    const char *chat_path;  /* below the server's base address */
    const char *probe_path; /* a GET that costs nothing */
    bool events;            /* server-sent events; else a JSON object a line */
    int (*build)(const struct llm_request *request, struct buf *out); /* 0, -ENOBUFS or -ENOMEM */
    void (*event)(struct llm_parser *p, const char *json, size_t len);
};

extern const struct llm_format ollama_format, openai_format, anthropic_format;

void llm_parser_init(struct llm_parser *p, const struct llm_format *format);
void llm_parser_free(struct llm_parser *p);

/* Feeds a piece: adds to text, progress and the counts, and may change the state; ignored unless READING. */
void llm_parser_feed(struct llm_parser *p, const char *data, size_t len);

/* The body is over; the state is not READING after. */
void llm_parser_finish(struct llm_parser *p);

/* For formats: a piece of the answer, or of hidden reasoning (only counted); the good and the bad end. */
void parser_say(struct llm_parser *p, const struct pick *text);
void parser_think(struct llm_parser *p, const struct pick *text);
void parser_done(struct llm_parser *p);
void parser_fail(struct llm_parser *p, const char *sentence);

/* For formats: pick_fields, or -EINVAL with the parser failed. */
int parser_pick(struct llm_parser *p, const char *json, size_t len, const char *const *paths, size_t n,
                struct pick *ret);

/* Whether a field holds something: not absent and not null. */
bool pick_present(const struct pick *p);

/* For formats: `,"name":value`; numbers as short as they can be read back. */
void build_number(struct buf *out, const char *name, double value);

#define SAYS_UNREADABLE "The language model answered in a form that can't be read"
#define SAYS_BROKE_OFF "The language model stopped in the middle of its answer"
#define SAYS_FAILED "The language model reported an error while answering"

#endif
