/* A glance at a text: whether `is_suspicious` of otel_ext.redaction.value_rules surely finds
 * nothing in it. A no decides nothing: the expression itself is asked then.
 *
 * Most characters can begin nothing that the expression looks for; of the others, what
 * stands around them is looked at, and never more than a few characters.
 */
#include "speed.h"

#define LEAST_TOKEN 15    /* word characters that are long enough for a token */
#define LEAST_CARD 12     /* digits, spaces and hyphens behind the first digit of a card */

enum { WORD = 1, LETTER = 2, CARD = 4, PRINTS = 8, QUOTE = 16, BEGINS = 32 };

static unsigned char kinds[256];

static int is(int kind, const unsigned char *at, const unsigned char *end)
{
    return at < end && kinds[*at] & kind;
}

/* How many characters of that kind follow, up to `most`. */
static int run_of(int kind, const unsigned char *at, const unsigned char *end, int most)
{
    int found = 0;
    while (found < most && is(kind, at + found, end))
        found++;
    return found;
}

static int continues(const unsigned char *at, const unsigned char *end, const char *lower)
{
    for (; *lower; lower++, at++)
        if (at >= end || (*at | 0x20) != (unsigned char)*lower)
            return 0;
    return 1;
}

/* Whether what stands at `at` may be the beginning of something suspicious. */
static int may_begin(const unsigned char *text, const unsigned char *at, const unsigned char *end)
{
    const unsigned char *next = at + 1;
    switch (*at) {
    case '-':    /* an option, which nothing that prints stands before, or a token */
        if (next < end && *next == '-')
            return 1;
        if (!(at > text && kinds[at[-1]] & PRINTS) && is(LETTER, next, end))
            return 1;
        return run_of(WORD, next, end, LEAST_TOKEN) == LEAST_TOKEN;
    case '_':
        return run_of(WORD, next, end, LEAST_TOKEN) == LEAST_TOKEN;
    case '.':
        return continues(next, end, "com") || run_of(WORD, next, end, LEAST_TOKEN) == LEAST_TOKEN;
    case '2': case '3': case '4': case '5': case '6':
        return run_of(CARD, next, end, LEAST_CARD) == LEAST_CARD;
    case '(': case '[':    /* a name in quotes */
        return is(QUOTE, next, end);
    case 'A':
        return is(LETTER, next, end) && is(LETTER, next + 1, end)
               && (next + 2 < end && (next[2] | 0x20) == 'a');
    case 'B': case 'b':
        return continues(next, end, "ear") || continues(next, end, "asi");
    case 'J':
        return at > text && at[-1] == 'y';
    case '<':
        return next < end && *next == '/';
    case '%':
        return next < end && (*next == '3' || *next == '2');
    default:    /* = : and quotes */
        return 1;
    }
}

int speed_is_harmless(PyObject *text)
{
    if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text))
        return 0;
    const unsigned char *begin = PyUnicode_1BYTE_DATA(text);
    const unsigned char *end = begin + PyUnicode_GET_LENGTH(text);
    for (const unsigned char *at = begin; at < end; at++)
        if (kinds[*at] & BEGINS && may_begin(begin, at, end))
            return 0;
    return 1;
}

PyObject *speed_is_harmless_text(PyObject *Py_UNUSED(module), PyObject *text)
{
    return PyBool_FromLong(speed_is_harmless(text));
}

static void mark(const char *characters, int kind)
{
    for (; *characters; characters++)
        kinds[(unsigned char)*characters] |= (unsigned char)kind;
}

void speed_init_glance(void)
{
    mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", LETTER | WORD);
    mark("0123456789_-", WORD);
    mark("0123456789 -", CARD);
    mark(" \t\r\nbu\\\"'", QUOTE);
    mark("-_.23456([ABbJ=:%<\"'", BEGINS);
    for (int character = '!'; character <= '~'; character++)
        if (character != '"' && character != '\'')
            kinds[character] |= PRINTS;
}
