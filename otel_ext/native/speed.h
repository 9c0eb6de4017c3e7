/* Declarations that the files of otel_ext._speed share. See
 * docs/adr/0006-the-common-path-is-compiled.md.
 *
 * Every function here is called with the interpreter lock held. Between reading a container and
 * using what it read, it calls no Python code, or holds a reference.
 */
#ifndef OTEL_EXT_SPEED_H
#define OTEL_EXT_SPEED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>
#include <stdint.h>

#ifdef __GNUC__
#pragma GCC visibility push(hidden)    /* calls between these files need no symbol look-up */
#endif

/* The fields of otel_ext.record.model.Record, in their order. */
enum {
    F_KIND, F_PHASE, F_NAME, F_TIME_NS, F_SEQ, F_PROCESS, F_CALL_SITE, F_ATTRIBUTES,
    F_TRACE_ID, F_SPAN_ID, F_PARENT_SPAN_ID, F_SPAN_KIND, F_SCOPE, F_LINKS,
    F_CONTEXT, F_THREAD, F_TASK, F_START_NS, F_STATUS, F_EVENTS, F_ABANDONED, F_LEVEL,
    F_LOGGER, F_EXTRA, F_COUNT
};

/* Python objects that `configure` passed, and interned names. */
typedef struct {
    PyObject *record_type, *attributes_type;
    PyObject *encode_line;     /* the Python codec, for all other cases */
    PyObject *encode_object;
    PyObject *name_fragment;
    PyObject *encode_status;
    PyObject *encode_links;
    PyObject *encode_events;
    PyObject *meta_key;
    PyObject *unset_status;
} Config;

extern Config config;
extern PyObject *s_fragment, *s_id, *s_fast_path;

/* What capture.py passes: its own functions, and its knowledge of the SDK. */
typedef struct {
    PyObject *capture_start, *capture_end;
    PyObject *record_type, *attributes_type, *event_type, *status_type;
    PyObject *judge, *judged, *remember, *unknown_call_site, *call_site_from_attributes;
    PyObject *scope_of, *links_of, *events_of, *status_of, *context_of, *no_state;
    PyObject *local, *current_thread, *task_info, *time_ns;
    PyObject *kinds, *kind_names, *codes, *code_names, *unset_status, *empty;
    PyObject *names, *code_keys, *identify, *here, *span_types;
} CaptureConfig;

extern CaptureConfig capture;

/* 0, or -1 with an error if `configure*` has not passed what a function needs. */
static inline int need(const PyObject *what)
{
    if (what != NULL)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "otel_ext._speed is not configured");
    return -1;
}

/* Takes references to the new values and puts them in force. The old values are not released: a
 * running call may use them. */
static inline void adopt(void *in_force, void *fresh, size_t size)
{
    for (size_t i = 0; i < size / sizeof(PyObject *); i++)
        Py_INCREF(((PyObject **)fresh)[i]);
    memcpy(in_force, fresh, size);
}

/* The SDK's classes of a running span, an ended span, a span context, a status and an event.
 * Objects of other classes, derived ones too, may return other values in public than they store. */
enum { RUNNING, ENDED, CONTEXT, OF_STATUS, OF_EVENT, SDK_TYPES };

extern PyTypeObject *sdk_types[SDK_TYPES];

int speed_find_sdk_types(void);

static inline int is_usual_context(PyObject *context)
{
    return Py_IS_TYPE(context, sdk_types[CONTEXT]) && PyTuple_GET_SIZE(context) >= 5;
}

static inline int is_usual(PyObject *span)
{
    if (sdk_types[RUNNING] == NULL && speed_find_sdk_types() < 0)
        return 0;
    return Py_IS_TYPE(span, sdk_types[RUNNING]) || Py_IS_TYPE(span, sdk_types[ENDED]);
}

/* The fields of a Link and of a SpanEvent. */
enum { L_TRACE_ID, L_SPAN_ID, L_ATTRIBUTES, L_DROPPED, L_CONTEXT, LINK_COUNT };
enum { E_NAME, E_TIME, E_ATTRIBUTES, E_DROPPED, EVENT_COUNT };

