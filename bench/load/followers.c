#define _GNU_SOURCE
#include "followers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "http.h"
#include "mark.h"
#include "options.h"
#include "peer.h"
#include "publish.h"

#define DIALLING 256 /* at once, while they are opened */
#define PATIENCE 150.0

struct follower {
    struct peer peer;
    int index;
    int is_following;
    struct seen seen;
    char cursor[192]; /* of a poll: the headers that say it */
};

uint64_t delivered;
struct histogram *late;
static struct follower *followers;
static int following, dialled;

static void check(struct follower *follower, const char *text, uint64_t came)
{
    struct mark mark;
    int channel = given.first_channel + follower->index % given.channels;
    if (!read_mark(text, &mark))
        die("an event came broken: %.*s", MARK, text);
    if (!given.of_all && mark.channel != (uint64_t)channel)
        die("an event of channel %llu came to a follower of %d", (unsigned long long)mark.channel, channel);
    see(&follower->seen, mark.number);
    delivered++;
    if (late)
        count(late, came > mark.due ? came - mark.due : 0);
}

/* Checks the events in `text`, wherever they stand; says how much of it is done with. */
static size_t scan(struct follower *follower, const char *text, size_t length)
{
    size_t done = 0;
    uint64_t came = late ? now() : 0;
    for (;;) {
        const char *begin = memmem(text + done, length - done, "[[", 2);
        if (!begin)
            return length > done && text[length - 1] == '[' ? length - 1 : length;
        if (length - (size_t)(begin - text) < (size_t)MARK)
            return (size_t)(begin - text);
        check(follower, begin, came);
        done = (size_t)(begin - text) + (size_t)MARK;
    }
}

/* A server that hears nothing when it asks whether anyone is there ends the connection. */
static void pong(struct follower *follower, const char *said, size_t length)
{
    char frame[6 + 125] = {(char)0x8a, (char)(0x80 | length)}; /* masked with zeros, which change nothing */
    memcpy(frame + 6, said, length);
    say(&follower->peer, frame, 6 + length);
}

/* The frames in `text` (RFC 6455, 5.2), each event in one; says how much of it is done with. */
static size_t unframe(struct follower *follower, const char *text, size_t length)
{
    size_t done = 0;
    uint64_t came = late ? now() : 0;
    for (;;) {
        const unsigned char *frame = (const unsigned char *)text + done;
        size_t left = length - done, head = 2, size;
        if (left < 4)
            return done;
        size = frame[1];
        if (size == 126) {
            head = 4;
            size = (size_t)frame[2] << 8 | frame[3];
        } else if (size > 126) {
            die("a frame is not as expected: %02x %02x", frame[0], frame[1]);
        }
        if (left < head + size)
            return done;
        const char *payload = text + done + head;
        const char *begin = memmem(payload, size, "[[", 2);
        if (frame[0] == 0x89)
            pong(follower, payload, size);
        else if (frame[0] != 0x81 || !begin || payload + size - begin < MARK)
            die("a frame is not an event: %02x, %.*s", frame[0], (int)size, payload);
        else
            check(follower, begin, came);
        done += head + size;
    }
}

/* A poll goes on from where it is, as a client of that server does. */
static void go_on(struct follower *follower, const struct response *response)
{
    char modified[64], etag[96];
    if (given.cursor_in_body) {
        const char *found = memmem(response->body, response->body_length, "\"cursor\":\"", 10);
        const char *end = found ? strchr(found + 10, '"') : 0;
        if (end)
            snprintf(follower->cursor, sizeof follower->cursor, "Last-Event-ID: %.*s", (int)(end - found - 10),
                     found + 10);
    } else if (header(response, "etag", etag, sizeof etag)) {
        int length = snprintf(follower->cursor, sizeof follower->cursor, "If-None-Match: %s", etag);
        if (header(response, "last-modified", modified, sizeof modified))
            snprintf(follower->cursor + length, sizeof follower->cursor - (size_t)length, "\r\nIf-Modified-Since: %s",
                     modified);
    }
    call(&follower->peer, given.first_channel + follower->index % given.channels, follower->cursor);
}

static void polled(struct follower *follower, char *text, size_t length)
{
    struct response response;
    if (!is_whole(text, length, &response)) {
        keep(&follower->peer, text, length);
        return;
    }
    if (response.status != 200 && response.status != 304)
        die("a poll got: %.400s", text);
    scan(follower, response.body, response.body_length);
    go_on(follower, &response);
}

static void connected(struct peer *peer)
{
    struct follower *follower = (struct follower *)peer;
    call(peer, given.first_channel + follower->index % given.channels, "");
    if (given.transport == POLL) { /* a poll that waits says nothing */
        follower->is_following = 1;
        following++;
    }
}

static void readable(struct peer *peer)
{
    struct follower *follower = (struct follower *)peer;
    struct response response;
    char *text;
    size_t length = take(peer, &text), done;
    if (!length)
        return;
    if (given.transport == POLL) {
        polled(follower, text, length);
        return;
    }
    if (!follower->is_following) {
        if (!has_head(text, length, &response)) {
            keep(peer, text, length);
            return;
        }
        if (response.status != (given.transport == WEBSOCKET ? 101 : 200))
            die("a follower got: %.400s", text);
        follower->is_following = 1;
        following++;
        text += length - response.body_length;
        length = response.body_length;
    }
    done = given.transport == WEBSOCKET ? unframe(follower, text, length) : scan(follower, text, length);
    keep(peer, text + done, length - done);
}

double followers_begin(void)
{
    uint64_t begun = now(), opened, rest = given.transport == POLL ? 1000000000u : 300000000u;
    followers = calloc((size_t)given.followers, sizeof *followers);
    while (following < given.followers) {
        while (dialled < given.followers && dialled - following < DIALLING) {
            followers[dialled].index = dialled;
            followers[dialled].peer.connected = connected;
            followers[dialled].peer.readable = readable;
            dial(&followers[dialled++].peer, given.port, given.tls);
        }
        turn(100);
        if (seconds(now() - begun) > PATIENCE)
            die("%d of %d followers after %.0f s", following, given.followers, PATIENCE);
    }
    opened = now() - begun;
    for (begun = now(); now() - begun < rest;)
        turn(10); /* a server may say that one follows before it does */
    return seconds(opened);
}

double followers_of_one(void)
{
    return given.of_all ? given.followers : (double)given.followers / given.channels;
}

void check_followers(void)
{
    struct seen all = {0, 0, 0};
    for (int i = 0; i < given.channels; i++) {
        all.count += posted[i].count;
        all.which += posted[i].which;
    }
    for (int i = 0; i < given.followers; i++) {
        struct seen *seen = &followers[i].seen;
        struct seen *wanted = given.of_all ? &all : &posted[i % given.channels];
        struct seen *first = &followers[given.of_all ? 0 : i % given.channels].seen;
        if (seen->count != wanted->count)
            die("follower %d has %llu events of %llu", i, (unsigned long long)seen->count,
                (unsigned long long)wanted->count);
        if (seen->which != wanted->which)
            die("follower %d has others than those that were posted", i);
        if (seen->order != first->order)
            die("followers %d and %d saw another order", i, given.of_all ? 0 : i % given.channels);
    }
}
