#define _GNU_SOURCE
#include "publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "http.h"
#include "options.h"
#include "peer.h"

#define ASK_BEGIN "{\"execution_id\":\"%08d\",\"title\":\"A question\",\"prompt\":\"" /* a title of its own, or it is cut from the prompt */

struct publisher {
    struct peer peer;
    int is_free;
};

uint64_t published;
struct seen *posted;
static struct publisher *publishers;
static int next;

static void acknowledged(struct peer *peer)
{
    struct publisher *publisher = (struct publisher *)peer;
    struct response response;
    char *text, value[32];
    size_t length;
    if (!(length = take(peer, &text)))
        return;
    if (!is_whole(text, length, &response)) {
        keep(peer, text, length);
        return;
    }
    if (response.status / 100 != 2)
        die("an event was not taken: %.400s", text);
    publisher->is_free = 1;
    if (header(&response, "connection", value, sizeof value) && !strcasecmp(value, "close")) {
        hang_up(peer);
        dial(peer, given.publish_port, given.publish_tls);
    }
}

void publishers_begin(void)
{
    posted = calloc((size_t)given.channels, sizeof *posted);
    publishers = calloc((size_t)given.publishers, sizeof *publishers);
    for (int i = 0; i < given.publishers; i++) {
        publishers[i].peer.readable = acknowledged;
        publishers[i].is_free = 1;
        dial(&publishers[i].peer, given.publish_port, given.publish_tls);
    }
    for (int i = 0; i < given.publishers; i++)
        while (!publishers[i].peer.is_open)
            turn(10);
}

static struct publisher *free_one(void)
{
    for (int i = 0; i < given.publishers; i++) {
        struct publisher *publisher = &publishers[(next + i) % given.publishers];
        if (publisher->is_free && publisher->peer.is_open) {
            next = (next + i + 1) % given.publishers;
            return publisher;
        }
    }
    return 0;
}

int publish(uint64_t due)
{
    struct publisher *publisher = free_one();
    if (!publisher)
        return 0;
    int index = (int)(published % (uint64_t)given.channels), channel = given.first_channel + index;
    char body[2 * EVENT], path[256], head[1024];
    int length = snprintf(body, sizeof body, given.ask ? ASK_BEGIN : EVENT_BEGIN, channel);
    write_mark(body + length, (struct mark){due, published, (uint64_t)channel});
    memcpy(body + length + MARK, EVENT_END, sizeof EVENT_END - 1);
    length += MARK + (int)sizeof EVENT_END - 1;
    snprintf(path, sizeof path, given.publish_path, channel);
    int before = snprintf(head, sizeof head,
                          "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%sContent-Type: application/json\r\n"
                          "Content-Length: %d\r\n\r\n",
                          path, given.publish_port, given.header, *given.header ? "\r\n" : "", length);
    char whole[sizeof head + sizeof body];
    memcpy(whole, head, (size_t)before);
    memcpy(whole + before, body, (size_t)length);
    publisher->is_free = 0;
    see(&posted[index], published++);
    say(&publisher->peer, whole, (size_t)(before + length));
    return 1;
}

int is_all_acknowledged(void)
{
    for (int i = 0; i < given.publishers; i++)
        if (!publishers[i].is_free)
            return 0;
    return 1;
}