static inline int is_tuple_of(PyObject *part, Py_ssize_t size)
{
    return PyTuple_Check(part) && PyTuple_GET_SIZE(part) == size;
}

/* Is this a record with all its fields? `tuple.__new__` makes others too. Two modules pass the
 * class, and a program may import one of them only. */
static inline int is_record(PyObject *record)
{
    PyObject *type = (PyObject *)Py_TYPE(record);
    return (type == capture.record_type || type == config.record_type)
           && PyTuple_GET_SIZE(record) == F_COUNT;
}

/* The fields of a record, or those that were read for one. */
typedef PyObject *const *Fields;

static inline Fields fields_of(PyObject *record)
{
    return ((PyTupleObject *)record)->ob_item;
}

typedef struct {
    char *data;
    Py_ssize_t size, room;
    char *heap;                /* NULL while the caller's own array is enough */
} Buffer;

/* 0: the exception is cleared, and the Python code is called; -1: the exception is meant for the
 * program (Ctrl-C, an exit), or there is no memory for a second try, and it propagates. See
 * docs/adr/0002-hooks-catch-exception-only.md. */
static inline int pass_over(void)
{
    if (!PyErr_Occurred())
        return 0;
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError))
        return -1;
    PyErr_Clear();
    return 0;
}

/* Its first byte is 0 in a child that was forked from C; see otel_ext.runtime.fork. */
extern const volatile unsigned char *speed_process_mark;
int speed_enter_process(void);

/* As `check_process` of otel_ext.runtime.fork; 0, or -1 with an error. */
static inline int check_process(void)
{
    return *speed_process_mark ? 0 : speed_enter_process();
}

#define LINE_ROOM 2048    /* bytes on the stack; a longer line goes to the heap */

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

/* The offset of one attribute in objects of one type; looked up again for another type. */
typedef struct { PyTypeObject *type; Py_ssize_t offset; } Slot;

void speed_find_slot(PyTypeObject *type, PyObject *name, Slot *slot);

/* The address of the attribute `name` in an object with slots; the slot may hold NULL. NULL if
 * it is not in a slot, or, with an error, if the look-up failed. */
static inline PyObject **slot_of(PyObject *holder, PyObject *name, Slot *slot)
{
    if (slot->type != Py_TYPE(holder))
        speed_find_slot(Py_TYPE(holder), name, slot);
    return slot->offset ? (PyObject **)((char *)holder + slot->offset) : NULL;
}

/* An attribute of an object, as `PyObject_GetAttr`; fast if it is in a slot. */
static inline PyObject *get_slot(PyObject *holder, PyObject *name, Slot *known)
{
    PyObject **slot = slot_of(holder, name, known);
    if (slot != NULL && *slot != NULL)
        return Py_NewRef(*slot);
    return PyErr_Occurred() ? NULL : PyObject_GetAttr(holder, name);
}

int set_slot(PyObject *holder, PyObject *name, PyObject *value, Slot *known);

/* Two addresses as a number whose lower bits differ from those of other pairs. */
static inline size_t mix(size_t one, size_t other)
{
    uint64_t mixed = ((uint64_t)(one >> 4) * 31 + (other >> 4)) * 0x9E3779B97F4A7C15ULL;
    return (size_t)(mixed >> 40);
}

/* A recent finding, and the object that found it; both are held, so no address is reused. */
typedef struct { PyObject *what, *by; } Seen;

static inline int is_seen(const Seen *seen, size_t size, PyObject *what, PyObject *by)
{
    seen += mix((size_t)what, (size_t)by) % size;
    return seen->what == what && seen->by == by;
}

void speed_see(Seen *seen, size_t size, PyObject *what, PyObject *by);

/* A name, and the variable for its interned text. */
typedef struct { PyObject **variable; const char *text; } Name;

int speed_intern(const Name *names, size_t count);

