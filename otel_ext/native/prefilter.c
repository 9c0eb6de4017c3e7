/* The prefilter of redaction: can a rule find anything in a text?
 *
 * Only the table of rules in otel_ext.redaction knows the literals; it passes them as
 * `TRIGGERS`. "Harmless" is certain; otherwise the Python code searches the text.
 */
#include "speed.h"

#include <string.h>

#define MOST_LITERALS 1024
#define ROOM 8192
#define HASH_BITS 13
#define HASHES (1 << HASH_BITS)

enum { INSIDE = 1, DIGIT = 2, GAP = 4, SHORT = 8 };    /* SHORT: a short one begins so */

typedef struct {
    const char *text;
    unsigned char length;
    unsigned char at_border;      /* may no letter or digit precede it? */
    unsigned short index;         /* index in the table of literals */
    short next;                   /* the next one of its list; -1: none */
} Literal;

static unsigned char kinds[256], lower[256];
static unsigned char begins[HASHES / 8];    /* which lists there are; stays cached */
static Literal literals[MOST_LITERALS];
static short heads[HASHES];             /* lists of literals by their first three characters; */
static short short_ones;                /* of those that have fewer */
static char room[ROOM];
static long least_digits;               /* of a card number; 0: no table yet */

/* Three characters as a number, moved on by one. A text ends with a zero, which no literal has. */
static inline unsigned moved_on(unsigned three, const unsigned char *at, const unsigned char *end)
{
    return (three << 8 | (end - at < 2 ? 0u : lower[at[2]])) & 0xffffff;
}

static inline unsigned hash_of(unsigned three)
{
    return three * 2654435761u >> (32 - HASH_BITS);
}

static inline int may_begin(unsigned char kind, unsigned three)
{
    unsigned hash = hash_of(three);
    return begins[hash >> 3] & 1 << (hash & 7) || kind & SHORT;
}

static int matches(const Literal *literal, const unsigned char *at, const unsigned char *text,
                   const unsigned char *end)
{
    if (end - at < literal->length || (literal->at_border && at > text && kinds[at[-1]] & INSIDE))
        return 0;
    for (int i = 0; i < literal->length; i++)
        if (lower[at[i]] != (unsigned char)literal->text[i])
            return 0;
    return 1;
}

/* Does a literal of a list begin at `at`? With `found`, marks the index of each one that does. */
static int is_among(short i, const unsigned char *at, const unsigned char *text,
                    const unsigned char *end, unsigned char *found)
{
    for (; i >= 0; i = literals[i].next)
        if (matches(&literals[i], at, text, end)) {
            if (found == NULL)
                return 1;
            found[literals[i].index] = 1;
        }
    return 0;
}

static int is_begun(unsigned three, const unsigned char *at, const unsigned char *text,
                    const unsigned char *end, unsigned char *found)
{
    if (is_among(heads[hash_of(three)], at, text, end, found))
        return 1;
    return kinds[*at] & SHORT ? is_among(short_ones, at, text, end, found) : 0;
}

/* The first two characters of a text as a number. */
static unsigned beginning_of(const unsigned char *text, const unsigned char *end)
{
    return text == end ? 0 : (unsigned)lower[text[0]] << 8 | lower[text[1]];
}

int speed_is_harmless(PyObject *text)
{
    if (least_digits == 0 || !PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text))
        return 0;
    const unsigned char *begin = PyUnicode_1BYTE_DATA(text);
    const unsigned char *end = begin + PyUnicode_GET_LENGTH(text);
    unsigned three = beginning_of(begin, end);
    long digits = 0;
    for (const unsigned char *at = begin; at < end; at++) {
        unsigned char kind = kinds[*at];
        if (kind & (DIGIT | GAP)) {
            if (kind & DIGIT && ++digits >= least_digits)
                return 0;
        } else {
            digits = 0;
        }
        three = moved_on(three, at, end);
        if (may_begin(kind, three) && is_begun(three, at, begin, end, NULL))
            return 0;
    }
    return 1;
}

