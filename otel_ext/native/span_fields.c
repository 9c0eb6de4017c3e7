/* Reads the fields of the SDK's spans, for records and lines.
 *
 * Only otel_ext.record.capture knows the names of the SDK's attributes; it passes them in. Anything
 * unexpected (another kind of span, an SDK that has changed) is an error, for which the Python code
 * is called.
 */
#include "span.h"

#define SCOPES 64

CaptureConfig capture;
PyTypeObject *sdk_types[SDK_TYPES];

static PyObject *s_span, *s_start, *s_end, *s_empty, *s_server;
static PyObject *zero, *no_items;
static struct { PyObject *scope, *made; } scopes[SCOPES];

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

PyObject *name_of_member(PyObject *member, PyObject *members, PyObject *names)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(members); i++)
        if (PyTuple_GET_ITEM(members, i) == member)
            return Py_NewRef(PyTuple_GET_ITEM(names, i));
    PyErr_SetString(PyExc_ValueError, "not a member of the enumeration");
    return NULL;
}

static PyObject *kind_for(PyObject *span)
{
    PyObject *kind = field(span, N_KIND);
    if (kind == NULL)
        return NULL;
    PyObject *name = name_of_member(kind, capture.kinds, capture.kind_names);
    Py_DECREF(kind);
    return name;
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

static PyObject *links_of(PyObject *links)
{
    return PyObject_CallOneArg(capture.links_of, links);
}

/* The links or events of a span; `convert` is called if there are any. */
static PyObject *items_for(PyObject *span, int name, PyObject *(*convert)(PyObject *),
                           int is_whole)
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
        converted = convert(items);
    Py_DECREF(items);
    return converted;
}

PyObject *exactly(PyTypeObject *type, PyObject *value)
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

PyObject *attributes_for(PyObject *holder, int is_whole)
{
    PyObject *attributes = part_for(holder, N_ATTRIBUTES, is_whole);
    if (attributes == NULL)
        return NULL;
    PyObject *kept = field(attributes, N_DICT);
    if (kept == NULL && pass_over() == 0)
        kept = PyObject_CallMethodNoArgs(attributes, PyTuple_GET_ITEM(capture.names, N_COPY));
    Py_DECREF(attributes);
    return exactly(&PyDict_Type, kept);
}

static PyObject *call_site_for(PyObject *attributes, PyObject *kind)
{
    return speed_call_site_for(attributes, PyUnicode_Compare(kind, s_server) == 0);
}

/* Sets the fields that all records of spans have. */
static void begin_fields(PyObject **of, PyObject *process, PyObject *seq)
{
    memset(of, 0, F_COUNT * sizeof *of);
    of[F_KIND] = Py_NewRef(s_span);
    of[F_SEQ] = Py_NewRef(seq);
    of[F_PROCESS] = Py_NewRef(process);
    of[F_ABANDONED] = Py_NewRef(Py_None);
    of[F_LEVEL] = Py_NewRef(s_empty);
    of[F_LOGGER] = Py_NewRef(s_empty);
    of[F_EXTRA] = Py_NewRef(capture.empty);
}

void release_fields(PyObject **of)
{
    for (int i = 0; i < F_COUNT; i++)
        Py_XDECREF(of[i]);
}