/* What the compiled steps of an object need, which it keeps as `_fast_path`, and replaces when any
 * of it changes: `count` parts. NULL, mostly without an error, if it has none at the moment. */
PyObject *fast_path_of(PyObject *holder, Slot *known, Py_ssize_t count);

/* The parameters of a function that takes keyword arguments. */
#define KEYWORDS PyObject *const *args, Py_ssize_t count, PyObject *keywords

/* Sets `values[i]`, a borrowed reference, to the argument `names[i]`; 0, or -1 with an error unless
 * exactly these are passed, by name. */
int speed_keywords(KEYWORDS, const char *const *names, Py_ssize_t wanted, PyObject **values);
/* The same for all fields of a struct, or an array, of objects. */
#define TAKE_KEYWORDS(names, values) \
    speed_keywords(args, count, keywords, (names), sizeof(names) / sizeof *(names), \
                   (PyObject **)(values))
/* A tuple of these objects, each with a new reference. */
PyObject *speed_tuple(PyObject *const *values, Py_ssize_t count);

static inline int is_word(PyObject *text, const char *word)
{
    return PyUnicode_CheckExact(text) && PyUnicode_CompareWithASCIIString(text, word) == 0;
}

/* The value of an exact `int`; 0, or -1 with an error. */
static inline int get_int64(PyObject *number, long long *value)
{
    if (!PyLong_CheckExact(number)) {
        PyErr_SetString(PyExc_TypeError, "a field that must be a whole number is not");
        return -1;
    }
    int overflow;    /* the call that raises an error takes three times as long */
    *value = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow)
        PyErr_SetString(PyExc_OverflowError, "a number has more than 64 bits");
    return overflow ? -1 : 0;
}

/* Advances a counter, which is an iterator or a callable. */
static inline PyObject *step(PyObject *counter)
{
    return PyIter_Check(counter) ? PyIter_Next(counter) : PyObject_CallNoArgs(counter);
}

/* Calls `callable(argument)`; a compiled step of the path is called directly. */
static inline PyObject *call_one(PyObject *callable, PyObject *argument)
{
    if (PyCFunction_CheckExact(callable) && PyCFunction_GET_FLAGS(callable) == METH_O)
        return PyCFunction_GET_FUNCTION(callable)(PyCFunction_GET_SELF(callable), argument);
    return PyObject_CallOneArg(callable, argument);
}

/* The attribute `name` of a thread-local object. */
PyObject *speed_of_thread(PyObject *local, PyObject *name);
/* The calling thread as records describe it. */
PyObject *speed_thread_info(void);
int speed_init_threads(void);

/* The running asyncio task, or None. */
PyObject *speed_current_task(void);
/* The task as records describe it. */
PyObject *speed_task_info(PyObject *task);
int speed_init_tasks(void);

int put_str(Buffer *buffer, PyObject *text);
/* 1: there is text, 0: it is empty, -1: it is not text, with an error. */
int has_text(PyObject *text);
/* Calls `function(argument)`, which returns text, and writes that. */
int put_called(Buffer *buffer, PyObject *function, PyObject *argument);
/* Writes the text of an attribute. */
int put_attribute(Buffer *buffer, PyObject *holder, PyObject *name, Slot *known);
/* Writes `key`, then the fragment of `holder`; for None, writes nothing. */
int put_fragment(Buffer *buffer, const char *key, PyObject *holder, Slot *known);
/* The name of a span or event, without the closing quote. */
int put_event_name(Buffer *buffer, PyObject *name);
int put_status(Buffer *buffer, PyObject *status);
int put_events(Buffer *buffer, PyObject *events);
int put_relations(Buffer *buffer, Fields of);
int put_number(Buffer *buffer, long long number);
int put_time(Buffer *buffer, long long time_ns);
/* 1: written in quotes, 0: Python has to, nothing written, -1: error. */
int put_text(Buffer *buffer, PyObject *text);
/* 1: written, 0: not plain, nothing written, -1: error. */
int put_plain_object(Buffer *buffer, PyObject *mapping);
/* The same for the items of a dict from `position` on, as `PyDict_Next` has it: each with a comma
 * in front, and without braces. Runs no Python code. */
