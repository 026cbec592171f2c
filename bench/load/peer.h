/* A connection to a server: one socket that never blocks, with TLS or without, and what it brought and is not used yet. */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>

struct peer {
    void (*connected)(struct peer *); /* or 0 */
    void (*readable)(struct peer *);
    char *kept;
    size_t kept_length, kept_size;
    void *tls;
    uint64_t dialled;
    int fd;
    int is_open;
};

/* Ends the program: a measurement that went wrong is none. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

void peers_begin(int with_tls);
void dial(struct peer *peer, int port, int with_tls);
void say(struct peer *peer, const char *text, size_t length);
/* What was kept and what came since, as `*text`: good until the next call. 0 when nothing came. Dies when it closed. */
size_t take(struct peer *peer, char **text);
void keep(struct peer *peer, const char *text, size_t length);
void hang_up(struct peer *peer); /* at once, with a reset, so that no port stays taken */
/* Lets peers have their turn; waits for the first at most so long. */
void turn(int milliseconds);

#endif
