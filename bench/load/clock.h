/* Time, in nanoseconds of the clock that nobody sets. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t nanoseconds_of(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline uint64_t now(void) { return nanoseconds_of(CLOCK_MONOTONIC); }

static inline double seconds(uint64_t nanoseconds) { return (double)nanoseconds / 1e9; }

#endif
