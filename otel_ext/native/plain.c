/* Plain values as JSON: what nearly all attributes are made of.
 *
 * Anything else (text that needs an escape, floats with an exponent, bytes,
 * nested objects, large objects) is left to the Python codec, so that there is
 * one place that knows how awkward values are written.
 */
#include "speed.h"

#define MAX_PLAIN_TEXT 4096
#define MAX_PLAIN_OBJECT 65536
#define MAX_DIGITS 24

int buffer_grow(Buffer *buffer, Py_ssize_t more)
{
    Py_ssize_t room = (buffer->size + more) * 2;
    char *heap = PyMem_Realloc(buffer->heap, (size_t)room);
    if (heap == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (buffer->heap == NULL)
        memcpy(heap, buffer->data, (size_t)buffer->size);
    buffer->heap = buffer->data = heap;
    buffer->room = room;
    return 0;
}

int put_number(Buffer *buffer, long long number)
{
    char digits[MAX_DIGITS];
    char *at = digits + sizeof digits;
    unsigned long long rest = number < 0 ? 0ULL - (unsigned long long)number
                                         : (unsigned long long)number;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0)
        *--at = '-';
    return put(buffer, at, digits + sizeof digits - at);
}

/* Eight characters at once; none has its high bit set. */
#define EACH(byte) (0x0101010101010101ULL * (byte))
#define ANY_BELOW(word, byte) (((word) - EACH(byte)) & ~(word) & EACH(0x80))
#define ANY_IS(word, byte) ANY_BELOW((word) ^ EACH(byte), 1)

static inline int needs_escape(uint64_t word)
{
    return (ANY_BELOW(word, 0x20) | ANY_IS(word, '"') | ANY_IS(word, '\\') | ANY_IS(word, 0x7f))
           != 0;
}

int is_plain_text(PyObject *text)
{
    if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text))
        return 0;
    Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    if (size > MAX_PLAIN_TEXT)
        return 0;
    const unsigned char *at = PyUnicode_1BYTE_DATA(text);
    uint64_t word;
    for (; size >= (Py_ssize_t)sizeof word; size -= (Py_ssize_t)sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        if (needs_escape(word))
            return 0;
    }
    word = EACH('.');
    memcpy(&word, at, (size_t)size);
    return !needs_escape(word);
}

static int put_quoted(Buffer *buffer, PyObject *text)
{
    if (PUT(buffer, "\"") < 0
        || put(buffer, (const char *)PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text)) < 0)
        return -1;
    return PUT(buffer, "\"") < 0 ? -1 : 1;
}

static int put_float(Buffer *buffer, double value)
{
    if (!(value - value == 0.0))    /* NaN or infinite */
        return 0;
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL)
        return -1;
    int result = 0;
    /* Python and the encoder differ in how they write exponents. */
    if (strchr(text, 'e') == NULL && !(value < 1e-4 && value > -1e-4 && value != 0.0))
        result = put(buffer, text, (Py_ssize_t)strlen(text)) < 0 ? -1 : 1;
    PyMem_Free(text);
    return result;
}

static int put_plain_value(Buffer *buffer, PyObject *value, Py_ssize_t end, int depth);

/* Lists may share what they hold, and be larger than any memory when written out: what goes
 * beyond `end` is not plain, and is found out in between. */
static int put_plain_sequence(Buffer *buffer, PyObject *sequence, Py_ssize_t end, int depth)
{
    Py_ssize_t size = PySequence_Fast_GET_SIZE(sequence);
    if (depth > 4 || size > MAX_PLAIN_TEXT)
        return 0;
    if (PUT(buffer, "[") < 0)
        return -1;
    for (Py_ssize_t i = 0; i < size; i++) {
        if (i && PUT(buffer, ",") < 0)
            return -1;
        int result = put_plain_value(buffer, PySequence_Fast_GET_ITEM(sequence, i), end, depth + 1);
        if (result != 1)
            return result;
        if (buffer->size > end)
            return 0;
    }
    return PUT(buffer, "]") < 0 ? -1 : 1;
}

static int put_plain_value(Buffer *buffer, PyObject *value, Py_ssize_t end, int depth)
{
    if (PyUnicode_CheckExact(value))
        return is_plain_text(value) ? put_quoted(buffer, value) : 0;
    if (value == Py_True)
        return PUT(buffer, "true") < 0 ? -1 : 1;
    if (value == Py_False)
        return PUT(buffer, "false") < 0 ? -1 : 1;
    if (value == Py_None)
        return PUT(buffer, "null") < 0 ? -1 : 1;
    if (PyLong_CheckExact(value)) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow)
            return 0;
        return put_number(buffer, number) < 0 ? -1 : 1;
    }
    if (PyFloat_CheckExact(value))
        return put_float(buffer, PyFloat_AS_DOUBLE(value));
    if (PyTuple_CheckExact(value) || PyList_CheckExact(value))
        return put_plain_sequence(buffer, value, end, depth);
    return 0;
}

/* Comparing is for keys of its length only. */
static int is_meta_key(PyObject *key)
{
    return PyUnicode_GET_LENGTH(key) == PyUnicode_GET_LENGTH(config.meta_key)
           && PyUnicode_Compare(key, config.meta_key) == 0;
}

int put_plain_object(Buffer *buffer, PyObject *mapping)
{
    if (!PyDict_CheckExact(mapping))
        return 0;
    Py_ssize_t begin = buffer->size, end = begin + MAX_PLAIN_OBJECT, position = 0;
    PyObject *key, *value;
    char separator = '{';
    while (PyDict_Next(mapping, &position, &key, &value)) {
        if (!is_plain_text(key) || is_meta_key(key))
            goto not_plain;
        if (put(buffer, &separator, 1) < 0 || put_quoted(buffer, key) < 0 || PUT(buffer, ":") < 0)
            return -1;
        int result = put_plain_value(buffer, value, end, 0);
        if (result < 0)
            return -1;
        if (result == 0 || buffer->size > end)
            goto not_plain;
        separator = ',';
    }
    return PUT(buffer, "}") < 0 ? -1 : 1;
not_plain:
    buffer->size = begin;
    return 0;
}
