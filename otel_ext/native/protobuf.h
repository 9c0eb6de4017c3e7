/* Protobuf's wire format, for the files that encode OTLP.
 *
 * Every function returns -1 if Python has to encode the record: it has a value of another type, an
 * id that is none, a text that UTF-8 cannot encode, or more than `left` bytes. An error that is
 * set then means the same, or that there is no memory.
 */
#ifndef OTEL_EXT_PROTOBUF_H
#define OTEL_EXT_PROTOBUF_H

#include "speed.h"

/* A tag: a field's number and its type. */
#define LENGTH(number) ((char)((number) << 3 | 2))
#define VARINT(number) ((char)((number) << 3))
#define FIXED64(number) ((char)((number) << 3 | 1))

enum {
    FIELD_KEY = LENGTH(1), FIELD_VALUE = LENGTH(2), FIELD_ITEM = LENGTH(1),
    ANY_STRING = LENGTH(1), ANY_BOOL = VARINT(2), ANY_INT = VARINT(3), ANY_DOUBLE = FIXED64(4),
    ANY_ARRAY = LENGTH(5), ANY_PAIRS = LENGTH(6), ANY_BYTES = LENGTH(7),
};

/* What is written, and how many bytes the texts and values may still have. A record with more is
 * encoded by Python, which cuts what is too much for receivers. */
typedef struct { Buffer buffer; Py_ssize_t left; } Wire;

int wire_take(Wire *wire, Py_ssize_t size);
int wire_varint(Wire *wire, char tag, uint64_t number);
int wire_fixed64(Wire *wire, char tag, uint64_t number);
/* A moment; nothing for 0. */
int wire_time(Wire *wire, char tag, PyObject *time_ns);
/* A text; nothing for an empty one. */
int wire_text(Wire *wire, char tag, PyObject *text);
/* An id of `size` bytes in hex. */
int wire_id(Wire *wire, char tag, PyObject *hex, Py_ssize_t size);
/* A message: where its content begins, and once it is written, its end. */
Py_ssize_t wire_begin(Wire *wire, char tag);
int wire_end(Wire *wire, Py_ssize_t begin);
/* The fields of a mapping, one for each item; and one field more. */
int wire_attributes(Wire *wire, char tag, PyObject *attributes);
int wire_attribute(Wire *wire, char tag, const char *key, PyObject *value);

/* A record as a log record. */
int speed_init_otlp_log(void);
int speed_put_log(Wire *wire, PyObject *record, PyObject *observed_ns);

#endif
