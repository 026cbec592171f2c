/* As much of HTTP/1.1 as a load client needs: one call, one response, no pipelining. */
#ifndef HTTP_H
#define HTTP_H

#include <stddef.h>

#include "peer.h"

struct response {
    int status;
    const char *head, *body;
    size_t head_length, body_length;
};

/* Whether `text` is a whole response; `found` says what it is. */
int is_whole(const char *text, size_t length, struct response *found);
/* Whether the head of `text` is whole. */
int has_head(const char *text, size_t length, struct response *found);
/* The value of a header, cut to `size`; 0 when there is none. */
int header(const struct response *response, const char *name, char *value, size_t size);

/* Asks for `path`, of which `%08d` becomes the channel: an upgrade, a stream, or a plain GET with `more` headers. */
void call(struct peer *peer, int channel, const char *more);

#endif
