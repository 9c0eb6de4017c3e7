/* Declarations for the shorter way, on which the start of a span becomes a line without a record.
 * See docs/adr/0045-a-span-becomes-a-line-without-a-record.md.
 */
#ifndef OTEL_EXT_SPAN_H
#define OTEL_EXT_SPAN_H

#include "speed.h"

#ifdef __GNUC__
#pragma GCC visibility push(hidden)
#endif

/* Positions in the tuple of names that capture.py passes: the SDK's attributes. */
enum {
    N_NAME, N_CONTEXT, N_PARENT, N_ATTRIBUTES, N_LINKS, N_KIND, N_START_TIME, N_END_TIME,
    N_EVENTS, N_STATUS, N_SCOPE, N_STATUS_CODE, N_COPY, N_DICT, N_DEQUE, N_RESOURCE,
    N_DESCRIPTION, N_TIMESTAMP, N_COUNT
};

static inline PyObject *field(PyObject *holder, int name)
{
    return PyObject_GetAttr(holder, PyTuple_GET_ITEM(capture.names, name));
}

/* A field must be of exactly this type; for any other the Python code is called. Takes the
 * reference. */
PyObject *exactly(PyTypeObject *type, PyObject *value);
/* The name of a member of an enumeration; NULL with an error for anything else. */
PyObject *name_of_member(PyObject *member, PyObject *members, PyObject *names);
/* The dict with the attributes of a span or event: its own one. With `is_whole`, an error if the
 * SDK's limits left out any. */
PyObject *attributes_for(PyObject *holder, int is_whole);
/* The status of an ended span, and its events, of which there are some. */
PyObject *speed_status_of(PyObject *span);
PyObject *speed_events_of(PyObject *events);

/* A span that starts, its context, and the task that is running, or None. */
typedef struct { PyObject *span, *context, *task; } Started;

/* Read the fields of a span, each owned. Ids are numbers, and attributes are the span's own dict.
 * 1: all are there, 0: none, perhaps with an error; Python must handle the span. */
int speed_read_start(PyObject **of, const Started *started, PyObject *process, PyObject *seq);
int speed_read_end(PyObject **of, PyObject *span, PyObject *process, PyObject *seq, Fields start);
void release_fields(PyObject **of);
/* A copy of the attributes as a record has them; takes the reference, which may be NULL. */
PyObject *copied(PyObject *attributes);
/* As `tuple.__new__(type, fields)`; takes the references, also if that fails. If one is NULL, it is
 * NULL, too, perhaps without an error. */
PyObject *tuple_from(PyObject *type, PyObject **fields, Py_ssize_t count);
/* The record that has these fields; takes their references, also if that fails. */
PyObject *speed_record_from(PyObject **of);
/* The context of a span of the usual kind. NULL, perhaps with an error, for other spans. */
PyObject *speed_context_of(PyObject *span);
/* The key of a span with this context, or None if it is not recorded. `record_only`: record
 * unsampled ones too. NULL, perhaps with an error, if Python must find out. */
PyObject *speed_key_of(PyObject *context, PyObject *record_only);

/* From where to where, in a line. */
typedef struct { Py_ssize_t begin, end; } Part;

static inline int put_part(Buffer *buffer, const char *line, Part part)
{
    return put(buffer, line + part.begin, part.end - part.begin);
}

/* What the end of a span repeats of its start, in the start's line. */
typedef struct { const char *line; Part identity, relations, attributes; } Shared;

/* Writes the metadata of a span's line. `known`: those of its start, or NULL. Notes in `made` where
 * they are. */
int put_metadata(Buffer *b, Fields of, const Shared *known, Shared *made);

/* The start of an open span: its line, and what its end needs. */
typedef struct {
    PyObject_VAR_HEAD
    PyObject *of[F_COUNT];    /* as they were read, but no attributes */
    Py_ssize_t attributes_size;    /* as in the mark of sanitised attributes */
    Py_ssize_t line_size;
    Shared shared;
    Py_ssize_t count;
    PyObject *items[1];    /* keys and values of the attributes; the line is behind them */
} StartLine;

extern PyTypeObject *start_line_type;

static inline int is_start_line(PyObject *start)
{
    return Py_IS_TYPE(start, start_line_type);
}

/* The line of a start whose fields these are: takes their references. NULL, perhaps with an error,
 * if it needs a record: then it takes none. */
PyObject *speed_start_line(PyObject *check, PyObject **of);
/* Writes the line of an end. 1: written, 0: it needs a record, -1: error. */
int speed_put_end(Buffer *buffer, PyObject *check, Fields of, const StartLine *start);
/* The record of a start line. */
PyObject *speed_start_record(PyObject *start, PyObject *ignored);
PyObject *speed_configure_start_lines(PyObject *module, PyObject *attributes_of);
int speed_init_start_line(void);

/* Are all fields but the attributes surely safe, by the compiled check that `check` is? */
int speed_is_safe_beside_attributes(PyObject *check, Fields of);
/* Are the attributes, from `position` on? Adds their size. Runs no Python code. */
int speed_has_safe_attributes(PyObject *check, PyObject *attributes, Py_ssize_t position,
                              Py_ssize_t *size);

/* Of the exports of a fan-out, the only one that needs starts; for any other `export`, that. A new
 * reference. NULL, perhaps with an error, if there are several, or none. */
PyObject *speed_only_one_for_starts(PyObject *export);
/* The exporter that writes the lines of this process, if `export` leads to nothing else and nothing
 * asks for records; with its parts, a new reference. NULL, perhaps with an error, if not. */
PyObject *speed_writer_of(PyObject *export, PyObject *process, PyObject **parts);
/* Passes a line to that exporter. */
PyObject *speed_write_line(PyObject *exporter, PyObject *parts, const Buffer *line);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#endif
