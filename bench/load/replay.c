/* Callers that ask for everything that was published to a channel, again and again: how many answers a second. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "http.h"
#include "mark.h"
#include "options.h"
#include "peer.h"
#include "publish.h"
#include "server.h"

struct caller {
    struct peer peer;
    int index;
};

static uint64_t answers;

static void ask(struct peer *peer)
{
    struct caller *caller = (struct caller *)peer;
    call(peer, given.first_channel + caller->index % given.channels, "");
}

/* All that was posted, in its order, and nothing else. */
static void check(struct caller *caller, const char *body, size_t length)
{
    struct seen seen = {0, 0, 0}, *wanted = &posted[caller->index % given.channels];
    struct mark mark;
    const char *end = body + length;
    while ((body = memmem(body, (size_t)(end - body), "[[", 2))) {
        if (end - body < MARK || !read_mark(body, &mark))
            die("an event came broken: %.*s", MARK, body);
        see(&seen, mark.number);
        body += MARK;
    }
    if (memcmp(&seen, wanted, sizeof seen))
        die("%llu events in an answer, not the %llu that were posted", (unsigned long long)seen.count,
            (unsigned long long)wanted->count);
}

static void answered(struct peer *peer)
{
    struct response response;
    char *text;
    size_t length = take(peer, &text);
    if (!length)
        return;
    if (!is_whole(text, length, &response)) {
        keep(peer, text, length);
        return;
    }
    if (response.status != 200)
        die("a replay got: %.400s", text);
    check((struct caller *)peer, response.body, response.body_length);
    answers++;
    ask(peer);
}

void replay(void)
{
    publishers_begin();
    for (int i = 0; i < given.events * given.channels; i++)
        while (!publish(now()))
            turn(1);
    while (!is_all_acknowledged())
        turn(1);
    struct caller *callers = calloc((size_t)given.followers, sizeof *callers);
    for (int i = 0; i < given.followers; i++) {
        callers[i].index = i;
        callers[i].peer.connected = ask;
        callers[i].peer.readable = answered;
        dial(&callers[i].peer, given.port, given.tls);
    }
    for (uint64_t begun = now(); seconds(now() - begun) < given.warm_up;)
        turn(1);
    answers = 0;
    double server = server_time();
    uint64_t begun = now(), end;
    while ((end = now()), seconds(end - begun) < given.seconds)
        turn(1);
    printf("{\"answers_per_s\": %.1f, \"answers_per_cpu_s\": %.1f}\n", (double)answers / seconds(end - begun),
           (double)answers / (server_time() - server));
}
