/* SPDX-License-Identifier: MIT */
/* `genie serve --demo`: two users, a creator's nodes and fans, the skills that come with
 * the program, made once; and the tour that is printed at the
 * start. */
#ifndef CMD_DEMO_H
#define CMD_DEMO_H

#include "base/config.h"
#include "db/db.h"

/* Makes the demo data unless it is there. Passwords are random, kept in <data dir>/demo-passwords.txt (0600)
 * and printed once. 0 or negative errno, with a sentence printed. */
int demo_prepare(const struct config *cfg, struct db *db);

/* Prints the address, a token command and three lines to paste. */
void demo_print_tour(const struct config *cfg, int port);

#endif
