#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
static SSL_CTX *context;
#endif

static int epoll;
static char buffer[1 << 19];

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

void peers_begin(int with_tls)
{
    epoll = epoll_create1(0);
#ifdef WITH_TLS
    if (with_tls)
        context = SSL_CTX_new(TLS_client_method()); /* whom it talks to is this machine: nothing is verified */
#else
    if (with_tls)
        die("this client was built without TLS");
#endif
}

static void watch(struct peer *peer, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = peer};
    if (epoll_ctl(epoll, operation, peer->fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

void dial(struct peer *peer, int port, int with_tls)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (peer->fd < 0)
        die("socket: %s", strerror(errno));
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    peer->is_open = 0;
    peer->dialled = now();
    peer->kept_length = 0;
    if (connect(peer->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
#ifdef WITH_TLS
    if (with_tls) {
        SSL *tls = SSL_new(context);
        SSL_set_fd(tls, peer->fd);
        SSL_set_connect_state(tls);
        peer->tls = tls;
    }
#else
    (void)with_tls;
#endif
    watch(peer, EPOLL_CTL_ADD, EPOLLOUT);
}

/* How many bytes, 0 for none at present; dies of what is an end. */
static size_t receive(struct peer *peer, char *to, size_t size)
{
#ifdef WITH_TLS
    if (peer->tls) {
        int got = SSL_read(peer->tls, to, (int)size);
        int error = got > 0 ? 0 : SSL_get_error(peer->tls, got);
        if (error && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            die("the server ended a connection (TLS %d)", error);
        return got > 0 ? (size_t)got : 0;
    }
#endif
    ssize_t got = recv(peer->fd, to, size, 0);
    if (got == 0)
        die("the server ended a connection");
    if (got < 0 && errno != EAGAIN)
        die("recv: %s", strerror(errno));
    return got > 0 ? (size_t)got : 0;
}

void say(struct peer *peer, const char *text, size_t length)
{
    while (length) {
        ssize_t sent;
#ifdef WITH_TLS
        if (peer->tls)
            sent = SSL_write(peer->tls, text, (int)length);
        else
#endif
            sent = send(peer->fd, text, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            struct pollfd room = {.fd = peer->fd, .events = POLLOUT};
            if (!peer->tls && errno != EAGAIN)
                die("send: %s", strerror(errno));
            poll(&room, 1, 1000);
            continue;
        }
        text += sent;
        length -= (size_t)sent;
    }
}

size_t take(struct peer *peer, char **text)
{
    size_t length = peer->kept_length, got;
    if (length)
        memcpy(buffer, peer->kept, length);
    do {
        got = receive(peer, buffer + length, sizeof buffer - 1 - length);
        length += got;
    } while (got && peer->tls && length < sizeof buffer - 1); /* what TLS holds, epoll does not see */
    if (length == peer->kept_length)
        return 0;
    peer->kept_length = 0;
    buffer[length] = 0;
    *text = buffer;
    return length;
}

void keep(struct peer *peer, const char *text, size_t length)
{
    if (length > peer->kept_size) {
        if (length > sizeof buffer / 2)
            die("%zu bytes without an end: %.200s", length, text);
        peer->kept_size = length * 2;
        peer->kept = realloc(peer->kept, peer->kept_size);
    }
    if (length)
        memmove(peer->kept, text, length);
    peer->kept_length = length;
}

void hang_up(struct peer *peer)
{
    struct linger reset = {1, 0};
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
#ifdef WITH_TLS
    if (peer->tls)
        SSL_free(peer->tls);
    peer->tls = 0;
#endif
    close(peer->fd);
    peer->fd = -1;
    peer->is_open = 0;
}

/* Whether it is connected, and through the handshake. */
static int is_connected(struct peer *peer, uint32_t events)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        die("connect: %s", strerror(error));
#ifdef WITH_TLS
    if (peer->tls) {
        int done = SSL_do_handshake(peer->tls);
        int why = done == 1 ? 0 : SSL_get_error(peer->tls, done);
        if (why && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            die("TLS handshake: %s", ERR_reason_error_string(ERR_get_error()));
        if (why)
            watch(peer, EPOLL_CTL_MOD, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
        return !why;
    }
#endif
    return (events & EPOLLOUT) != 0;
}

void turn(int milliseconds)
{
    struct epoll_event events[1024];
    int count = epoll_wait(epoll, events, 1024, milliseconds);
    for (int i = 0; i < count; i++) {
        struct peer *peer = events[i].data.ptr;
        if (peer->fd < 0)
            continue;
        if (peer->is_open) {
            peer->readable(peer);
        } else if (is_connected(peer, events[i].events)) {
            peer->is_open = 1;
            watch(peer, EPOLL_CTL_MOD, EPOLLIN);
            if (peer->connected)
                peer->connected(peer);
        }
    }
}
