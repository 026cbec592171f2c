/* Followers: connections on which events come, each event checked. */
#ifndef FOLLOWERS_H
#define FOLLOWERS_H

#include <stdint.h>

#include "histogram.h"

extern uint64_t delivered; /* events that came, to all followers together */
extern struct histogram *late; /* where to count how late each comes, in nanoseconds; 0: nowhere */

/* Opens all of them, in so many seconds; they are on their streams when it returns. */
double followers_begin(void);
/* How many followers each event goes to. */
double followers_of_one(void);
/* Dies unless every follower has seen just what was posted, and all of a channel in the same order. */
void check_followers(void);

#endif
