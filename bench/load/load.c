/* A load client: `load follow|hold|connects|replay OPTIONS`. One thread; prints one line of JSON, or dies of what is wrong.

   follow     followers (`--followers`, over `--channels`) to whom events are published, each delivery checked
   hold       followers to whom nothing comes, until the end of the input
   connects   `--in-flight` connections that are let in, go and come again
   replay     `--followers` callers that get the `--events` of their channel again and again */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "peer.h"

struct options given = {
    .path = "/", .publish_path = "/", .header = "", .server = "", .followers = 1, .channels = 1, .publishers = 1, .seconds = 1, .patience = 15,
};

static enum transport transport_of(const char *name)
{
    if (!strcmp(name, "ws"))
        return WEBSOCKET;
    if (!strcmp(name, "sse"))
        return SSE;
    if (!strcmp(name, "poll"))
        return POLL;
    die("no transport: %s", name);
}

static void read_options(int count, char **arguments)
{
    static const struct option known[] = {
        {"transport", 1, 0, 't'},  /* ws, sse, poll */
        {"port", 1, 0, 'p'},       /* of the followers */
        {"path", 1, 0, 'u'},       /* in which %08d becomes the channel */
        {"header", 1, 0, 'h'},     /* with each call */
        {"tls", 0, 0, 's'},        /* for the followers */
        {"cursor-in-body", 0, 0, 'b'}, /* a poll's; otherwise in ETag and Last-Modified */
        {"followers", 1, 0, 'n'},
        {"channels", 1, 0, 'c'},
        {"first-channel", 1, 0, 'f'},
        {"of-all", 0, 0, 'a'},     /* each follower gets the events of all channels */
        {"server", 1, 0, 'z'},     /* its processes: PID,PID */
        {"publish-port", 1, 0, 'P'},
        {"publish-path", 1, 0, 'U'},
        {"publish-tls", 0, 0, 'S'},
        {"publishers", 1, 0, 'k'}, /* connections */
        {"ask", 0, 0, 'q'},        /* what is published is a question to sayso */
        {"in-flight", 1, 0, 'w'},  /* events posted and not delivered to all; 0: as many as publishers */
        {"rate", 1, 0, 'r'},       /* events a second, whatever is delivered */
        {"seconds", 1, 0, 'd'},
        {"warm-up", 1, 0, 'W'},    /* seconds before those */
        {"patience", 1, 0, 'i'},   /* seconds in which nothing comes */
        {"events", 1, 0, 'e'},
        {0, 0, 0, 0},
    };
    int option;
    while ((option = getopt_long(count, arguments, "", known, 0)) != -1)
        switch (option) {
        case 't': given.transport = transport_of(optarg); break;
        case 'p': given.port = atoi(optarg); break;
        case 'u': given.path = optarg; break;
        case 'h': given.header = optarg; break;
        case 's': given.tls = 1; break;
        case 'b': given.cursor_in_body = 1; break;
        case 'n': given.followers = atoi(optarg); break;
        case 'c': given.channels = atoi(optarg); break;
        case 'f': given.first_channel = atoi(optarg); break;
        case 'a': given.of_all = 1; break;
        case 'z': given.server = optarg; break;
        case 'P': given.publish_port = atoi(optarg); break;
        case 'U': given.publish_path = optarg; break;
        case 'S': given.publish_tls = 1; break;
        case 'k': given.publishers = atoi(optarg); break;
        case 'q': given.ask = 1; break;
        case 'w': given.in_flight = atoi(optarg); break;
        case 'r': given.rate = atof(optarg); break;
        case 'd': given.seconds = atof(optarg); break;
        case 'W': given.warm_up = atof(optarg); break;
        case 'i': given.patience = atof(optarg); break;
        case 'e': given.events = atoi(optarg); break;
        default: exit(2);
        }
}

int main(int count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : "";
    signal(SIGPIPE, SIG_IGN);
    if (count > 1)
        read_options(count - 1, arguments + 1);
    peers_begin(given.tls || given.publish_tls);
    if (!strcmp(what, "follow"))
        follow();
    else if (!strcmp(what, "hold"))
        hold();
    else if (!strcmp(what, "connects"))
        connects();
    else if (!strcmp(what, "replay"))
        replay();
    else
        die("load follow|hold|connects|replay OPTIONS");
    return 0;
}
