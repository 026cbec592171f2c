/* What every event carries in its prompt, so that whoever gets it can tell that it is whole, whose it is and how old.

   [[TIME(19) NUMBER(10) CHANNEL(8) xxx…]]   the time it was due, in nanoseconds. JSON needs nothing of it escaped, so it
   stays as it is on every transport, however an event is framed. */
#ifndef MARK_H
#define MARK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EVENT_BEGIN "{\"type\":\"human_input_required\",\"execution_id\":\"%08d\",\"prompt\":\""
#define EVENT_END "\"}"
#define EVENT 400 /* bytes of a whole event, as an agent's question with a few sentences has */
#define MARK (EVENT - ((int)sizeof EVENT_BEGIN - 1 - 4 + 8) - ((int)sizeof EVENT_END - 1))
#define MARK_HEAD (2 + 19 + 1 + 10 + 1 + 8 + 1)

struct mark {
    uint64_t due, number, channel;
};

static inline void write_mark(char *to, struct mark mark)
{
    snprintf(to, MARK_HEAD + 1, "[[%019llu %010llu %08llu ", (unsigned long long)mark.due,
             (unsigned long long)mark.number, (unsigned long long)mark.channel);
    memset(to + MARK_HEAD, 'x', MARK - MARK_HEAD - 2);
    memcpy(to + MARK - 2, "]]", 2);
}

static inline uint64_t digits(const char *text, int length)
{
    uint64_t value = 0;
    for (int i = 0; i < length; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    return value;
}

/* Reads the MARK bytes at `text`, which begin with "[["; 0 when they are not a mark from one end to the other. */
static inline int read_mark(const char *text, struct mark *mark)
{
    static char rest[MARK];
    if (!rest[0]) {
        memset(rest, 'x', MARK);
        memcpy(rest + MARK - MARK_HEAD - 2, "]]", 2);
    }
    if (text[21] != ' ' || text[32] != ' ' || text[41] != ' ' || memcmp(text + MARK_HEAD, rest, MARK - MARK_HEAD))
        return 0;
    mark->due = digits(text + 2, 19);
    mark->number = digits(text + 22, 10);
    mark->channel = digits(text + 33, 8);
    return 1;
}

/* What was seen: how many, which (in any order), and in which order. Two that saw the same have the same. */
struct seen {
    uint64_t count, which, order;
};

static inline void see(struct seen *seen, uint64_t number)
{
    uint64_t mixed = (number + 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ (mixed >> 29)) * 0x94d049bb133111ebull;
    seen->count++;
    seen->which += mixed ^ (mixed >> 32);
    seen->order = seen->order * 0x100000001b3ull + number + 1;
}

#endif
