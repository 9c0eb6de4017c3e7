/* Formats identifiers as hex digits, as the record format requires. */
#include "speed.h"

/* The two digits of each byte. */
static char digits_of[256][2];

#define KNOWN 64
#define TRACE_ID_SIZE 16
#define SPAN_ID_SIZE 8

static PyObject *half;    /* how many bits half of a trace id has */

/* Recent ids with their digits, recognized by address: the spans of a trace share its id, and
 * children name their parent's. `text` is NULL until a record asks for it. */
static struct {
    PyObject *number, *text;
    Py_ssize_t size;
    char digits[2 * TRACE_ID_SIZE];
} known[KNOWN];

/* Writes the digits of 64 bits. */
static void write_digits(char *at, uint64_t bits)
{
    for (int byte = 8; byte--; bits >>= 8)
        memcpy(at + 2 * byte, digits_of[bits & 0xff], 2);
}

/* The value of an exact `int` of 64 bits; 0, or -1 with an error if it has more or is negative. */
static int get_bits(PyObject *number, uint64_t *bits)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    *bits = overflow ? PyLong_AsUnsignedLongLongMask(number) : (uint64_t)value;
    if (!overflow && value >= 0)
        return 0;
    /* The same as the general call, in a third of the time. */
    PyObject *rest = PyNumber_Rshift(number, half);
    long more = rest == NULL ? -1 : PyLong_AsLongAndOverflow(rest, &overflow);
    Py_XDECREF(rest);
    if (more != 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_OverflowError, "an id has too many bits, or is negative");
    return more == 0 ? 0 : -1;
}

static int write_id(char *at, PyObject *number, Py_ssize_t size)
{
    uint64_t bits;
    if (size == SPAN_ID_SIZE) {
        if (get_bits(number, &bits) < 0)
            return -1;
        write_digits(at, bits);
        return 0;
    }
    PyObject *upper = PyNumber_Rshift(number, half);
    int failed = upper == NULL ? -1 : get_bits(upper, &bits);
    Py_XDECREF(upper);
    if (failed)
        return -1;
    write_digits(at, bits);
    write_digits(at + 16, PyLong_AsUnsignedLongLongMask(number));
    return 0;
}

/* Where among the known ones the id is now; -1 with an error if it is not a valid one. */
static int known_at(PyObject *number, Py_ssize_t size)
{
    int at = (int)(((size_t)number >> 4) % KNOWN);
    char digits[2 * TRACE_ID_SIZE] = {0};
    if (known[at].number == number && known[at].size == size)
        return at;
    if (!PyLong_CheckExact(number)) {
        PyErr_SetString(PyExc_TypeError, "an id is a number");
        return -1;
    }
    if (write_id(digits, number, size) < 0)
        return -1;
    PyObject *old[] = {known[at].number, known[at].text};
    known[at].number = Py_NewRef(number);
    known[at].text = NULL;
    known[at].size = size;
    memcpy(known[at].digits, digits, sizeof digits);
    Py_XDECREF(old[0]);
    Py_XDECREF(old[1]);
    return at;
}

PyObject *speed_hex(PyObject *number, Py_ssize_t size)
{
    int at = known_at(number, size);
    if (at < 0)
        return NULL;
    if (known[at].text == NULL) {
        PyObject *text = PyUnicode_New(2 * size, 127);
        if (text == NULL)
            return NULL;
        memcpy(PyUnicode_1BYTE_DATA(text), known[at].digits, (size_t)(2 * size));
        known[at].text = text;
    }
    return Py_NewRef(known[at].text);
}

int put_id(Buffer *buffer, PyObject *id, Py_ssize_t size)
{
    if (!PyLong_CheckExact(id))
        return put_str(buffer, id);
    int at = known_at(id, size);
    return at < 0 ? -1 : put(buffer, known[at].digits, 2 * size);
}

int speed_init_ids(void)
{
    for (int byte = 0; byte < 256; byte++) {
        digits_of[byte][0] = "0123456789abcdef"[byte >> 4];
        digits_of[byte][1] = "0123456789abcdef"[byte & 15];
    }
    return (half = PyLong_FromLong(64)) == NULL ? -1 : 0;
}
