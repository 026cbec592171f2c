/* Connections that come, are let in, and go: how many a second. */
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "histogram.h"
#include "http.h"
#include "options.h"
#include "peer.h"
#include "server.h"

static uint64_t let_in;
static struct histogram times;

static void connected(struct peer *peer) { call(peer, given.first_channel, ""); }

static void readable(struct peer *peer)
{
    struct response response;
    char *text;
    size_t length = take(peer, &text);
    if (!length)
        return;
    if (!has_head(text, length, &response)) {
        keep(peer, text, length);
        return;
    }
    if (response.status != (given.transport == WEBSOCKET ? 101 : 200))
        die("a follower got: %.400s", text);
    count(&times, now() - peer->dialled);
    let_in++;
    hang_up(peer);
    dial(peer, given.port, given.tls);
}

void connects(void)
{
    struct peer *peers = calloc((size_t)given.in_flight, sizeof *peers);
    for (int i = 0; i < given.in_flight; i++) {
        peers[i].connected = connected;
        peers[i].readable = readable;
        dial(&peers[i], given.port, given.tls);
    }
    for (uint64_t begun = now(); seconds(now() - begun) < given.warm_up;)
        turn(1);
    let_in = 0;
    double server = server_time();
    uint64_t begun = now(), end;
    while ((end = now()), seconds(end - begun) < given.seconds)
        turn(1);
    printf("{\"connects_per_s\": %.1f, \"connects_per_cpu_s\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           (double)let_in / seconds(end - begun), (double)let_in / (server_time() - server), quantile(&times, 0.5) / 1e3, quantile(&times, 0.99) / 1e3);
}
