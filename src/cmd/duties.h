/* SPDX-License-Identifier: MIT */
/* What the leader does periodically. */
#ifndef CMD_DUTIES_H
#define CMD_DUTIES_H

#include "schedule/duty.h"

/* Ended by a row without a name; their context is the server's struct app. */
extern const struct duty duties[];

#endif
