/* Makes records from spans of the SDK: otel_ext.record.capture, compiled.
 *
 * Only that module knows the names of the SDK's attributes; it passes them in. For anything
 * unexpected (another kind of span, an SDK that has changed) the Python code is called.
 */
#include "speed.h"

#define SCOPES 64

CaptureConfig capture;
PyTypeObject *sdk_types[SDK_TYPES];

/* Positions in the tuple of names that capture.py passes. */
enum {
    N_NAME, N_CONTEXT, N_PARENT, N_ATTRIBUTES, N_LINKS, N_KIND, N_START_TIME, N_END_TIME,
    N_EVENTS, N_STATUS, N_SCOPE, N_STATUS_CODE, N_COPY, N_DICT, N_DEQUE, N_RESOURCE, N_COUNT
};

static PyObject *s_span, *s_start, *s_end, *s_empty, *s_server;
static PyObject *zero, *no_items;
static struct { PyObject *scope, *made; } scopes[SCOPES];

static PyObject *field(PyObject *span, int name)
{
    return PyObject_GetAttr(span, PyTuple_GET_ITEM(capture.names, name));
}

/* Called at the first span, not before: a program that only logs need not import the SDK. */
int speed_find_sdk_types(void)
{
    PyObject *found = PyObject_CallNoArgs(capture.span_types);
    int is_right = found != NULL && PyTuple_CheckExact(found)
                   && PyTuple_GET_SIZE(found) == SDK_TYPES
                   && PyType_FastSubclass((PyTypeObject *)PyTuple_GET_ITEM(found, CONTEXT),
                                          Py_TPFLAGS_TUPLE_SUBCLASS);
    for (int i = 0; i < SDK_TYPES && is_right; i++)
        sdk_types[i] = (PyTypeObject *)Py_NewRef(PyTuple_GET_ITEM(found, i));
    Py_XDECREF(found);
    return is_right ? 0 : -1;
}

static PyObject *scope_for(PyObject *span)
{
    PyObject *scope = field(span, N_SCOPE);
    if (scope == NULL)
        return NULL;
    size_t slot = ((size_t)scope >> 4) % SCOPES;
    if (scopes[slot].scope == scope) {
        Py_DECREF(scope);
        Py_INCREF(scopes[slot].made);
        return scopes[slot].made;
    }
    PyObject *made = PyObject_CallOneArg(capture.scope_of, scope);
    if (made == NULL) {
        Py_DECREF(scope);
        return NULL;
    }
    PyObject *old_scope = scopes[slot].scope, *old_made = scopes[slot].made;
    scopes[slot].scope = scope;
    Py_INCREF(made);
    scopes[slot].made = made;
    Py_XDECREF(old_scope);
    Py_XDECREF(old_made);
    return made;
}

static PyObject *kind_for(PyObject *span)
{
    PyObject *kind = field(span, N_KIND);
    if (kind == NULL)
        return NULL;
    Py_DECREF(kind);    /* the enumeration keeps its members */
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(capture.kinds); i++)
        if (PyTuple_GET_ITEM(capture.kinds, i) == kind) {
            PyObject *name = PyTuple_GET_ITEM(capture.kind_names, i);
            Py_INCREF(name);
            return name;
        }
    PyErr_SetString(PyExc_ValueError, "an unknown kind of span");
    return NULL;
}

/* The length of one of the SDK's lists, from its inner container, without calling its methods. */
static Py_ssize_t size_of(PyObject *items)
{
    if (PyTuple_CheckExact(items))
        return PyTuple_GET_SIZE(items);
    PyObject *kept = field(items, N_DEQUE);
    if (kept == NULL)
        return pass_over() < 0 ? -1 : PyObject_Size(items);
    Py_ssize_t size = PyObject_Size(kept);
    Py_DECREF(kept);
    return size;
}

/* Attributes, events or links of a span; with `is_whole`, an error if the SDK's limits left out
 * anything of them: Python counts that. */
static PyObject *part_for(PyObject *span, int name, int is_whole)
{
    PyObject *part = field(span, name);
    if (part != NULL && is_whole && speed_has_dropped(part)) {
        Py_CLEAR(part);
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "the limits left something out");
    }
    return part;
}

