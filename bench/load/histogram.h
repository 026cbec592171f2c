/* Counts of times, log-linear: each power of two in 64 steps, so that a quantile is right within 1.6 %. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define STEPS 64

struct histogram {
    uint64_t counts[64 * STEPS];
    uint64_t total, most;
};

static inline int step_of(uint64_t value)
{
    if (value < STEPS)
        return (int)value;
    int power = 63 - __builtin_clzll(value);
    return (power - 5) * STEPS + (int)((value >> (power - 6)) & (STEPS - 1));
}

static inline double middle_of(int step)
{
    if (step < STEPS)
        return step;
    int power = step / STEPS + 5;
    return (double)(1ull << power) + ((double)(step % STEPS) + 0.5) * (double)(1ull << (power - 6));
}

static inline void count(struct histogram *histogram, uint64_t value)
{
    histogram->counts[step_of(value)]++;
    histogram->total++;
    if (value > histogram->most)
        histogram->most = value;
}

/* The value that the share `q` of all lies below; 0 where nothing was counted. */
static inline double quantile(const struct histogram *histogram, double q)
{
    uint64_t target = (uint64_t)((double)histogram->total * q), passed = 0;
    for (int step = 0; step < 64 * STEPS; step++) {
        passed += histogram->counts[step];
        if (passed > target)
            return middle_of(step);
    }
    return (double)histogram->most;
}

#endif
