/* Encodes records as OTLP: those of spans here, with the same bytes as
 * otel_ext.exporters.otlp.encoding.spans. */
#include "protobuf.h"

#define MOST 65536     /* bytes; a record with more is cut, by Python */
#define PART 64        /* as _PART of the Python code */
/* The flags: it is known whether the parent, or the linked span, is remote. Or it is. */
#define FLAGS "\x85\x01\x00\x01\x00\x00"
#define REMOTE_FLAGS "\x85\x01\x00\x03\x00\x00"
#define LINK_FLAGS "\x35\x00\x01\x00\x00"
#define REMOTE_LINK_FLAGS "\x35\x00\x03\x00\x00"

enum {
    TRACE_ID = LENGTH(1), SPAN_ID = LENGTH(2), PARENT_ID = LENGTH(4), NAME = LENGTH(5),
    KIND = VARINT(6), START = FIXED64(7), END = FIXED64(8), ATTRIBUTES = LENGTH(9),
    EVENTS = LENGTH(11), LINKS = LENGTH(13), STATUS = LENGTH(15),
    STATUS_TEXT = LENGTH(2), STATUS_CODE = VARINT(3),
    EVENT_TIME = FIXED64(1), EVENT_NAME = LENGTH(2), EVENT_ATTRIBUTES = LENGTH(3),
    LINK_ATTRIBUTES = LENGTH(4), TRACE_STATE = LENGTH(3), EVENT_DROPPED = VARINT(4),
    LINK_DROPPED = VARINT(5),
};

static PyObject *s_trace_state, *s_is_remote;

/* The Python functions, for all other records. */
static struct { PyObject *span, *log; } in_python;

static int put_kind(Wire *wire, PyObject *kind)
{
    static const char *const kinds[] = {"server", "client", "producer", "consumer"};
    uint64_t number = 1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (is_word(kind, kinds[i]))
            number = i + 2;
    return wire_varint(wire, KIND, number);
}

/* Writes the trace state. 1: it is remote, 0: it is not, -1: Python has to. */
static int put_context(Wire *wire, PyObject *context)
{
    static Slot of_state, of_remote;
    if (context == Py_None)
        return 0;
    PyObject *state = get_slot(context, s_trace_state, &of_state);
    PyObject *is_remote = state == NULL ? NULL : get_slot(context, s_is_remote, &of_remote);
    int remote = is_remote == NULL || wire_text(wire, TRACE_STATE, state) < 0 ? -1
                                                                            : is_remote == Py_True;
    Py_XDECREF(state);
    Py_XDECREF(is_remote);
    return remote;
}

static int put_count(Wire *wire, char tag, PyObject *count)
{
    long long number;
    if (get_int64(count, &number) < 0 || number < 0)
        return -1;
    return number == 0 ? 0 : wire_varint(wire, tag, (uint64_t)number);
}

static int wire_status(Wire *wire, PyObject *status)
{
    Py_ssize_t begin = wire_begin(wire, STATUS);
    if (begin < 0 || (status != Py_None && !is_tuple_of(status, 2)))
        return -1;
    PyObject *code = status == Py_None ? NULL : PyTuple_GET_ITEM(status, 0);
    int number = code == NULL ? 0 : is_word(code, "ok") ? 1 : is_word(code, "error") ? 2 : 0;
    if (number == 2 && wire_text(wire, STATUS_TEXT, PyTuple_GET_ITEM(status, 1)) < 0)
        return -1;
    if (number && wire_varint(wire, STATUS_CODE, (uint64_t)number) < 0)
        return -1;
    return wire_end(wire, begin);
}

static int put_event(Wire *wire, PyObject *event)
{
    Py_ssize_t begin = !is_tuple_of(event, EVENT_COUNT) || wire_take(wire, PART) < 0 ? -1
                                                                      : wire_begin(wire, EVENTS);
    return begin < 0 || wire_time(wire, EVENT_TIME, PyTuple_GET_ITEM(event, E_TIME)) < 0
                   || wire_text(wire, EVENT_NAME, PyTuple_GET_ITEM(event, E_NAME)) < 0
                   || wire_attributes(wire, EVENT_ATTRIBUTES,
                                      PyTuple_GET_ITEM(event, E_ATTRIBUTES)) < 0
                   || put_count(wire, EVENT_DROPPED, PyTuple_GET_ITEM(event, E_DROPPED)) < 0
                   || wire_end(wire, begin) < 0
               ? -1 : 0;
}

