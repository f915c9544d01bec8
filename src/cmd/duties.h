/* SPDX-License-Identifier: MIT */
/* What the leader does periodically. */
#ifndef CMD_DUTIES_H
#define CMD_DUTIES_H

#include "base/config.h"
#include "schedule/duty.h"

/* Ended by a row without a name; their context is the server's struct app. Those whose interval is a setting
 * have it from cfg. Once a process. */
const struct duty *duties_of(const struct config *cfg);

#endif
