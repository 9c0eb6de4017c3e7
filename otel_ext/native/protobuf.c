/* Writes protobuf's wire format and OTLP's values, with the same bytes as
 * otel_ext.exporters.otlp.encoding. */
#include "protobuf.h"

#define MORE 0x80
#define DEEPEST 8

/* As `ByteBudget` of the Python code counts them. */
#define SMALL 16

int wire_take(Wire *wire, Py_ssize_t size)
{
    wire->left -= size;
    return wire->left < 0 ? -1 : 0;
}

static int varint_size(uint64_t number)
{
    int size = 1;
    for (; number >= MORE; number >>= 7)
        size++;
    return size;
}

static void write_varint(char *at, uint64_t number)
{
    for (; number >= MORE; number >>= 7)
        *at++ = (char)(number | MORE);
    *at = (char)number;
}

int wire_varint(Wire *wire, char tag, uint64_t number)
{
    char data[11] = {tag};
    write_varint(data + 1, number);
    return put(&wire->buffer, data, 1 + varint_size(number));
}

int wire_fixed64(Wire *wire, char tag, uint64_t number)
{
    char data[9] = {tag};
    for (int i = 1; i < 9; i++, number >>= 8)
        data[i] = (char)number;
    return put(&wire->buffer, data, sizeof data);
}

int wire_time(Wire *wire, char tag, PyObject *time_ns)
{
    unsigned long long number = PyLong_AsUnsignedLongLong(time_ns);
    if (number == (unsigned long long)-1 && PyErr_Occurred())
        return -1;
    return number == 0 ? 0 : wire_fixed64(wire, tag, number);
}

Py_ssize_t wire_begin(Wire *wire, char tag)
{
    char head[2] = {tag, 0};
    return put(&wire->buffer, head, sizeof head) < 0 ? -1 : wire->buffer.size;
}

int wire_end(Wire *wire, Py_ssize_t begin)
{
    Buffer *buffer = &wire->buffer;
    Py_ssize_t size = buffer->size - begin;
    int more = varint_size((uint64_t)size) - 1;
    if (more) {    /* its size was given one byte */
        static const char room[9];
        if (put(buffer, room, more) < 0)
            return -1;
        memmove(buffer->data + begin + more, buffer->data + begin, (size_t)size);
    }
    write_varint(buffer->data + begin - 1, (uint64_t)size);
    return 0;
}

static int put_sized(Wire *wire, char tag, const char *data, Py_ssize_t size)
{
    return wire_take(wire, size) < 0 || wire_varint(wire, tag, (uint64_t)size) < 0
                   || put(&wire->buffer, data, size) < 0
               ? -1 : 0;
}

/* A field with a text, also with an empty one. */
static int put_any_text(Wire *wire, char tag, PyObject *text)
{
    if (!PyUnicode_CheckExact(text))
        return -1;
    Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    if (PyUnicode_IS_COMPACT_ASCII(text))
        return put_sized(wire, tag, (const char *)PyUnicode_1BYTE_DATA(text), size);
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);
    return data == NULL ? -1 : put_sized(wire, tag, data, size);
}

int wire_text(Wire *wire, char tag, PyObject *text)
{
    if (PyUnicode_CheckExact(text) && PyUnicode_GET_LENGTH(text) == 0)
        return 0;
    return put_any_text(wire, tag, text);
}

int wire_id(Wire *wire, char tag, PyObject *hex, Py_ssize_t size)
{
    char data[16];
    if (!PyUnicode_CheckExact(hex) || !PyUnicode_IS_COMPACT_ASCII(hex)
        || PyUnicode_GET_LENGTH(hex) != 2 * size)
        return -1;
    const unsigned char *at = PyUnicode_1BYTE_DATA(hex);
    for (Py_ssize_t i = 0; i < 2 * size; i++) {
        int digit = at[i] >= '0' && at[i] <= '9'   ? at[i] - '0'
                    : at[i] >= 'a' && at[i] <= 'f' ? at[i] - 'a' + 10
                                                   : -1;
        if (digit < 0)
            return -1;
        data[i / 2] = (char)(i % 2 ? data[i / 2] | digit : digit << 4);
    }
    return put_sized(wire, tag, data, size);
}

