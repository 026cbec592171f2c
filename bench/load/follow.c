/* Publishing to followers: as fast as they get it, or so many events a second; and followers to whom nothing comes. */
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "followers.h"
#include "options.h"
#include "peer.h"
#include "publish.h"
#include "server.h"

static uint64_t last; /* when something came last */

/* Lets peers have their turn, and sees to it that something comes. */
static void wait_a_turn(int milliseconds)
{
    uint64_t before = delivered, acknowledged = last;
    turn(milliseconds);
    if (delivered != before)
        last = now();
    else if (seconds(now() - acknowledged) > given.patience)
        die("%llu events were posted, and then nothing came for %.0f s: %llu of %.0f deliveries",
            (unsigned long long)published, given.patience, (unsigned long long)delivered,
            (double)published * followers_of_one());
}

/* Whether the next event may be posted: the one before those that may be under way has reached everyone. */
static int is_its_turn(void)
{
    double under_way = (double)published + 1 - given.in_flight;
    return !given.in_flight || (double)delivered >= under_way * followers_of_one() - 1e-6;
}

static void post_as_they_arrive(double time)
{
    uint64_t until = now() + (uint64_t)(time * 1e9);
    while (now() < until) {
        while (is_its_turn() && publish(now()))
            ;
        wait_a_turn(1);
    }
}

/* An event's time is when it was due, however late it could be posted: so nobody's delay is left out. */
static void post_at_a_rate(double time)
{
    uint64_t begun = now(), events = (uint64_t)(time * given.rate), posted_here = 0;
    while (posted_here < events) {
        uint64_t due = begun + (uint64_t)((double)posted_here * 1e9 / given.rate), time_is = now();
        if (time_is >= due && publish(due))
            posted_here++;
        else
            wait_a_turn(due > time_is + 1000000u ? 1 : 0);
    }
}

static void post(double time)
{
    last = now();
    if (given.rate > 0)
        post_at_a_rate(time);
    else
        post_as_they_arrive(time);
    while ((double)delivered < (double)published * followers_of_one() - 1e-6 || !is_all_acknowledged())
        wait_a_turn(1);
}

void follow(void)
{
    static struct histogram times;
    double opened = followers_begin(), server;
    uint64_t begun, cpu, before, deliveries;
    publishers_begin();
    if (given.warm_up > 0)
        post(given.warm_up);
    late = &times;
    before = published;
    deliveries = delivered;
    cpu = nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID);
    server = server_time();
    begun = now();
    post(given.seconds);
    server = server_time() - server;
    double took = seconds(last - begun);
    check_followers();
    printf("{\"opened_s\": %.3f, \"events\": %llu, \"messages\": %llu, \"seconds\": %.4f, \"events_per_s\": %.1f, "
           "\"messages_per_s\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"most_us\": %.1f, "
           "\"events_per_cpu_s\": %.1f, \"messages_per_cpu_s\": %.1f, \"client_cpu_s\": %.3f}\n",
           opened, (unsigned long long)(published - before), (unsigned long long)(delivered - deliveries), took,
           (double)(published - before) / took, (double)(delivered - deliveries) / took, quantile(&times, 0.5) / 1e3,
           quantile(&times, 0.99) / 1e3, quantile(&times, 0.999) / 1e3, (double)times.most / 1e3,
           (double)(published - before) / server, (double)(delivered - deliveries) / server,
           seconds(nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu));
}

void hold(void)
{
    char end;
    printf("{\"opened_s\": %.3f}\n", followers_begin());
    fflush(stdout);
    while (read(STDIN_FILENO, &end, 1) > 0)
        ;
}
