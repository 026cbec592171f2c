#define _GNU_SOURCE
#include "server.h"

#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "options.h"
#include "peer.h"

double server_time(void)
{
    double used = 0;
    char *end;
    for (const char *next = given.server; *next; next = *end ? end + 1 : end) {
        clockid_t clock;
        if (clock_getcpuclockid((pid_t)strtol(next, &end, 10), &clock) || end == next)
            die("no process of the server: %s", next);
        used += seconds(nanoseconds_of(clock));
    }
    return used;
}
