/* Encodes plain values as JSON; nearly all attributes are plain.
 *
 * The Python codec encodes everything else (text beyond ASCII, floats with an exponent, bytes,
 * deeply nested or large objects), so only one module handles awkward values.
 */
#include "speed.h"

#define MAX_PLAIN_TEXT 4096
#define MAX_ESCAPED_TEXT 16384
#define MAX_PLAIN_OBJECT 65536
#define MAX_DIGITS 24
#define MAX_DEPTH 4
#define KEYS 256
#define LONGEST_KEPT_KEY 256

int buffer_grow(Buffer *buffer, Py_ssize_t more)
{
    Py_ssize_t room = (buffer->size + more) * 2;
    char *heap = more > PY_SSIZE_T_MAX / 2 - buffer->size
                     ? NULL : PyMem_Realloc(buffer->heap, (size_t)room);
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
    if (size < (Py_ssize_t)sizeof word) {
        word = EACH('.');
        for (; size > 0; size--)
            word = word << 8 | *at++;
        return !needs_escape(word);
    }
    const unsigned char *last = at + size - sizeof word;
    for (; at < last; at += sizeof word) {
        memcpy(&word, at, sizeof word);
        if (needs_escape(word))
            return 0;
    }
    memcpy(&word, last, sizeof word);    /* may read some characters twice */
    return !needs_escape(word);
}

static int put_quoted(Buffer *buffer, PyObject *text)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    if (buffer->size + size + 2 > buffer->room && buffer_grow(buffer, size + 2) < 0)
        return -1;
    char *at = buffer->data + buffer->size;
    *at = '"';
    memcpy(at + 1, PyUnicode_1BYTE_DATA(text), (size_t)size);
    at[size + 1] = '"';
    buffer->size += size + 2;
    return 1;
}

/* Writes a character that JSON, or a terminal, needs escaped. */
static int put_escape(Buffer *buffer, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef", letters[] = "btn.fr";
    char text[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
    if (byte == '"' || byte == '\\')
        text[1] = (char)byte;
    else if (byte >= '\b' && byte <= '\r' && byte != '\v')
        text[1] = letters[byte - '\b'];
    else
        return put(buffer, text, sizeof text);
    return put(buffer, text, 2);
}

/* The next character that needs an escape, or the end; passes over whole words that need none. */
static const unsigned char *next_escaped(const unsigned char *at, const unsigned char *end)
{
    uint64_t word;
    for (; end - at >= (Py_ssize_t)sizeof word; at += sizeof word) {
        memcpy(&word, at, sizeof word);
        if (needs_escape(word))
            break;
    }
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\' && *at != 0x7f)
        at++;
    return at;
}

/* 1: written, 0: not ASCII or too long, nothing written, -1: error. */
int put_text(Buffer *buffer, PyObject *text)
{
    if (is_plain_text(text))
        return put_quoted(buffer, text);
    if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text)
        || PyUnicode_GET_LENGTH(text) > MAX_ESCAPED_TEXT)
        return 0;
    const unsigned char *at = PyUnicode_1BYTE_DATA(text), *plain = at;
    const unsigned char *end = at + PyUnicode_GET_LENGTH(text);
    if (PUT(buffer, "\"") < 0)
        return -1;
    while ((at = next_escaped(at, end)) < end) {
        if (put(buffer, (const char *)plain, at - plain) < 0 || put_escape(buffer, *at) < 0)
            return -1;
        plain = ++at;
    }
    return put(buffer, (const char *)plain, end - plain) < 0 || PUT(buffer, "\"") < 0 ? -1 : 1;
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
static int put_plain_mapping(Buffer *buffer, PyObject *mapping, Py_ssize_t end, int depth);

/* Lists may share items, and be larger than any memory when written out. So a value that goes
 * beyond `end` is not plain, and this is checked between items. */
static int put_plain_sequence(Buffer *buffer, PyObject *sequence, Py_ssize_t end, int depth)
{
    Py_ssize_t size = PySequence_Fast_GET_SIZE(sequence);
    if (depth > MAX_DEPTH || size > MAX_PLAIN_TEXT)
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
        return put_text(buffer, value);
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
    if (PyDict_CheckExact(value))
        return put_plain_mapping(buffer, value, end, depth + 1);
    return 0;
}

/* Compare only keys of the same length. */
static int is_meta_key(PyObject *key)
{
    return PyUnicode_GET_LENGTH(key) == PyUnicode_GET_LENGTH(config.meta_key)
           && PyUnicode_Compare(key, config.meta_key) == 0;
}

/* Keys that were found plain; a program uses the same key objects each time. */
static PyObject *plain_keys[KEYS];

static int is_plain_key(PyObject *key)
{
    size_t at = ((size_t)key >> 4) % KEYS;
    if (plain_keys[at] == key)
        return 1;
    if (!is_plain_text(key) || is_meta_key(key))
        return 0;
    if (PyUnicode_GET_LENGTH(key) <= LONGEST_KEPT_KEY) {
        PyObject *old = plain_keys[at];
        plain_keys[at] = Py_NewRef(key);
        Py_XDECREF(old);
    }
    return 1;
}

/* Writes the separator, the key in its quotes, and a colon. */
static int put_key(Buffer *buffer, char separator, PyObject *key)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(key);
    if (buffer->size + size + 4 > buffer->room && buffer_grow(buffer, size + 4) < 0)
        return -1;
    char *at = buffer->data + buffer->size;
    *at++ = separator;
    *at++ = '"';
    memcpy(at, PyUnicode_1BYTE_DATA(key), (size_t)size);
    at[size] = '"';
    at[size + 1] = ':';
    buffer->size += size + 4;
    return 0;
}

/* Writes the items of a mapping from `position` on, each with a separator in front. */
static int put_plain_items(Buffer *buffer, PyObject *mapping, Py_ssize_t position, char separator,
                           Py_ssize_t end, int depth)
{
    PyObject *key, *value;
    while (PyDict_Next(mapping, &position, &key, &value)) {
        if (!is_plain_key(key))
            return 0;
        if (put_key(buffer, separator, key) < 0)
            return -1;
        int result = put_plain_value(buffer, value, end, depth);
        if (result != 1)
            return result;
        if (buffer->size > end)
            return 0;
        separator = ',';
    }
    return 1;
}

static int put_plain_mapping(Buffer *buffer, PyObject *mapping, Py_ssize_t end, int depth)
{
    if (depth > MAX_DEPTH)
        return 0;
    if (PyDict_GET_SIZE(mapping) == 0)
        return PUT(buffer, "{}") < 0 ? -1 : 1;
    int result = put_plain_items(buffer, mapping, 0, '{', end, depth);
    return result == 1 && PUT(buffer, "}") < 0 ? -1 : result;
}

int put_plain_rest(Buffer *buffer, PyObject *mapping, Py_ssize_t position)
{
    Py_ssize_t begin = buffer->size;
    int result = put_plain_items(buffer, mapping, position, ',', begin + MAX_PLAIN_OBJECT, 0);
    if (result == 0)
        buffer->size = begin;
    return result;
}

int put_plain_object(Buffer *buffer, PyObject *mapping)
{
    if (!PyDict_Check(mapping))
        return 0;
    Py_ssize_t begin = buffer->size;
    int result = put_plain_mapping(buffer, mapping, begin + MAX_PLAIN_OBJECT, 0);
    if (result == 0)
        buffer->size = begin;
    return result;
}
