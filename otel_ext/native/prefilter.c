/* The prefilter of redaction: can a rule find anything in a text?
 *
 * Only the table of rules in otel_ext.redaction knows the literals; it passes them as
 * `TRIGGERS`. "Harmless" is certain; otherwise the Python code searches the text.
 */
#include "speed.h"

#include <string.h>

#define MOST_LITERALS 1024
#define ROOM 8192

enum { INSIDE = 1, DIGIT = 2, GAP = 4 };

typedef struct {
    const char *rest;             /* the literal after its first two characters */
    unsigned char second;         /* 0 if it has only one */
    unsigned char length;         /* of the rest */
    unsigned char at_border;      /* may no letter or digit precede it? */
    unsigned short index;         /* index in the table of literals */
} Literal;

static unsigned char kinds[256], lower[256];
static unsigned char pairs[128][16];    /* the pairs of characters that begin a literal */
static unsigned char thirds[1024];      /* a hash of their first three characters */
static Literal literals[MOST_LITERALS];
static short begins[129];               /* the literals by their first character */
static char room[ROOM];
static long least_digits;               /* of a card number; 0: no table yet */

static int matches(const Literal *literal, const unsigned char *at, const unsigned char *text,
                   const unsigned char *end)
{
    if (literal->at_border && at > text && kinds[at[-1]] & INSIDE)
        return 0;
    if (literal->second == 0)
        return 1;
    if (end - at < literal->length + 2 || lower[at[1]] != literal->second)
        return 0;
    for (int i = 0; i < literal->length; i++)
        if (lower[at[i + 2]] != (unsigned char)literal->rest[i])
            return 0;
    return 1;
}

static inline unsigned hash_of(unsigned char first, unsigned char second, unsigned char third)
{
    return (first * 961u ^ second * 31u ^ third) % (8 * sizeof thirds);
}

static inline int may_begin(const unsigned char *at)
{
    /* The text ends with a zero, so at[1] exists for the last character too, and at[2] for that
     * before it: no literal has a zero. */
    unsigned char first = lower[*at], second = lower[at[1]];
    if (!(pairs[first][second >> 3] & 1 << (second & 7)))
        return 0;
    unsigned hash = hash_of(first, second, second == 0 ? 0 : lower[at[2]]);
    return thirds[hash >> 3] & 1 << (hash & 7);
}

/* Marks what the first three characters of a literal may be; `size` of them are known. */
static void mark_thirds(const char *literal, Py_ssize_t size)
{
    unsigned char first = (unsigned char)literal[0];
    for (int second = 0; second < 256; second++) {
        if (size > 1 && second != (unsigned char)literal[1])
            continue;
        for (int third = 0; third < 256; third++) {
            if (size > 2 && third != (unsigned char)literal[2])
                continue;
            unsigned hash = hash_of(first, (unsigned char)second, (unsigned char)third);
            thirds[hash >> 3] |= (unsigned char)(1 << (hash & 7));
        }
    }
}

/* Does a literal begin at `at`? With `found`, marks the index of each one that does. */
static int is_begun(const unsigned char *at, const unsigned char *text, const unsigned char *end,
                    unsigned char *found)
{
    unsigned char first = lower[*at];
    for (int i = begins[first]; i < begins[first + 1]; i++)
        if (matches(&literals[i], at, text, end)) {
            if (found == NULL)
                return 1;
            found[literals[i].index] = 1;
        }
    return 0;
}

int speed_is_harmless(PyObject *text)
{
    if (least_digits == 0 || !PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text))
        return 0;
    const unsigned char *begin = PyUnicode_1BYTE_DATA(text);
    const unsigned char *end = begin + PyUnicode_GET_LENGTH(text);
    long digits = 0;
    for (const unsigned char *at = begin; at < end; at++) {
        unsigned char kind = kinds[*at];
        if (kind & (DIGIT | GAP)) {
            if (kind & DIGIT && ++digits >= least_digits)
                return 0;
        } else {
            digits = 0;
        }
        if (may_begin(at) && is_begun(at, begin, end, NULL))
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
    for (const unsigned char *at = begin; at < end; at++)
        if (may_begin(at))
            is_begun(at, begin, end, found);
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

/* Adds the literals that begin with `first`; returns the new count, -1 on error. */
static int add_literals(PyObject *triggers, int first, int count, Py_ssize_t *used)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(triggers); i++) {
        PyObject *trigger = PyTuple_GET_ITEM(triggers, i);
        if (!PyUnicode_CheckExact(trigger) || !PyUnicode_IS_COMPACT_ASCII(trigger))
            continue;    /* only ASCII texts are searched */
        Py_ssize_t size;
        const char *literal = PyUnicode_AsUTF8AndSize(trigger, &size);
        int at_border = size > 1 && literal[0] == '^';
        literal += at_border;
        size -= at_border;
        if (size == 0 || (unsigned char)literal[0] != first)
            continue;
        if (count == MOST_LITERALS || i >= MOST_LITERALS || size > 64 || *used + size > ROOM) {
            PyErr_SetString(PyExc_ValueError, "learn_triggers: too many, or one too long");
            return -1;
        }
        Py_ssize_t length = size > 2 ? size - 2 : 0;
        memcpy(room + *used, literal + size - length, (size_t)length);
        literals[count++] = (Literal){room + *used, size > 1 ? (unsigned char)literal[1] : 0,
                                      (unsigned char)length, (unsigned char)at_border,
                                      (unsigned short)i};
        *used += length;
        mark_thirds(literal, size);
        if (size == 1)
            memset(pairs[first], 0xff, sizeof(pairs[first]));
        else
            pairs[first][(unsigned char)literal[1] >> 3] |=
                (unsigned char)(1 << ((unsigned char)literal[1] & 7));
    }
    return count;
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
    int count = 0;
    Py_ssize_t used = 0;
    memset(pairs, 0, sizeof(pairs));
    for (int first = 0; first < 128; first++) {
        begins[first] = (short)count;
        count = add_literals(triggers, first, count, &used);
        if (count < 0)
            return NULL;
    }
    begins[128] = (short)count;
    least_digits = digits;
    Py_RETURN_NONE;
}
