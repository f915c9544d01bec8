/* SPDX-License-Identifier: MIT */
/* HTML by libxml2's lenient parser, as events: no tree is built, so a page needs no more memory than its
 * deepest nesting. Nothing is fetched. Headings make sections; scripts, styles and their like are left out.
 * The parser searches the open elements at each end tag, and at each attribute those before it in its tag, so
 * a page with deeper nesting or longer tags than any real one is not read on: that keeps its time in
 * proportion to its length. */
#include "reader/formats.h"
#include "reader/sections.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <libxml/HTMLparser.h>
#include <pthread.h>
#include <string.h>

#define DEPTH_MAX 256
#define MARKS_MAX 4096 /* blanks and quotes in a tag: each may end an attribute */

struct page {
    const char *text; /* that the parser hasn't got yet */
    size_t left;
    struct sections sections;
    htmlParserCtxtPtr parser;
    unsigned depth, dropped; /* open elements; of those, from the first one whose text is left out */
    int heading;             /* level of the heading we are in, 7 = the page's title, 0 = none */
    struct buf line;         /* of it */
    bool blank;              /* the text so far ends with one */
    size_t marks;            /* in what the parser was given since it last said something */
    const char *why;         /* it isn't read on */
};

static bool is_one_of(const xmlChar *name, const char *choices)
{
    return choices_have(choices, (const char *)name, strlen((const char *)name));
}

static int heading_of(const xmlChar *name)
{
    if (strcmp((const char *)name, "title") == 0)
        return 7;
    return name[0] == 'h' && name[1] >= '1' && name[1] <= '6' && name[2] == '\0' ? name[1] - '0' : 0;
}

static void break_line(struct page *p, const char *with)
{
    if (p->heading == 0 && p->sections.text.len > 0)
        sections_text(&p->sections, with, strlen(with));
    p->blank = true;
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar **attributes)
{
    struct page *p = ctx;
    (void)attributes;
    p->marks = 0;
    p->depth++;
    if (p->depth > DEPTH_MAX) {
        p->why = "its elements are nested too deeply";
        xmlStopParser(p->parser);
        return;
    }
    if (p->dropped == 0 &&
        is_one_of(name, "script|style|noscript|template|svg|iframe|object|select|textarea"))
        p->dropped = p->depth;
    if (p->dropped > 0)
        return;
    if (heading_of(name) > 0 && p->heading == 0) {
        p->heading = heading_of(name);
        buf_reset(&p->line);
    } else if (is_one_of(name,
                         "p|div|section|article|ul|ol|table|blockquote|header|footer|main|dl|pre|form")) {
        break_line(p, "\n\n");
    } else if (is_one_of(name, "br|li|tr|dt|dd|hr|option")) {
        break_line(p, "\n");
    } else if (is_one_of(name, "td|th")) {
        break_line(p, " ");
    }
}

static void end_heading(struct page *p)
{
    const char *line = p->line.data ? p->line.data : "";
    int level = p->heading;
    p->heading = 0;
    p->blank = true;
    if (level == 7)
        sections_title(&p->sections, line, p->line.len);
    else
        sections_heading(&p->sections, level, line, p->line.len);
}

static void on_end(void *ctx, const xmlChar *name)
{
    struct page *p = ctx;
    p->marks = 0;
    if (p->heading > 0 && p->dropped == 0 && heading_of(name) == p->heading)
        end_heading(p);
    if (p->dropped >= p->depth)
        p->dropped = 0;
    if (p->depth > 0)
        p->depth--;
}

/* Blanks of any length are one, as a browser shows them. */
static void on_text(void *ctx, const xmlChar *text, int len)
{
    struct page *p = ctx;
    char piece[1024];
    size_t n = 0;
    p->marks = 0;
    if (p->dropped > 0)
        return;
    for (int i = 0; i < len; i++) {
        bool blank = text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r');
        if (!blank || !p->blank)
            piece[n++] = blank ? ' ' : (char)text[i];
        p->blank = blank;
        bool at_border = i + 1 == len || (text[i + 1] & 0xC0) != 0x80;
        if (i + 1 < len && (n < sizeof piece - 4 || !at_border))
            continue;
        if (p->heading == 0)
            sections_text(&p->sections, piece, n);
        else if (p->line.len + n <= p->line.max)
            (void)buf_add(&p->line, piece, n);
        n = 0;
    }
}

static void ignore(void *ctx, const char *format, ...)
{
    (void)ctx;
    (void)format;
}

static void init_parser(void)
{
    xmlInitParser();
}

/* Within a tag nothing is heard of the parser but that it wants more. */
static bool goes_on(struct page *p, const char *piece, size_t len)
{
    if (p->parser->instate == XML_PARSER_COMMENT)
        p->marks = 0;
    for (size_t i = 0; i < len; i++)
        p->marks += memchr(" \t\n\r\f\"'", piece[i], 7) != NULL;
    if (p->marks > MARKS_MAX)
        p->why = "a tag in it has too many attributes";
    return !p->why && p->sections.error == 0 && !corpus_stops(p->sections.corpus);
}

/* What the parser reads from: the page, or its end where it isn't to be read on. */
static int give(void *ctx, char *to, int len)
{
    struct page *p = ctx;
    size_t n = (size_t)len < p->left ? (size_t)len : p->left;
    if (!goes_on(p, p->text, n))
        return 0;
    memcpy(to, p->text, n);
    p->text += n;
    p->left -= n;
    return (int)n;
}

static int parse(struct page *p)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const int options = HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET |
                        HTML_PARSE_IGNORE_ENC;
    (void)pthread_once(&once, init_parser);
    p->parser = htmlNewParserCtxt();
    if (!p->parser)
        return -ENOMEM;
    *p->parser->sax = (htmlSAXHandler){.startElement = on_start,
                                       .endElement = on_end,
                                       .characters = on_text,
                                       .ignorableWhitespace = on_text,
                                       .warning = ignore,
                                       .error = ignore};
    p->parser->userData = p;
    xmlFreeDoc(htmlCtxtReadIO(p->parser, give, NULL, p, NULL, "UTF-8", options));
    htmlFreeParserCtxt(p->parser);
    return 0;
}

int format_read_html(struct corpus *c, const struct source *source, const char *text, size_t len,
                     const char **ret_why)
{
    struct page p = {.text = text, .left = len, .line = BUF_INIT(4096), .blank = true};
    sections_begin(&p.sections, c, source);
    int r = parse(&p);
    int ended = sections_end(&p.sections);
    buf_free(&p.line);
    if (r == 0 && ended == 0 && p.why) {
        *ret_why = p.why;
        return -EBADMSG;
    }
    return r < 0 ? r : ended;
}
