/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include "base/cleanup.h"

static const struct error_info table[ERROR_COUNT] = {
#define X(name, status, code, sentence) [name] = {status, code, sentence},
    ERROR_TABLE(X)
#undef X
};

const struct error_info *error_info(enum error_id id)
{
    return id > ERR_NONE && id < ERROR_COUNT ? &table[id] : &table[ERR_INTERNAL];
}
