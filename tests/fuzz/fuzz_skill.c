/* SPDX-License-Identifier: MIT */
/* Any bytes as a skill file: the verdict is the same each time, a refusal names a line and a reason, and what
 * is taken is within the limits and can be sent as JSON. */
#include "fuzz.h"

#include "base/text.h"
#include "skills/skill_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void require(bool held)
{
    if (!held)
        abort();
}

static void check_text(const char *text, size_t max)
{
    require(text && text[0] && strlen(text) <= max && utf8_valid(text, strlen(text)));
}

static void check_skill(const struct skill_file *s)
{
    check_text(s->name, SKILL_NAME_MAX);
    check_text(s->description, SKILL_DESCRIPTION_MAX);
    check_text(s->content, SKILL_CONTENT_MAX);
    require(!strpbrk(s->name, "/\r\n") && s->name_line >= 2);
    require(s->n_tags <= SKILL_TAGS_MAX && s->n_links <= SKILL_LINKS_MAX && s->n_notes <= SKILL_NOTES_MAX);
    for (size_t i = 0; i < s->n_tags; i++)
        check_text(s->tags[i], SKILL_TAG_MAX);
    for (size_t i = 0; i < s->n_links; i++) {
        check_text(s->links[i].name, FRONT_BYTES_MAX);
        require(s->links[i].weight >= 0 && s->links[i].weight <= 1);
    }
    for (size_t i = 0; i < s->n_notes; i++)
        require(s->notes[i].line >= 2 && s->notes[i].why[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct skill_file skill, again;
    struct front_fault fault = {0}, other = {0};
    struct arena a;
    arena_init(&a, 64 * 1024 * 1024);
    int r = skill_file_read(&a, (const char *)data, size, &skill, &fault);
    require(skill_file_read(&a, (const char *)data, size, &again, &other) == r);
    require(r == 0 || r == -EBADMSG);
    require(fault.line == other.line && strcmp(fault.why, other.why) == 0);
    if (r == 0)
        check_skill(&skill);
    else
        require(fault.line >= 1 && fault.why[0]);
    arena_free(&a);
    return 0;
}