PyObject *speed_is_harmless_text(PyObject *Py_UNUSED(module), PyObject *text)
{
    return PyBool_FromLong(speed_is_harmless(text));
}

/* Returns the table indexes of the literals in a text; None if it is not ASCII. */
PyObject *speed_find_triggers(PyObject *Py_UNUSED(module), PyObject *text)
{
    if (least_digits == 0 || !PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text))
        Py_RETURN_NONE;
    unsigned char found[MOST_LITERALS] = {0};
    const unsigned char *begin = PyUnicode_1BYTE_DATA(text);
    const unsigned char *end = begin + PyUnicode_GET_LENGTH(text);
    unsigned three = beginning_of(begin, end);
    for (const unsigned char *at = begin; at < end; at++) {
        three = moved_on(three, at, end);
        if (may_begin(kinds[*at], three))
            is_begun(three, at, begin, end, found);
    }
    PyObject *indexes = PyList_New(0);
    for (long i = 0; indexes != NULL && i < MOST_LITERALS; i++) {
        PyObject *index = found[i] ? PyLong_FromLong(i) : NULL;
        if (found[i] && (index == NULL || PyList_Append(indexes, index) < 0))
            Py_CLEAR(indexes);
        Py_XDECREF(index);
    }
    return indexes;
}

static void mark(const char *characters, unsigned char kind)
{
    for (; *characters; characters++)
        kinds[(unsigned char)*characters] |= kind;
}

/* Puts a literal into the list of those that begin like it. */
static void list_literal(short number)
{
    Literal *literal = &literals[number];
    const unsigned char *text = (const unsigned char *)literal->text;
    short *list = &short_ones;
    if (literal->length > 2) {
        unsigned hash = hash_of((unsigned)text[0] << 16 | (unsigned)text[1] << 8 | text[2]);
        begins[hash >> 3] |= (unsigned char)(1 << (hash & 7));
        list = &heads[hash];
    } else {
        kinds[*text] |= SHORT;
        if (*text >= 'a' && *text <= 'z')
            kinds[*text & ~0x20] |= SHORT;    /* the same letter as a capital */
    }
    literal->next = *list;
    *list = number;
}

/* Adds the trigger with an index, unless it is not ASCII: only ASCII texts are searched. */
static int add_literal(PyObject *trigger, Py_ssize_t index, short *count, Py_ssize_t *used)
{
    if (!PyUnicode_CheckExact(trigger) || !PyUnicode_IS_COMPACT_ASCII(trigger))
        return 0;
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(trigger, &size);
    int at_border = size > 1 && text[0] == '^';
    size -= at_border;
    if (size == 0)
        return 0;
    if (*count == MOST_LITERALS || index >= MOST_LITERALS || size > 64 || *used + size > ROOM) {
        PyErr_SetString(PyExc_ValueError, "learn_triggers: too many, or one too long");
        return -1;
    }
    memcpy(room + *used, text + at_border, (size_t)size);
    literals[*count] = (Literal){room + *used, (unsigned char)size, (unsigned char)at_border,
                                 (unsigned short)index, -1};
    *used += size;
    list_literal((*count)++);
    return 0;
}

PyObject *speed_learn_triggers(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *triggers;
    long digits;
    const char *gaps;
    if (!PyArg_ParseTuple(args, "O!ls:learn_triggers", &PyTuple_Type, &triggers, &digits, &gaps))
        return NULL;
    if (least_digits != 0)
        Py_RETURN_NONE;    /* the table is the same for every redactor */
    for (int character = 0; character < 256; character++)
        lower[character] = (unsigned char)(character >= 'A' && character <= 'Z' ? character | 0x20
                                                                                : character);
    mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", INSIDE);
    mark("0123456789", DIGIT);
    mark(gaps, GAP);
    short count = 0;
    Py_ssize_t used = 0;
    short_ones = -1;
    memset(heads, 0xff, sizeof heads);
    memset(begins, 0, sizeof begins);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(triggers); i++)
        if (add_literal(PyTuple_GET_ITEM(triggers, i), i, &count, &used) < 0)
            return NULL;
    least_digits = digits;
    Py_RETURN_NONE;
}
