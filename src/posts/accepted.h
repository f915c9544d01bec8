/* SPDX-License-Identifier: MIT */
/* What a post that joins the queue says about the notes it came from. A user who schedules what an answer
 * wrote has accepted it, and with it the notes that the answer cites: they are reinforced. */
#ifndef POSTS_ACCEPTED_H
#define POSTS_ACCEPTED_H

#include "db/db.h"

#define ACCEPTED_ANSWERS 20   /* of the user's newest ones that are looked at */
#define ACCEPTED_CHARS_MIN 20 /* a shorter text could stand in any answer */
#define ACCEPTED_GAIN 0.1     /* of what a note's weight lacks to 1 */

/* Reinforces the nodes that were cited in those answers which hold the text, or are held by it (white space
 * aside): last_reinforced_at is now, the weight grows, and a node that had decayed is active again. Inside
 * the unit that writes the post. 0 or the store's error. */
int accepted_reinforce(struct db_conn *c, const char *user_id, const char *text);

#endif
