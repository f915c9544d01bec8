/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_SKILLS_CHECK_H
#define TESTS_UNIT_SKILLS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#endif
