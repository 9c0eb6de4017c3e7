/* What the parts of otel_ext._speed share. See docs/adr/0006-a-compiled-codec.md.
 *
 * Every function here is called with the interpreter lock held and calls no
 * Python code between reading a container and using what it read.
 */
#ifndef OTEL_EXT_SPEED_H
#define OTEL_EXT_SPEED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>
#include <stdint.h>

/* The fields of otel_ext.record.model.Record, in their order. */
enum {
    F_KIND, F_PHASE, F_NAME, F_TIME_NS, F_SEQ, F_PROCESS, F_SITE, F_ATTRIBUTES,
    F_TRACE_ID, F_SPAN_ID, F_PARENT_SPAN_ID, F_SPAN_KIND, F_SCOPE, F_LINKS,
    F_THREAD, F_TASK, F_START_NS, F_STATUS, F_EVENTS, F_ABANDONED, F_LEVEL,
    F_LOGGER, F_EXTRA, F_COUNT
};

/* Python objects the module was given by `configure`, and interned names. */
typedef struct {
    PyObject *record_type;
    PyObject *encode_line;     /* the Python codec, for what is not handled here */
    PyObject *encode_object;
    PyObject *name_fragment;
    PyObject *encode_status;
    PyObject *encode_links;
    PyObject *encode_events;
    PyObject *encode_extra;
    PyObject *meta_key;
    PyObject *unset_status;
    PyObject *s_fragment, *s_id;
} Config;

extern Config config;

/* What capture.py hands over: its own functions, and what it knows of the SDK. */
typedef struct {
    PyObject *capture_start, *capture_end, *record_type;
    PyObject *judge, *is_passed, *remember, *site_from_attributes;
    PyObject *scope_of, *links_of, *events_of, *status_of;
    PyObject *local, *current_thread, *current_task, *time_ns;
    PyObject *kinds, *kind_names, *unset_code, *unset_status, *empty;
    PyObject *names, *code_keys, *identify;
} CaptureConfig;

extern CaptureConfig given;

typedef struct {
    char *data;
    Py_ssize_t size, room;
    char *heap;                /* NULL while the caller's own array is enough */
} Buffer;

/* 0: what was raised is passed over, and the Python code decides; -1: it is meant for the
 * program (Ctrl-C, an exit) and goes on. See docs/adr/0002-guards-catch-exceptions-only.md. */
static inline int pass_over(void)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyErr_Clear();
    return 0;
}

int buffer_grow(Buffer *buffer, Py_ssize_t more);

static inline int put(Buffer *buffer, const char *text, Py_ssize_t size)
{
    if (buffer->size + size > buffer->room && buffer_grow(buffer, size) < 0)
        return -1;
    memcpy(buffer->data + buffer->size, text, (size_t)size);
    buffer->size += size;
    return 0;
}

#define PUT(buffer, literal) put((buffer), (literal), (Py_ssize_t)sizeof(literal) - 1)

/* Where an object of a class with slots keeps the attribute `name`, which may be NULL there;
 * NULL if it is not kept in a slot. */
PyObject **slot_of(PyObject *holder, PyObject *name);
int set_slot(PyObject *holder, PyObject *name, PyObject *value);

int put_number(Buffer *buffer, long long number);
int put_time(Buffer *buffer, long long time_ns);
/* 1: written, 0: not of the plain kind, nothing written, -1: error. */
int put_plain_object(Buffer *buffer, PyObject *mapping);
int is_plain_text(PyObject *text);

PyObject *speed_identify(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_start_record(PyObject *span, PyObject *process, PyObject *seq);
PyObject *speed_end_record(PyObject *span, PyObject *process, PyObject *seq, PyObject *start);
int speed_has_resource(PyObject *span, PyObject *resource);
PyObject *speed_capture_start(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_capture_end(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_configure_capture(PyObject *module, PyObject *args, PyObject *kwargs);
int speed_init_capture(void);
PyObject *speed_site_for(PyObject *attributes);
PyObject *speed_encode_line(PyObject *module, PyObject *record);
PyObject *speed_configure_hooks(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *speed_begin_span(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_end_span(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_bind_append(PyObject *module, PyObject *box);
PyObject *speed_bind_export(PyObject *module, PyObject *exporter);
PyObject *speed_bind_choice(PyObject *module, PyObject *parts);
PyObject *speed_count_lines(PyObject *module, PyObject *lines);
PyObject *speed_bind_plain(PyObject *module, PyObject *parts);
/* 1: the record surely holds no secret, 0: Python has to look. */
int speed_is_plain(PyObject *quick, PyObject *record);
int speed_is_redactor(PyObject *quick);
int speed_init_secrets(void);
int speed_init_hooks(void);
int speed_init_path(void);

#endif