static int put_value(Wire *wire, PyObject *value, int depth);

static int put_items(Wire *wire, PyObject *items, int depth)
{
    Py_ssize_t begin = wire_begin(wire, ANY_ARRAY);
    if (begin < 0)
        return -1;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items); i++) {
        Py_ssize_t item = wire_take(wire, SMALL) < 0 ? -1 : wire_begin(wire, FIELD_ITEM);
        if (item < 0 || put_value(wire, PySequence_Fast_GET_ITEM(items, i), depth) < 0
            || wire_end(wire, item) < 0)
            return -1;
    }
    return wire_end(wire, begin);
}

/* Writes the value of a pair, whose key is written. */
static int end_pair(Wire *wire, Py_ssize_t pair, PyObject *value, int depth)
{
    Py_ssize_t begin = wire_begin(wire, FIELD_VALUE);
    return begin < 0 || put_value(wire, value, depth) < 0 || wire_end(wire, begin) < 0
                   || wire_end(wire, pair) < 0
               ? -1 : 0;
}

static int put_pairs(Wire *wire, char tag, PyObject *mapping, int depth)
{
    Py_ssize_t at = 0;
    PyObject *key, *value;
    while (PyDict_Next(mapping, &at, &key, &value)) {
        Py_ssize_t pair = wire_take(wire, SMALL) < 0 ? -1 : wire_begin(wire, tag);
        if (pair < 0 || wire_text(wire, FIELD_KEY, key) < 0
            || end_pair(wire, pair, value, depth) < 0)
            return -1;
    }
    return 0;
}

static int put_mapping(Wire *wire, PyObject *mapping, int depth)
{
    Py_ssize_t begin = wire_begin(wire, ANY_PAIRS);
    return begin < 0 || put_pairs(wire, FIELD_ITEM, mapping, depth) < 0 || wire_end(wire, begin) < 0
               ? -1 : 0;
}

static int put_double(Wire *wire, PyObject *value)
{
    double number = PyFloat_AS_DOUBLE(value);
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return wire_fixed64(wire, ANY_DOUBLE, bits);
}

static int put_integer(Wire *wire, PyObject *value)
{
    long long number;
    return get_int64(value, &number) < 0 ? -1 : wire_varint(wire, ANY_INT, (uint64_t)number);
}

/* The content of an `AnyValue`; that of None is empty. */
static int put_value(Wire *wire, PyObject *value, int depth)
{
    if (PyUnicode_CheckExact(value))
        return put_any_text(wire, ANY_STRING, value);
    if (PyLong_CheckExact(value))
        return put_integer(wire, value);
    if (PyBool_Check(value))
        return wire_varint(wire, ANY_BOOL, value == Py_True);
    if (PyFloat_CheckExact(value))
        return put_double(wire, value);
    if (value == Py_None)
        return 0;
    if (PyBytes_CheckExact(value))
        return put_sized(wire, ANY_BYTES, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    if (depth >= DEEPEST)
        return -1;
    if (PyDict_CheckExact(value))
        return put_mapping(wire, value, depth + 1);
    if (PyList_CheckExact(value) || PyTuple_CheckExact(value))
        return put_items(wire, value, depth + 1);
    return -1;
}

int wire_attributes(Wire *wire, char tag, PyObject *attributes)
{
    if (PyDict_Check(attributes))
        return put_pairs(wire, tag, attributes, 0);
    return PyObject_Size(attributes) == 0 ? 0 : -1;
}

int wire_attribute(Wire *wire, char tag, const char *key, PyObject *value)
{
    Py_ssize_t size = (Py_ssize_t)strlen(key);
    Py_ssize_t pair = wire_take(wire, SMALL) < 0 ? -1 : wire_begin(wire, tag);
    if (pair < 0 || put_sized(wire, FIELD_KEY, key, size) < 0)
        return -1;
    return end_pair(wire, pair, value, 0);
}