/* The links or events of a span; `convert` is called if there are any. */
static PyObject *items_for(PyObject *span, int name, PyObject *convert, int is_whole)
{
    PyObject *items = part_for(span, name, is_whole);
    if (items == NULL)
        return NULL;
    Py_ssize_t size = size_of(items);
    PyObject *converted = NULL;
    if (size == 0) {
        converted = no_items;
        Py_INCREF(converted);
    }
    else if (size > 0)
        converted = PyObject_CallOneArg(convert, items);
    Py_DECREF(items);
    return converted;
}

/* A field must be of exactly this type; for any other the Python code is called. */
static PyObject *exactly(PyTypeObject *type, PyObject *value)
{
    if (value != NULL && !Py_IS_TYPE(value, type)) {
        Py_CLEAR(value);
        PyErr_SetString(PyExc_TypeError, "a field of a span is not of the type it should be");
    }
    return value;
}

static PyObject *name_for(PyObject *span)
{
    return exactly(&PyUnicode_Type, field(span, N_NAME));
}

static PyObject *time_for(PyObject *span, int name)
{
    PyObject *time_ns = exactly(&PyLong_Type, field(span, name));
    if (time_ns == NULL || PyObject_IsTrue(time_ns) == 1)
        return time_ns;
    Py_DECREF(time_ns);
    return PyObject_CallNoArgs(capture.time_ns);
}

static PyObject *attributes_for(PyObject *span, int is_whole)
{
    PyObject *holder = part_for(span, N_ATTRIBUTES, is_whole);
    if (holder == NULL)
        return NULL;
    PyObject *copied = NULL, *kept = field(holder, N_DICT);
    if (kept == NULL && pass_over() == 0)
        kept = PyObject_CallMethodNoArgs(holder, PyTuple_GET_ITEM(capture.names, N_COPY));
    Py_DECREF(holder);
    if (kept != NULL && PyDict_CheckExact(kept))
        copied = PyObject_CallOneArg(capture.attributes_type, kept);
    else if (kept != NULL)
        PyErr_SetString(PyExc_TypeError, "the attributes of a span are in a dict");
    Py_XDECREF(kept);
    return copied;
}

static PyObject *context_for(PyObject *span, PyObject *parent)
{
    PyObject *context = field(span, N_CONTEXT);
    PyObject *found = context == NULL ? NULL : speed_context_facts(context, parent);
    Py_XDECREF(context);
    return found;
}

static PyObject *call_site_for(PyObject *attributes, PyObject *kind)
{
    return speed_call_site_for(attributes, PyUnicode_Compare(kind, s_server) == 0);
}

/* Sets the fields that all records of spans have. The fields of a record are collected in an array,
 * each one owned: until all are there, no object exists that other code could find. */
static void begin_fields(PyObject **fields, PyObject *process, PyObject *seq)
{
    fields[F_KIND] = Py_NewRef(s_span);
    fields[F_SEQ] = Py_NewRef(seq);
    fields[F_PROCESS] = Py_NewRef(process);
    fields[F_ABANDONED] = Py_NewRef(Py_None);
    fields[F_LEVEL] = Py_NewRef(s_empty);
    fields[F_LOGGER] = Py_NewRef(s_empty);
    fields[F_EXTRA] = Py_NewRef(capture.empty);
}

/* As `tuple.__new__(Record, fields)`; releases the fields if `is_complete` is 0. */
static PyObject *record_of(PyObject **fields, int is_complete)
{
    PyTypeObject *type = (PyTypeObject *)capture.record_type;
    PyObject *record = is_complete ? type->tp_alloc(type, F_COUNT) : NULL;
    if (record == NULL) {
        for (int i = 0; i < F_COUNT; i++)
            Py_XDECREF(fields[i]);
        return NULL;
    }
    for (int i = 0; i < F_COUNT; i++)
        PyTuple_SET_ITEM(record, i, fields[i]);    /* runs no code, so all are there at once */
    return record;
}

/* Is an exception being handled? It may cancel a task, which the Python code checks. */
static int handles_exception(void)
{
    PyObject *type, *error, *traceback;
    PyErr_GetExcInfo(&type, &error, &traceback);
    int handles = error != NULL && error != Py_None;
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return handles;
}