static int put_link(Wire *wire, PyObject *link)
{
    Py_ssize_t begin = !is_tuple_of(link, LINK_COUNT) || wire_take(wire, PART) < 0 ? -1
                                                                     : wire_begin(wire, LINKS);
    if (begin < 0 || wire_id(wire, TRACE_ID, PyTuple_GET_ITEM(link, L_TRACE_ID), 16) < 0
        || wire_id(wire, SPAN_ID, PyTuple_GET_ITEM(link, L_SPAN_ID), 8) < 0
        || wire_attributes(wire, LINK_ATTRIBUTES, PyTuple_GET_ITEM(link, L_ATTRIBUTES)) < 0
        || put_count(wire, LINK_DROPPED, PyTuple_GET_ITEM(link, L_DROPPED)) < 0)
        return -1;
    int remote = put_context(wire, PyTuple_GET_ITEM(link, L_CONTEXT));
    if (remote < 0)
        return -1;
    return (remote ? PUT(&wire->buffer, REMOTE_LINK_FLAGS) : PUT(&wire->buffer, LINK_FLAGS)) < 0
                   || wire_end(wire, begin) < 0
               ? -1 : 0;
}

static int put_each(Wire *wire, PyObject *parts, int (*put_one)(Wire *, PyObject *))
{
    if (!PyTuple_CheckExact(parts))
        return -1;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(parts); i++)
        if (put_one(wire, PyTuple_GET_ITEM(parts, i)) < 0)
            return -1;
    return 0;
}

static int put_parent(Wire *wire, PyObject *parent)
{
    int there = has_text(parent);
    return there <= 0 ? there : wire_id(wire, PARENT_ID, parent, 8);
}

static int put_span(Wire *wire, PyObject *record)
{
    /* What further metadata there are, Python knows. */
    if (PyObject_Size(PyTuple_GET_ITEM(record, F_EXTRA)) != 0)
        return -1;
    if (wire_id(wire, TRACE_ID, PyTuple_GET_ITEM(record, F_TRACE_ID), 16) < 0
                   || wire_id(wire, SPAN_ID, PyTuple_GET_ITEM(record, F_SPAN_ID), 8) < 0
                   || put_parent(wire, PyTuple_GET_ITEM(record, F_PARENT_SPAN_ID)) < 0
                   || wire_text(wire, NAME, PyTuple_GET_ITEM(record, F_NAME)) < 0
                   || put_kind(wire, PyTuple_GET_ITEM(record, F_SPAN_KIND)) < 0
                   || wire_time(wire, START, PyTuple_GET_ITEM(record, F_START_NS)) < 0
                   || wire_time(wire, END, PyTuple_GET_ITEM(record, F_TIME_NS)) < 0
                   || wire_attributes(wire, ATTRIBUTES, PyTuple_GET_ITEM(record, F_ATTRIBUTES)) < 0
                   || put_each(wire, PyTuple_GET_ITEM(record, F_EVENTS), put_event) < 0
                   || put_each(wire, PyTuple_GET_ITEM(record, F_LINKS), put_link) < 0
                   || wire_status(wire, PyTuple_GET_ITEM(record, F_STATUS)) < 0)
        return -1;
    int remote = put_context(wire, PyTuple_GET_ITEM(record, F_CONTEXT));
    if (remote < 0)
        return -1;
    return remote ? PUT(&wire->buffer, REMOTE_FLAGS) : PUT(&wire->buffer, FLAGS);
}

PyObject *speed_configure_otlp(PyObject *Py_UNUSED(module), KEYWORDS)
{
    static const char *const names[] = {"span", "log"};
    PyObject *fresh[2];
    if (TAKE_KEYWORDS(names, fresh) < 0)
        return NULL;
    adopt(&in_python, fresh, sizeof in_python);
    Py_RETURN_NONE;
}

PyObject *speed_encode_span(PyObject *Py_UNUSED(module), PyObject *record)
{
    if (need(in_python.span) < 0)
        return NULL;
    char room[LINE_ROOM];
    Wire wire = {{room, 0, LINE_ROOM, NULL}, MOST};
    PyObject *encoded = NULL;
    if (is_record(record) && put_span(&wire, record) == 0)
        encoded = PyBytes_FromStringAndSize(wire.buffer.data, wire.buffer.size);
    else if (pass_over() == 0)
        encoded = PyObject_CallOneArg(in_python.span, record);
    PyMem_Free(wire.buffer.heap);
    return encoded;
}

PyObject *speed_encode_log(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "encode_log(record, observed_ns)");
        return NULL;
    }
    if (need(in_python.log) < 0)
        return NULL;
    char room[LINE_ROOM];
    Wire wire = {{room, 0, LINE_ROOM, NULL}, MOST};
    PyObject *encoded = NULL;
    if (is_record(args[0]) && speed_put_log(&wire, args[0], args[1]) == 0)
        encoded = PyBytes_FromStringAndSize(wire.buffer.data, wire.buffer.size);
    else if (pass_over() == 0)
        encoded = PyObject_Vectorcall(in_python.log, args, 2, NULL);
    PyMem_Free(wire.buffer.heap);
    return encoded;
}

int speed_init_otlp(void)
{
    static const Name names[] = {
        {&s_trace_state, "trace_state"}, {&s_is_remote, "is_remote"},
    };
    return speed_init_otlp_log() < 0 ? -1 : speed_intern(names, sizeof names / sizeof *names);
}
