/* The limit of a core: `limit PORT [joined]`. An epoll loop that reads just enough HTTP to send events on.

   An event is framed once and sent with one call to each follower: at once, or, `joined`, everything that came in one turn
   of the loop together. There is no queue, no check and no clock: what does more cannot be faster. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNELS (1 << 20)
#define TURN 1024

struct channel;

struct peer {
    int fd, is_websocket, place;
    struct channel *channel; /* that it follows; 0: it publishes, or has said nothing */
};

struct text {
    char *bytes;
    size_t length, size;
};

struct channel {
    struct peer **followers;
    int count, size, is_waiting;
    struct text frames, blocks; /* of the events that are to be sent, for WebSockets and for SSE */
};

static struct channel *channels[CHANNELS];
static struct channel *waiting[TURN];
static int waiting_count, epoll;
static char buffer[1 << 17];

static const char upgraded[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char streaming[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
static const char taken[] = "HTTP/1.1 204 No Content\r\n\r\n";

static void add(struct text *text, const void *bytes, size_t length)
{
    if (text->length + length > text->size) {
        text->size = (text->length + length) * 2;
        text->bytes = realloc(text->bytes, text->size);
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

static struct channel *channel_at(const char *name)
{
    int number = atoi(name);
    if (number < 0 || number >= CHANNELS)
        exit(1);
    if (!channels[number])
        channels[number] = calloc(1, sizeof **channels);
    return channels[number];
}

static void send_on(struct channel *channel)
{
    for (int i = 0; i < channel->count; i++) {
        struct peer *peer = channel->followers[i];
        struct text *text = peer->is_websocket ? &channel->frames : &channel->blocks;
        send(peer->fd, text->bytes, text->length, MSG_NOSIGNAL);
    }
    channel->frames.length = channel->blocks.length = 0;
    channel->is_waiting = 0;
}

static void join(struct peer *peer, struct channel *channel, int is_websocket)
{
    peer->is_websocket = is_websocket;
    peer->channel = channel;
    peer->place = channel->count;
    if (channel->count == channel->size) {
        channel->size = channel->size ? channel->size * 2 : 1;
        channel->followers = realloc(channel->followers, (size_t)channel->size * sizeof *channel->followers);
    }
    channel->followers[channel->count++] = peer;
    if (is_websocket)
        send(peer->fd, upgraded, sizeof upgraded - 1, MSG_NOSIGNAL);
    else
        send(peer->fd, streaming, sizeof streaming - 1, MSG_NOSIGNAL);
}

static void leave(struct peer *peer)
{
    struct channel *channel = peer->channel;
    if (channel) {
        struct peer *other = channel->followers[--channel->count];
        channel->followers[peer->place] = other;
        other->place = peer->place;
    }
    close(peer->fd);
    free(peer);
}

static void publish(struct channel *channel, const char *event, size_t length)
{
    unsigned char head[4] = {0x81, 126, (unsigned char)(length >> 8), (unsigned char)length};
    if (length < 126)
        exit(1); /* the load client's are longer */
    add(&channel->frames, head, 4);
    add(&channel->frames, event, length);
    add(&channel->blocks, "data: ", 6);
    add(&channel->blocks, event, length);
    add(&channel->blocks, "\n\n", 2);
}

static void hear(struct peer *peer, int is_joined)
{
    ssize_t length = recv(peer->fd, buffer, sizeof buffer - 1, 0);
    if (length <= 0) {
        leave(peer);
        return;
    }
    buffer[length] = 0;
    if (!strncmp(buffer, "GET /ws/", 8)) {
        join(peer, channel_at(buffer + 8), 1);
    } else if (!strncmp(buffer, "GET /sse/", 9)) {
        join(peer, channel_at(buffer + 9), 0);
    } else if (!strncmp(buffer, "POST /pub/", 10)) {
        struct channel *channel = channel_at(buffer + 10);
        char *event = strstr(buffer, "\r\n\r\n") + 4;
        publish(channel, event, (size_t)(buffer + length - event));
        if (!is_joined) {
            send_on(channel);
        } else if (!channel->is_waiting) {
            channel->is_waiting = 1;
            waiting[waiting_count++] = channel;
        }
        send(peer->fd, taken, sizeof taken - 1, MSG_NOSIGNAL);
    }
}

static void accept_all(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
        struct peer *peer = calloc(1, sizeof *peer);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        peer->fd = fd;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int count, char **arguments)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), is_joined = count > 2, on = 1;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = 0}, events[TURN];
    signal(SIGPIPE, SIG_IGN);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 4096)) {
        perror("listen");
        return 1;
    }
    epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, TURN, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr)
                hear(events[i].data.ptr, is_joined);
            else
                accept_all(listener);
        }
        for (int i = 0; i < waiting_count; i++)
            send_on(waiting[i]);
        waiting_count = 0;
    }
}