PyObject *speed_start_record(PyObject *span, PyObject *ids, PyObject *process, PyObject *seq,
                             PyObject *task)
{
    if (task != Py_None && handles_exception())
        return NULL;
    PyObject *of[F_COUNT] = {NULL};
    PyObject *parent = field(span, N_PARENT);
    begin_fields(of, process, seq);
    of[F_PHASE] = Py_NewRef(s_start);
    of[F_START_NS] = Py_NewRef(zero);
    of[F_STATUS] = Py_NewRef(Py_None);
    of[F_EVENTS] = Py_NewRef(no_items);
    int is_complete =
        parent != NULL && (of[F_NAME] = name_for(span)) != NULL
        && (of[F_TIME_NS] = time_for(span, N_START_TIME)) != NULL
        && (of[F_ATTRIBUTES] = attributes_for(span, 0)) != NULL
        && (of[F_TRACE_ID] = speed_hex(PyTuple_GET_ITEM(ids, 0), 16)) != NULL
        && (of[F_SPAN_ID] = speed_hex(PyTuple_GET_ITEM(ids, 1), 8)) != NULL
        && (of[F_PARENT_SPAN_ID] = speed_parent_id_of(parent)) != NULL
        && (of[F_SPAN_KIND] = kind_for(span)) != NULL
        && (of[F_CALL_SITE] = call_site_for(of[F_ATTRIBUTES], of[F_SPAN_KIND])) != NULL
        && (of[F_SCOPE] = scope_for(span)) != NULL
        && (of[F_LINKS] = items_for(span, N_LINKS, capture.links_of, 0)) != NULL
        && (of[F_CONTEXT] = context_for(span, parent)) != NULL
        && (of[F_THREAD] = speed_thread_info()) != NULL
        && (of[F_TASK] = speed_task_info(task)) != NULL;
    Py_XDECREF(parent);
    return record_of(of, is_complete);
}

static PyObject *status_for(PyObject *span)
{
    PyObject *status = field(span, N_STATUS);
    PyObject *code = status == NULL ? NULL : field(status, N_STATUS_CODE);
    Py_XDECREF(status);
    if (code == NULL)
        return NULL;
    Py_DECREF(code);    /* the enumeration keeps its members */
    if (code == capture.unset_code)
        return Py_NewRef(capture.unset_status);
    return PyObject_CallOneArg(capture.status_of, span);
}

PyObject *speed_end_record(PyObject *span, PyObject *process, PyObject *seq, PyObject *start)
{
    static const int kept[] = {F_CALL_SITE, F_TRACE_ID, F_SPAN_ID, F_PARENT_SPAN_ID,
                               F_SPAN_KIND, F_SCOPE, F_CONTEXT, F_THREAD, F_TASK};
    if (PyTuple_GET_ITEM(start, F_TASK) != Py_None && handles_exception())
        return NULL;
    PyObject *of[F_COUNT] = {NULL};
    begin_fields(of, process, seq);
    of[F_PHASE] = Py_NewRef(s_end);
    of[F_START_NS] = Py_NewRef(PyTuple_GET_ITEM(start, F_TIME_NS));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        of[kept[i]] = Py_NewRef(PyTuple_GET_ITEM(start, kept[i]));
    int is_complete = is_usual(span) && (of[F_NAME] = name_for(span)) != NULL
                      && (of[F_TIME_NS] = time_for(span, N_END_TIME)) != NULL
                      && (of[F_ATTRIBUTES] = attributes_for(span, 1)) != NULL
                      && (of[F_LINKS] = items_for(span, N_LINKS, capture.links_of, 1)) != NULL
                      && (of[F_STATUS] = status_for(span)) != NULL
                      && (of[F_EVENTS] = items_for(span, N_EVENTS, capture.events_of, 1)) != NULL;
    return record_of(of, is_complete);
}

/* The key of a span, or None if it is not recorded. `record_only`: record unsampled ones too. */
PyObject *speed_identify(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "identify(span, record_only)");
        return NULL;
    }
    if (need(capture.identify) < 0)
        return NULL;
    PyObject *context = is_usual(args[0]) ? field(args[0], N_CONTEXT) : NULL, *key = NULL;
    if (context != NULL && is_usual_context(context) && PyBool_Check(args[1])) {
        long flags = PyLong_AsLong(PyTuple_GET_ITEM(context, 3));
        if (flags != -1 && !(flags & 1) && args[1] == Py_False)
            key = Py_NewRef(Py_None);
        else if (flags != -1)
            key = PyTuple_Pack(2, PyTuple_GET_ITEM(context, 0), PyTuple_GET_ITEM(context, 1));
    }
    Py_XDECREF(context);
    if (key == NULL)
        return pass_over() < 0 ? NULL : PyObject_Vectorcall(capture.identify, args, 2, NULL);
    return key;
}

