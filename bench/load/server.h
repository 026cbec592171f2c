/* What the server uses of its processor. */
#ifndef SERVER_H
#define SERVER_H

/* Seconds that the processes in `given.server` have used so far; 0 where none are named. */
double server_time(void);

#endif
