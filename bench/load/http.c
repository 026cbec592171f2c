#define _GNU_SOURCE
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "options.h"

int has_head(const char *text, size_t length, struct response *found)
{
    const char *end = memmem(text, length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (strncmp(text, "HTTP/1.1 ", 9))
        die("not a response: %.200s", text);
    found->status = atoi(text + 9);
    found->head = text;
    found->head_length = (size_t)(end - text) + 2;
    found->body = end + 4;
    found->body_length = length - (size_t)(found->body - text);
    return 1;
}

int header(const struct response *response, const char *name, char *value, size_t size)
{
    const char *line = response->head, *end = line + response->head_length;
    size_t length = strlen(name);
    while (line < end) {
        const char *next = memmem(line, (size_t)(end - line), "\r\n", 2);
        if (!next)
            return 0;
        if ((size_t)(next - line) > length && !strncasecmp(line, name, length) && line[length] == ':') {
            const char *begin = line + length + 1;
            while (*begin == ' ')
                begin++;
            size_t long_as = (size_t)(next - begin);
            if (long_as >= size)
                long_as = size - 1;
            memcpy(value, begin, long_as);
            value[long_as] = 0;
            return 1;
        }
        line = next + 2;
    }
    return 0;
}

int is_whole(const char *text, size_t length, struct response *found)
{
    char value[32];
    if (!has_head(text, length, found))
        return 0;
    if (header(found, "content-length", value, sizeof value))
        return found->body_length >= (size_t)atoll(value);
    if (header(found, "transfer-encoding", value, sizeof value))
        return found->body_length >= 5 && !memcmp(text + length - 5, "0\r\n\r\n", 5);
    return 1;
}

void call(struct peer *peer, int channel, const char *more)
{
    static const char *what[] = {
        [WEBSOCKET] = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        [SSE] = "Accept: text/event-stream\r\n",
        [POLL] = "",
    };
    char text[1024], path[256];
    snprintf(path, sizeof path, given.path, channel); /* the path comes from the harness */
    int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s%s%s%s\r\n", path, given.port,
                          what[given.transport], given.header, *given.header ? "\r\n" : "", more, *more ? "\r\n" : "");
    say(peer, text, (size_t)length);
}
