/* SPDX-License-Identifier: MIT */
#ifndef TEST_GRAPH_CHECK_H
#define TEST_GRAPH_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"

/* xorshift: the same numbers in every run. */
static inline uint32_t random_below(uint64_t *state, uint32_t limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)((*state >> 32) % limit);
}

#endif
