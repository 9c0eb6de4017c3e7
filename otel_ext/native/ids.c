/* Formats identifiers as hex digits, as the record format requires. */
#include "speed.h"

/* The two digits of each byte. */
static char digits_of[256][2];

#define KNOWN 64

static PyObject *half;    /* how many bits half of a trace id has */

/* Ids with their digits, recognized by address: the spans of a trace share its id, and children
 * name their parent's. */
static struct { PyObject *number, *text; } known[KNOWN];

static size_t slot_for(PyObject *number)
{
    return ((size_t)number >> 4) % KNOWN;
}

static void remember(PyObject *number, PyObject *text)
{
    size_t at = slot_for(number);
    PyObject *old[] = {known[at].number, known[at].text};
    known[at].number = Py_NewRef(number);
    known[at].text = Py_NewRef(text);
    Py_XDECREF(old[0]);
    Py_XDECREF(old[1]);
}

/* Writes the digits of the lower 64 bits. */
static void put_digits(Py_UCS1 *at, uint64_t bits)
{
    for (int byte = 8; byte--; bits >>= 8)
        memcpy(at + 2 * byte, digits_of[bits & 0xff], 2);
}

/* The bits above the lower `size - 8` bytes of an exact `int`; with an error if these are more
 * than 64, or if it is negative. */
static uint64_t upper_bits(PyObject *number, Py_ssize_t size)
{
    int overflow;
    PyObject *shifted = size == 8 ? Py_NewRef(number) : PyNumber_Rshift(number, half);
    if (shifted == NULL)
        return 0;
    /* The same as the general call for half of all ids, in a tenth of the time. */
    long long bits = PyLong_AsLongLongAndOverflow(shifted, &overflow);
    uint64_t all = bits >= 0 ? (uint64_t)bits : PyLong_AsUnsignedLongLong(shifted);
    Py_DECREF(shifted);
    return all;
}

PyObject *speed_hex(PyObject *number, Py_ssize_t size)
{
    if (!PyLong_CheckExact(number)) {
        PyErr_SetString(PyExc_TypeError, "an id is a number");
        return NULL;
    }
    size_t at = slot_for(number);
    if (known[at].number == number && PyUnicode_GET_LENGTH(known[at].text) == 2 * size)
        return Py_NewRef(known[at].text);
    uint64_t upper = upper_bits(number, size);
    PyObject *text = PyErr_Occurred() ? NULL : PyUnicode_New(2 * size, 127);
    if (text == NULL)
        return NULL;
    put_digits(PyUnicode_1BYTE_DATA(text), upper);
    if (size > 8)
        put_digits(PyUnicode_1BYTE_DATA(text) + 16, PyLong_AsUnsignedLongLongMask(number));
    remember(number, text);
    return text;
}

int speed_init_ids(void)
{
    for (int byte = 0; byte < 256; byte++) {
        digits_of[byte][0] = "0123456789abcdef"[byte >> 4];
        digits_of[byte][1] = "0123456789abcdef"[byte & 15];
    }
    return (half = PyLong_FromLong(64)) == NULL ? -1 : 0;
}
