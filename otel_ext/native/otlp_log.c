/* Encodes a record as an OTLP log record, with the same bytes as
 * otel_ext.exporters.otlp.encoding.logs. */
#include "protobuf.h"

enum {
    TIME = FIXED64(1), SEVERITY = VARINT(2), LEVEL = LENGTH(3), BODY = LENGTH(5),
    ATTRIBUTES = LENGTH(6), TRACE_ID = LENGTH(9), SPAN_ID = LENGTH(10), OBSERVED = FIXED64(11),
    EVENT_NAME = LENGTH(12),
};

#define SAMPLED "\x45\x01\x00\x00\x00"    /* 8: the trace flags */
#define OURS "otel_ext."
#define DEBUG 5
#define INFO 9
#define WARN 13
#define LONGEST_LEVEL 9

static PyObject *s_file, *s_line, *s_function, *s_name;

/* The number of a level; INFO for an unknown one. */
static int number_of(PyObject *level)
{
    static const struct { const char *name; int number; } known[] = {
        {"trace", 1}, {"debug", DEBUG}, {"info", INFO}, {"warn", WARN}, {"warning", WARN},
        {"error", 17}, {"exception", 17}, {"critical", 21}, {"fatal", 21},
    };
    char lower[LONGEST_LEVEL + 1] = "";
    Py_ssize_t size = PyUnicode_GET_LENGTH(level);
    for (Py_ssize_t i = 0; size <= LONGEST_LEVEL && i < size; i++)
        lower[i] = (char)Py_TOLOWER(PyUnicode_READ_CHAR(level, i) & 0x7f);
    for (size_t i = 0; PyUnicode_IS_ASCII(level) && i < sizeof known / sizeof *known; i++)
        if (strcmp(lower, known[i].name) == 0)
            return known[i].number;
    return INFO;
}

static int put_severity(Wire *wire, PyObject *record)
{
    PyObject *level = PyTuple_GET_ITEM(record, F_LEVEL);
    int there = has_text(level);
    if (there < 0)
        return -1;
    int is_heartbeat = is_word(PyTuple_GET_ITEM(record, F_KIND), "process")
                       && is_word(PyTuple_GET_ITEM(record, F_NAME), "process.heartbeat");
    int number = there          ? number_of(level)
                 : is_heartbeat ? DEBUG
                 : PyTuple_GET_ITEM(record, F_ABANDONED) == Py_None ? INFO : WARN;
    return wire_varint(wire, SEVERITY, (uint64_t)number) < 0 || wire_text(wire, LEVEL, level) < 0
               ? -1 : 0;
}

/* Writes a text within a field; `left` is counted with the most bytes it may have. */
static int put_part(Wire *wire, PyObject *text)
{
    if (has_text(text) < 0 || wire_take(wire, 4 * PyUnicode_GET_LENGTH(text)) < 0)
        return -1;
    return put_str(&wire->buffer, text);
}

/* The name of a record, and the phase of a span. */
static int put_body(Wire *wire, PyObject *record, int is_span)
{
    Py_ssize_t body = wire_begin(wire, BODY);
    Py_ssize_t text = body < 0 ? -1 : wire_begin(wire, ANY_STRING);
    if (text < 0 || put_part(wire, PyTuple_GET_ITEM(record, F_NAME)) < 0)
        return -1;
    if (is_span
        && (PUT(&wire->buffer, ".") < 0 || put_part(wire, PyTuple_GET_ITEM(record, F_PHASE)) < 0))
        return -1;
    return wire_end(wire, text) < 0 || wire_end(wire, body) < 0 ? -1 : 0;
}

static int wire_event_name(Wire *wire, PyObject *record, int is_span)
{
    PyObject *kind = PyTuple_GET_ITEM(record, F_KIND);
    int field = is_span ? F_PHASE : is_word(kind, "process") ? F_NAME : F_KIND;
    Py_ssize_t begin = wire_begin(wire, EVENT_NAME);
    if (begin < 0 || PUT(&wire->buffer, OURS) < 0
        || (is_span && PUT(&wire->buffer, "span.") < 0))
        return -1;
    return put_part(wire, PyTuple_GET_ITEM(record, field)) < 0 || wire_end(wire, begin) < 0
               ? -1 : 0;
}

/* One attribute of ours, unless its value is empty. */
static int put_own(Wire *wire, const char *key, PyObject *value)
{
    int there = PyUnicode_CheckExact(value) ? PyUnicode_GET_LENGTH(value) > 0
                                            : value != Py_None && PyObject_IsTrue(value);
    return there <= 0 ? there : wire_attribute(wire, ATTRIBUTES, key, value);
}

/* The same with an attribute of `holder`; OpenTelemetry's names have empty values too. */
static int put_slot(Wire *wire, const char *key, PyObject *holder, PyObject *name, Slot *known)
{
    PyObject *value = get_slot(holder, name, known);
    int is_ours = strncmp(key, OURS, sizeof OURS - 1) == 0;
    int result = value == NULL ? -1
                 : is_ours     ? put_own(wire, key, value)
                               : wire_attribute(wire, ATTRIBUTES, key, value);
    Py_XDECREF(value);
    return result;
}

