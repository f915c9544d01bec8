/* SPDX-License-Identifier: MIT */
/* The test of a `condition` step: {left, op, right} with eq, ne, lt, gt, contains or exists. */
#ifndef AGENT_CONDITION_H
#define AGENT_CONDITION_H

#include "agent/interpolate.h"

/* 1 or 0, or negative errno with a sentence in error. Both sides may be references; one that leads nowhere is
 * an error, except on the left of `exists`, where it is false, as is null. */
int condition_test(const json_t *test, const struct interpolate_scope *scope, char *error, size_t size);

#endif