int put_plain_rest(Buffer *buffer, PyObject *mapping, Py_ssize_t position);
int is_plain_text(PyObject *text);

PyObject *speed_identify(PyObject *module, PyObject *const *args, Py_ssize_t count);
/* An identifier of `size` bytes as hex digits. */
PyObject *speed_hex(PyObject *number, Py_ssize_t size);
/* Writes the hex digits of an identifier: a number, or already a text. */
int put_id(Buffer *buffer, PyObject *id, Py_ssize_t size);
int speed_init_ids(void);

int speed_has_resource(PyObject *span, PyObject *resource);
PyObject *speed_capture_start(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_capture_end(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_configure_capture(PyObject *module, KEYWORDS);
int speed_init_span_fields(void);
/* The span id of the parent, which may be None, as a number; an empty text for None. */
PyObject *speed_parent_id_of(PyObject *parent);
/* What a context has beside its ids, as a record has it; None if that is the usual. */
PyObject *speed_context_facts(PyObject *context, PyObject *parent);
/* Does the SDK count anything that its limits left out of these attributes, events or links? Or
 * cannot that be known? */
int speed_has_dropped(PyObject *part);
int speed_init_context(void);
PyObject *speed_call_site_for(PyObject *attributes, int is_served);
/* The user's call site on the stack, at `depth` frames from the innermost or further out. */
PyObject *speed_call_site_at(int depth, int is_served);
PyObject *speed_here(PyObject *module, PyObject *depth);
PyObject *speed_encode_line(PyObject *module, PyObject *record);
/* 1: the line is in the buffer, 0: Python has to encode the record, -1: error. */
int speed_encode_into(Buffer *buffer, PyObject *record);
PyObject *speed_configure_otlp(PyObject *module, KEYWORDS);
PyObject *speed_encode_span(PyObject *module, PyObject *record);
PyObject *speed_encode_log(PyObject *module, PyObject *const *args, Py_ssize_t count);
int speed_init_otlp(void);
PyObject *speed_cursor(PyObject *module, PyObject *memory);
/* 1: stored by the cursor whose `write` that is, 0: not such a method, or no room left. */
int speed_store(PyObject *write, const char *line, Py_ssize_t size);
int speed_init_cursor(void);
int speed_init_encode(void);
PyObject *speed_watch_process(PyObject *module, PyObject *args);
PyObject *speed_configure_hooks(PyObject *module, KEYWORDS);
PyObject *speed_begin_span(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_end_span(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_bind_append(PyObject *module, PyObject *ring);
PyObject *speed_bind_export(PyObject *module, PyObject *exporter);
PyObject *speed_bind_choice(PyObject *module, KEYWORDS);
PyObject *speed_export_parts(PyObject *module, KEYWORDS);
PyObject *speed_hook_parts(PyObject *module, KEYWORDS);
PyObject *speed_count_lines(PyObject *module, PyObject *lines);
PyObject *speed_bind_check(PyObject *module, KEYWORDS);
/* 1: no rule can find anything in the text, 0: Python must search it. */
int speed_is_harmless(PyObject *text);
PyObject *speed_is_harmless_text(PyObject *module, PyObject *text);
PyObject *speed_find_triggers(PyObject *module, PyObject *text);
PyObject *speed_learn_triggers(PyObject *module, PyObject *args);
int speed_init_sanitise(void);
int speed_init_hooks(void);
int speed_init_export(void);
/* Calls `holder.method([what,] error)` with the current exception; one that is meant for the
 * program propagates. */
PyObject *note_loss(PyObject *holder, PyObject *method, PyObject *what);
PyObject *speed_bind_fan_out(PyObject *module, PyObject *fan_out);
PyObject *speed_bind_queue(PyObject *module, PyObject *queue);
int speed_init_queue(void);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#endif