/* 1: `span` has that same resource object, 0: another one, -1: error. */
int speed_has_resource(PyObject *span, PyObject *resource)
{
    PyObject *found = field(span, N_RESOURCE);
    Py_XDECREF(found);    /* the span keeps it */
    return found == NULL ? -1 : found == resource;
}

PyObject *speed_capture_start(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "capture_start(span, process, seq)");
        return NULL;
    }
    if (need(capture.capture_start) < 0)
        return NULL;
    PyObject *context = is_usual(args[0]) ? field(args[0], N_CONTEXT) : NULL, *record = NULL;
    PyObject *task = context == NULL ? NULL : speed_current_task();
    if (task != NULL && is_usual_context(context))
        record = speed_start_record(args[0], context, args[1], args[2], task);
    Py_XDECREF(context);
    Py_XDECREF(task);
    if (record == NULL)
        return pass_over() < 0 ? NULL : PyObject_Vectorcall(capture.capture_start, args, 3, NULL);
    return record;
}

PyObject *speed_capture_end(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "capture_end(span, process, seq, start)");
        return NULL;
    }
    if (need(capture.capture_end) < 0)
        return NULL;
    PyObject *record = NULL;
    if (is_record(args[3]))
        record = speed_end_record(args[0], args[1], args[2], args[3]);
    if (record == NULL)
        return pass_over() < 0 ? NULL : PyObject_Vectorcall(capture.capture_end, args, 4, NULL);
    return record;
}

/* Checks once the values that are used for each span without a check. */
static int is_sound(const CaptureConfig *fresh)
{
    PyObject *names = fresh->names, *kinds = fresh->kinds, *kind_names = fresh->kind_names;
    if (!PyType_Check(fresh->attributes_type)
        || !PyType_FastSubclass((PyTypeObject *)fresh->attributes_type,
                                Py_TPFLAGS_DICT_SUBCLASS))
        PyErr_SetString(PyExc_TypeError, "attributes_type: a class of dicts");
    else if (!PyType_Check(fresh->record_type)
        || !PyType_FastSubclass((PyTypeObject *)fresh->record_type, Py_TPFLAGS_TUPLE_SUBCLASS))
        PyErr_SetString(PyExc_TypeError, "record_type: a class of tuples");
    else if (!PyTuple_CheckExact(names) || PyTuple_GET_SIZE(names) != N_COUNT)
        PyErr_SetString(PyExc_ValueError, "names: one for each field, in their order");
    else if (!PyTuple_CheckExact(kinds) || !PyTuple_CheckExact(kind_names)
             || PyTuple_GET_SIZE(kinds) != PyTuple_GET_SIZE(kind_names))
        PyErr_SetString(PyExc_ValueError, "kinds, kind_names: two tuples of one length");
    else if (!PyTuple_CheckExact(fresh->code_keys) || !PyDict_CheckExact(fresh->judged))
        PyErr_SetString(PyExc_TypeError, "code_keys: a tuple; judged: a dict");
    else
        return 1;
    return 0;
}

PyObject *speed_configure_capture(PyObject *Py_UNUSED(module), KEYWORDS)
{
    static const char *const names[] = {
        "capture_start", "capture_end", "record_type", "attributes_type", "judge", "judged",
        "remember", "unknown_call_site", "call_site_from_attributes", "scope_of", "links_of",
        "events_of", "status_of", "context_of", "no_state", "local", "current_thread",
        "task_info", "time_ns", "kinds", "kind_names", "unset_code", "unset_status", "empty",
        "names", "code_keys", "identify", "here", "span_types",
    };
    CaptureConfig fresh;
    if (TAKE_KEYWORDS(names, &fresh) < 0 || !is_sound(&fresh))
        return NULL;
    adopt(&capture, &fresh, sizeof capture);
    Py_RETURN_NONE;
}

int speed_init_capture(void)
{
    s_span = PyUnicode_InternFromString("span");
    s_start = PyUnicode_InternFromString("start");
    s_end = PyUnicode_InternFromString("end");
    s_empty = PyUnicode_InternFromString("");
    s_server = PyUnicode_InternFromString("server");
    zero = PyLong_FromLong(0);
    no_items = PyTuple_New(0);
    return s_span && s_start && s_end && s_empty && s_server && zero && no_items ? 0 : -1;
}