static int put_of_span(Wire *wire, PyObject *record)
{
    PyObject *phase = PyTuple_GET_ITEM(record, F_PHASE);
    int provisional = is_word(phase, "start") || is_word(phase, "update");
    if (!provisional && !is_word(phase, "end"))
        return -1;
    return put_own(wire, OURS "phase", phase) < 0
                   || (provisional && put_own(wire, OURS "provisional", Py_True) < 0)
                   || put_own(wire, OURS "span.name", PyTuple_GET_ITEM(record, F_NAME)) < 0
                   || put_own(wire, OURS "span.kind", PyTuple_GET_ITEM(record, F_SPAN_KIND)) < 0
                   || put_own(wire, OURS "span.parent_id",
                              PyTuple_GET_ITEM(record, F_PARENT_SPAN_ID)) < 0
                   || put_own(wire, OURS "abandoned", PyTuple_GET_ITEM(record, F_ABANDONED)) < 0
                   || put_own(wire, OURS "start_ns", PyTuple_GET_ITEM(record, F_START_NS)) < 0
               ? -1 : 0;
}

static int put_own_attributes(Wire *wire, PyObject *record, int is_span)
{
    static Slot of_process, of_id, of_name;
    PyObject *task = PyTuple_GET_ITEM(record, F_TASK);
    if (put_own(wire, OURS "kind", PyTuple_GET_ITEM(record, F_KIND)) < 0
        || put_slot(wire, OURS "process", PyTuple_GET_ITEM(record, F_PROCESS), s_id,
                    &of_process) < 0
        || put_own(wire, OURS "seq", PyTuple_GET_ITEM(record, F_SEQ)) < 0
        || put_own(wire, OURS "logger", PyTuple_GET_ITEM(record, F_LOGGER)) < 0
        || (is_span && put_of_span(wire, record) < 0))
        return -1;
    if (task == Py_None)
        return 0;
    return put_slot(wire, OURS "task.id", task, s_id, &of_id) < 0
                   || put_slot(wire, OURS "task.name", task, s_name, &of_name) < 0
               ? -1 : 0;
}

/* 1: the call site is known, 0: it is not, -1: error. */
static int is_known(PyObject *call_site)
{
    static Slot of_file;
    PyObject *file = get_slot(call_site, s_file, &of_file);
    int known = file == NULL ? -1 : !is_word(file, "<unknown>");
    Py_XDECREF(file);
    return known;
}

static int put_origin(Wire *wire, PyObject *record)
{
    static Slot of_file, of_line, of_function, of_id, of_name;
    PyObject *site = PyTuple_GET_ITEM(record, F_CALL_SITE);
    PyObject *thread = PyTuple_GET_ITEM(record, F_THREAD);
    int known = is_known(site);
    if (known < 0
        || (known
            && (put_slot(wire, "code.file.path", site, s_file, &of_file) < 0
                || put_slot(wire, "code.line.number", site, s_line, &of_line) < 0
                || put_slot(wire, "code.function.name", site, s_function, &of_function) < 0)))
        return -1;
    if (thread == Py_None)
        return 0;
    return put_slot(wire, "thread.id", thread, s_id, &of_id) < 0
                   || put_slot(wire, "thread.name", thread, s_name, &of_name) < 0
               ? -1 : 0;
}

/* Does the user have an attribute of a name that ours have? Then Python decides which counts. */
static int has_own_name(PyObject *attributes)
{
    static const char *const prefixes[] = {OURS, "code.", "thread."};
    Py_ssize_t at = 0;
    PyObject *key;
    while (PyDict_Next(attributes, &at, &key, NULL)) {
        if (!PyUnicode_CheckExact(key))
            return 1;
        if (!PyUnicode_IS_COMPACT_ASCII(key))
            continue;
        const char *text = (const char *)PyUnicode_1BYTE_DATA(key);
        for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
            if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
                return 1;
    }
    return 0;
}

static int put_ids(Wire *wire, PyObject *record)
{
    PyObject *trace_id = PyTuple_GET_ITEM(record, F_TRACE_ID);
    PyObject *span_id = PyTuple_GET_ITEM(record, F_SPAN_ID);
    int there = has_text(trace_id);
    if (there <= 0)
        return there;
    if (wire_id(wire, TRACE_ID, trace_id, 16) < 0 || PUT(&wire->buffer, SAMPLED) < 0)
        return -1;
    there = has_text(span_id);
    return there <= 0 ? there : wire_id(wire, SPAN_ID, span_id, 8);
}

/* Are all facts of the record in the fields that are read here? */
static int is_usual_log(PyObject *record)
{
    PyObject *links = PyTuple_GET_ITEM(record, F_LINKS);
    PyObject *attributes = PyTuple_GET_ITEM(record, F_ATTRIBUTES);
    return PyObject_Size(PyTuple_GET_ITEM(record, F_EXTRA)) == 0 && PyTuple_CheckExact(links)
           && PyTuple_GET_SIZE(links) == 0 && PyDict_Check(attributes)
           && !has_own_name(attributes);
}

int speed_put_log(Wire *wire, PyObject *record, PyObject *observed_ns)
{
    int is_span = is_word(PyTuple_GET_ITEM(record, F_KIND), "span");
    return !is_usual_log(record) || wire_time(wire, TIME, PyTuple_GET_ITEM(record, F_TIME_NS)) < 0
                   || put_severity(wire, record) < 0 || put_body(wire, record, is_span) < 0
                   || put_own_attributes(wire, record, is_span) < 0 || put_origin(wire, record) < 0
                   || wire_attributes(wire, ATTRIBUTES, PyTuple_GET_ITEM(record, F_ATTRIBUTES)) < 0
                   || put_ids(wire, record) < 0 || wire_time(wire, OBSERVED, observed_ns) < 0
                   || wire_event_name(wire, record, is_span) < 0
               ? -1 : 0;
}

int speed_init_otlp_log(void)
{
    static const Name names[] = {
        {&s_file, "file"}, {&s_line, "line"}, {&s_function, "function"}, {&s_name, "name"},
    };
    return speed_intern(names, sizeof names / sizeof *names);
}
