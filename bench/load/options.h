/* What is asked for on the command line; `load.c` says what each means. */
#ifndef OPTIONS_H
#define OPTIONS_H

enum transport { WEBSOCKET, SSE, POLL };

struct options {
    enum transport transport;
    int port, publish_port;
    const char *path, *publish_path, *header, *server;
    int followers, channels, first_channel, of_all, tls, publish_tls, cursor_in_body;
    int publishers, in_flight, ask;
    double rate, seconds, warm_up, patience;
    int events;
};

extern struct options given;

void follow(void);
void hold(void);
void connects(void);
void replay(void);

#endif