static int completed(PyObject **of, int is_complete)
{
    if (!is_complete)
        release_fields(of);
    return is_complete;
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

int speed_read_start(PyObject **of, const Started *started, PyObject *process, PyObject *seq)
{
    PyObject *span = started->span, *context = started->context, *task = started->task;
    if (!is_usual_context(context) || (task != Py_None && handles_exception()))
        return 0;
    PyObject *parent = field(span, N_PARENT);
    begin_fields(of, process, seq);
    of[F_PHASE] = Py_NewRef(s_start);
    of[F_START_NS] = Py_NewRef(zero);
    of[F_STATUS] = Py_NewRef(Py_None);
    of[F_EVENTS] = Py_NewRef(no_items);
    of[F_TRACE_ID] = Py_NewRef(PyTuple_GET_ITEM(context, 0));
    of[F_SPAN_ID] = Py_NewRef(PyTuple_GET_ITEM(context, 1));
    int is_complete =
        parent != NULL && (of[F_NAME] = name_for(span)) != NULL
        && (of[F_TIME_NS] = time_for(span, N_START_TIME)) != NULL
        && (of[F_ATTRIBUTES] = attributes_for(span, 0)) != NULL
        && (of[F_CONTEXT] = speed_context_facts(context, parent)) != NULL
        && (of[F_PARENT_SPAN_ID] = speed_parent_id_of(parent)) != NULL
        && (of[F_SPAN_KIND] = kind_for(span)) != NULL
        && (of[F_CALL_SITE] = call_site_for(of[F_ATTRIBUTES], of[F_SPAN_KIND])) != NULL
        && (of[F_SCOPE] = scope_for(span)) != NULL
        && (of[F_LINKS] = items_for(span, N_LINKS, links_of, 0)) != NULL
        && (of[F_THREAD] = speed_thread_info()) != NULL
        && (of[F_TASK] = speed_task_info(task)) != NULL;
    Py_XDECREF(parent);
    return completed(of, is_complete);
}

int speed_read_end(PyObject **of, PyObject *span, PyObject *process, PyObject *seq, Fields start)
{
    static const int kept[] = {F_CALL_SITE, F_TRACE_ID, F_SPAN_ID, F_PARENT_SPAN_ID,
                               F_SPAN_KIND, F_SCOPE, F_CONTEXT, F_THREAD, F_TASK};
    if (!is_usual(span) || (start[F_TASK] != Py_None && handles_exception()))
        return 0;
    begin_fields(of, process, seq);
    of[F_PHASE] = Py_NewRef(s_end);
    of[F_START_NS] = Py_NewRef(start[F_TIME_NS]);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        of[kept[i]] = Py_NewRef(start[kept[i]]);
    return completed(
        of,
        (of[F_NAME] = name_for(span)) != NULL
            && (of[F_TIME_NS] = time_for(span, N_END_TIME)) != NULL
            && (of[F_ATTRIBUTES] = attributes_for(span, 1)) != NULL
            && (of[F_LINKS] = items_for(span, N_LINKS, links_of, 1)) != NULL
            && (of[F_STATUS] = speed_status_of(span)) != NULL
            && (of[F_EVENTS] = items_for(span, N_EVENTS, speed_events_of, 1)) != NULL);
}

PyObject *speed_context_of(PyObject *span)
{
    return need(capture.span_types) == 0 && is_usual(span) ? field(span, N_CONTEXT) : NULL;
}

PyObject *speed_key_of(PyObject *context, PyObject *record_only)
{
    if (!is_usual_context(context) || !PyBool_Check(record_only))
        return NULL;
    PyObject *trace_id = PyTuple_GET_ITEM(context, 0), *span_id = PyTuple_GET_ITEM(context, 1);
    long flags = PyLong_AsLong(PyTuple_GET_ITEM(context, 3));
    if (flags != -1 && !(flags & 1) && record_only == Py_False)
        return Py_NewRef(Py_None);
    return flags != -1 && PyLong_CheckExact(trace_id) && PyLong_CheckExact(span_id)
               ? PyTuple_Pack(2, trace_id, span_id) : NULL;
}

PyObject *speed_identify(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "identify(span, record_only)");
        return NULL;
    }
    if (need(capture.identify) < 0)
        return NULL;
    PyObject *context = speed_context_of(args[0]);
    PyObject *key = context == NULL ? NULL : speed_key_of(context, args[1]);
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

static int is_class_of(PyObject *type, unsigned long flag)
{
    return PyType_Check(type) && PyType_FastSubclass((PyTypeObject *)type, flag);
}

static int are_pairs(PyObject *members, PyObject *names)
{
    return PyTuple_CheckExact(members) && PyTuple_CheckExact(names)
           && PyTuple_GET_SIZE(members) == PyTuple_GET_SIZE(names);
}

/* Checks once the values that are used for each span without a check. */
static int is_sound(const CaptureConfig *fresh)
{
    PyObject *names = fresh->names;
    if (!is_class_of(fresh->attributes_type, Py_TPFLAGS_DICT_SUBCLASS))
        PyErr_SetString(PyExc_TypeError, "attributes_type: a class of dicts");
    else if (!is_class_of(fresh->record_type, Py_TPFLAGS_TUPLE_SUBCLASS)
             || !is_class_of(fresh->event_type, Py_TPFLAGS_TUPLE_SUBCLASS)
             || !is_class_of(fresh->status_type, Py_TPFLAGS_TUPLE_SUBCLASS)
             || !Py_IS_TYPE(fresh->unset_status, (PyTypeObject *)fresh->status_type)
             || PyTuple_GET_SIZE(fresh->unset_status) == 0)
        PyErr_SetString(PyExc_TypeError, "record_type, event_type, status_type: classes of tuples;"
                                         " unset_status: of that");
    else if (!PyTuple_CheckExact(names) || PyTuple_GET_SIZE(names) != N_COUNT)
        PyErr_SetString(PyExc_ValueError, "names: one for each field, in their order");
    else if (!are_pairs(fresh->kinds, fresh->kind_names)
             || !are_pairs(fresh->codes, fresh->code_names))
        PyErr_SetString(PyExc_ValueError, "kinds, kind_names, codes, code_names: tuples, each with"
                                          " a name for every member");
    else if (!PyTuple_CheckExact(fresh->code_keys) || !PyDict_CheckExact(fresh->judged))
        PyErr_SetString(PyExc_TypeError, "code_keys: a tuple; judged: a dict");
    else
        return 1;
    return 0;
}

PyObject *speed_configure_capture(PyObject *Py_UNUSED(module), KEYWORDS)
{
    static const char *const names[] = {
        "capture_start", "capture_end", "record_type", "attributes_type", "event_type",
        "status_type", "judge", "judged", "remember", "unknown_call_site",
        "call_site_from_attributes", "scope_of", "links_of", "events_of", "status_of",
        "context_of", "no_state", "local", "current_thread", "task_info", "time_ns", "kinds",
        "kind_names", "codes", "code_names", "unset_status", "empty", "names", "code_keys",
        "identify", "here", "span_types",
    };
    CaptureConfig fresh;
    if (TAKE_KEYWORDS(names, &fresh) < 0 || !is_sound(&fresh))
        return NULL;
    adopt(&capture, &fresh, sizeof capture);
    Py_RETURN_NONE;
}

int speed_init_span_fields(void)
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
