/* SPDX-License-Identifier: MIT
 * Runs a fuzz target without libFuzzer: every file of its corpus, then mutations of them from a fixed seed,
 * so that each run of the tests feeds the same bytes under any compiler. Usage: replay_NAME CORPUS
 * [MUTATIONS] */
#include "fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX ((size_t)1 << 20)
#define GROWTH_MAX ((size_t)64)
#define MUTATIONS_DEFAULT 3000
#define STACKED_MAX 8

struct input {
    uint8_t *data;
    size_t size;
};

static uint64_t random_state = 0x9e3779b97f4a7c15u;

/* xorshift64: the same numbers on every machine. */
static size_t below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return limit ? (size_t)(random_state % limit) : 0;
}

static void *must(void *memory)
{
    if (!memory) {
        perror("replay");
        exit(2);
    }
    return memory;
}

/* The target sees an allocation of exactly the input's size, so that the sanitizer notices a read past it. */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t *copy = must(malloc(size ? size : 1));
    if (size)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t erase(uint8_t *data, size_t size)
{
    size_t from = below(size), count = 1 + below(size - from);
    memmove(data + from, data + from + count, size - from - count);
    return size - count;
}

/* Copies a piece of the input to another place in it: nesting, repeated keys, doubled separators. */
static size_t repeat(uint8_t *data, size_t size)
{
    uint8_t piece[GROWTH_MAX];
    size_t from = below(size), to = below(size + 1);
    size_t count = 1 + below(size - from < GROWTH_MAX ? size - from : GROWTH_MAX);
    memcpy(piece, data + from, count);
    memmove(data + to + count, data + to, size - to);
    memcpy(data + to, piece, count);
    return size + count;
}

static size_t insert(uint8_t *data, size_t size)
{
    static const char bytes[] = "\0\n\r\t \"'\\{}[]<>:;,=&%+-./0159aez\x7f\x80\xc3\xe2\xf0\xff";
    size_t at = below(size + 1);
    memmove(data + at + 1, data + at, size - at);
    data[at] = (uint8_t)bytes[below(sizeof bytes)];
    return size + 1;
}

/* Grows the input by GROWTH_MAX bytes at most. */
static size_t mutate(uint8_t *data, size_t size)
{
    if (size == 0)
        return insert(data, size);
    switch (below(6)) {
    case 0:
        return erase(data, size);
    case 1:
        return below(size);
    case 2:
        return repeat(data, size);
    case 3:
        return insert(data, size);
    case 4:
        data[below(size)] = (uint8_t)below(256);
        return size;
    default:
        data[below(size)] ^= (uint8_t)(1u << below(8));
        return size;
    }
}

static void feed_mutation(const struct input *seed, uint8_t *scratch)
{
    size_t size = seed->size;
    memcpy(scratch, seed->data, size);
    for (size_t n = 1 + below(STACKED_MAX); n > 0; n--)
        size = mutate(scratch, size);
    feed(scratch, size);
}

static void read_input(const char *folder, const char *name, struct input *ret_input)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = must(fopen(path, "rb"));
    struct input input = {.data = must(malloc(INPUT_MAX))};
    input.size = fread(input.data, 1, INPUT_MAX, file);
    if (ferror(file) || getc(file) != EOF) {
        fprintf(stderr, "%s: cannot be read, or longer than %zu bytes\n", path, INPUT_MAX);
        exit(2);
    }
    fclose(file);
    input.data = must(realloc(input.data, input.size ? input.size : 1));
    *ret_input = input;
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* In the order of names; the empty input comes first, so there is always one. */
static size_t read_corpus(const char *folder, struct input **ret_inputs)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_input, alphasort);
    if (count < 0) {
        perror(folder);
        exit(2);
    }
    struct input *inputs = must(calloc((size_t)count + 1, sizeof *inputs));
    inputs[0].data = must(malloc(1));
    for (int i = 0; i < count; i++) {
        read_input(folder, entries[i]->d_name, &inputs[i + 1]);
        free(entries[i]);
    }
    free(entries);
    *ret_inputs = inputs;
    return (size_t)count + 1;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s CORPUS [MUTATIONS]\n", argv[0]);
        return 2;
    }
    long mutations = argc > 2 ? atol(argv[2]) : MUTATIONS_DEFAULT;
    struct input *inputs;
    size_t count = read_corpus(argv[1], &inputs);

    for (size_t i = 0; i < count; i++)
        feed(inputs[i].data, inputs[i].size);

    uint8_t *scratch = must(malloc(INPUT_MAX + STACKED_MAX * GROWTH_MAX));
    for (long i = 0; i < mutations; i++)
        feed_mutation(&inputs[(size_t)i % count], scratch);

    printf("%zu inputs and %ld mutations\n", count, mutations);
    for (size_t i = 0; i < count; i++)
        free(inputs[i].data);
    free(inputs);
    free(scratch);
    return 0;
}
