/* Publishers: connections that post events, one at a time each. */
#ifndef PUBLISH_H
#define PUBLISH_H

#include <stdint.h>

#include "mark.h"

extern uint64_t published; /* events posted so far */
extern struct seen *posted; /* what went to each channel */

void publishers_begin(void);
/* Posts the next event, that was due at that time, by whichever connection is free. Whether one was. */
int publish(uint64_t due);
/* Whether every event that was posted has been acknowledged. */
int is_all_acknowledged(void);

#endif
