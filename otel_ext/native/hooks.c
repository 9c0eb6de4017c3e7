/* The processor's hooks: otel_ext.processors.lifecycle and otel_ext.inflight.table, compiled.
 *
 * Takes the steps of the common case, on the same Python objects. In every other case it calls
 * the Python method before it has changed anything.
 */
#include "speed.h"
#include <time.h>

#define CHECK_EVERY 61    /* as _CHECK_EVERY of the processor */

typedef struct { PyObject *begin, *end, *add, *entry_type, *owner_type, *monotonic_ns; } Hooks;

static Hooks hooks;

/* The parts of a processor, which it keeps as `_fast_path`; those of its table are the T_ ones. */
enum { P_RESOURCE, P_PROCESS, P_NEXT_SEQ, P_RECORD_ONLY, P_EXPORT, P_CHECK, P_MAKE_SAFE, P_TABLE,
       T_OPEN, T_MAX_SPANS, T_NOTE_COLLECTED, T_OWNERS, T_LOCAL, T_NOTE_GONE, P_COUNT };

/* A span that starts, its key, and the task that is running, or None. */
typedef struct { PyObject *span, *key, *task; } Started;

static PyObject *s_watch, *s_owner, *s_record, *s_born, *s_key, *s_has_tasks;
static PyObject *s_pop;
static Slot of_record, of_born, of_owner, of_key, of_has_tasks;

PyObject *speed_configure_hooks(PyObject *Py_UNUSED(module), KEYWORDS)
{
    static const char *const names[] = {"begin", "end", "add", "entry_type", "owner_type",
                                        "monotonic_ns"};
    Hooks fresh;
    if (TAKE_KEYWORDS(names, &fresh) < 0)
        return NULL;
    if (!PyType_Check(fresh.entry_type) || !PyType_Check(fresh.owner_type)) {
        PyErr_SetString(PyExc_TypeError, "entry_type, owner_type: classes");
        return NULL;
    }
    adopt(&hooks, &fresh, sizeof hooks);
    Py_RETURN_NONE;
}

PyObject *speed_hook_parts(PyObject *Py_UNUSED(module), KEYWORDS)
{
    static const char *const names[P_COUNT] = {
        "resource", "process", "next_seq", "record_only", "export", "check", "make_safe", "table",
        "opened", "max_spans", "note_collected", "owners", "local", "note_gone",
    };
    PyObject *parts[P_COUNT];
    if (TAKE_KEYWORDS(names, parts) < 0)
        return NULL;
    /* `max_spans` may be of any type: for other than integers `add` is called. */
    if (PyDict_CheckExact(parts[T_OPEN]))
        return speed_tuple(parts, P_COUNT);
    PyErr_SetString(PyExc_TypeError, "opened: a dict");
    return NULL;
}

/* As `time.monotonic_ns`, without the call on systems whose clock for it is known. */
static PyObject *now(void)
{
#ifdef __linux__
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) == 0)
        return PyLong_FromLongLong(time.tv_sec * 1000000000LL + time.tv_nsec);
#endif
    return PyObject_CallNoArgs(hooks.monotonic_ns);
}

/* As `Owners.of_task`. */
static PyObject *task_as_owner(PyObject *parts, PyObject *task, PyObject *key)
{
    PyObject *owners = PyTuple_GET_ITEM(parts, T_OWNERS);
    PyObject *owner = PyObject_CallFunctionObjArgs(hooks.owner_type, task,
                                                   PyTuple_GET_ITEM(parts, T_NOTE_GONE), NULL);
    PyObject *seen = owner == NULL ? NULL : get_slot(owners, s_has_tasks, &of_has_tasks);
    if (seen == NULL || set_slot(owner, s_key, key, &of_key) < 0
        || (seen != Py_True && PyObject_SetAttr(owners, s_has_tasks, Py_True) < 0))
        Py_CLEAR(owner);
    Py_XDECREF(seen);
    return owner;
}

static PyObject *make_entry(PyObject *parts, PyObject *record, const Started *of)
{
    /* A thread has no owner before its first span. */
    PyObject *owner = of->task != Py_None
                          ? task_as_owner(parts, of->task, of->key)
                          : speed_of_thread(PyTuple_GET_ITEM(parts, T_LOCAL), s_owner);
    PyObject *entry = NULL, *born = owner == NULL ? NULL : now();
    if (born != NULL)
        entry = PyObject_CallFunctionObjArgs(hooks.entry_type, of->span,
                                             PyTuple_GET_ITEM(parts, T_NOTE_COLLECTED), NULL);
    if (entry != NULL
        && (set_slot(entry, s_record, record, &of_record) < 0
            || set_slot(entry, s_born, born, &of_born) < 0
            || set_slot(entry, s_owner, owner, &of_owner) < 0))
        Py_CLEAR(entry);
    Py_XDECREF(owner);
    Py_XDECREF(born);
    return entry;
}

/* 1: added, 0: not the common case, -1: error. */
static int add_usual(PyObject *parts, PyObject *record, const Started *of)
{
    PyObject *opened = PyTuple_GET_ITEM(parts, T_OPEN);
    if (!is_record(record)
        || PyDict_GET_SIZE(opened) >= PyLong_AsSsize_t(PyTuple_GET_ITEM(parts, T_MAX_SPANS)))
        return 0;
    PyObject *entry = make_entry(parts, record, of);
    int added = entry == NULL || PyDict_SetItem(opened, of->key, entry) < 0 ? -1 : 1;
    Py_XDECREF(entry);
    return added;
}

static int add_entry(PyObject *parts, PyObject *record, const Started *of)
{
    if (add_usual(parts, record, of) == 1)
        return 0;
    PyObject *args[] = {PyTuple_GET_ITEM(parts, P_TABLE), record, of->span, of->key};
    if (pass_over() < 0)
        return -1;
    PyObject *done = PyObject_Vectorcall(hooks.add, args, 4, NULL);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* The key of the span; NULL if Python must handle it, None if it is not recorded. */
static PyObject *key_of(PyObject *parts, PyObject *span)
{
    PyObject *args[] = {span, PyTuple_GET_ITEM(parts, P_RECORD_ONLY)};
    PyObject *key = NULL;
    if (need(capture.record_type) == 0 && is_usual(span))
        key = speed_identify(NULL, args, 2);
    if (key != NULL && key != Py_None
        && (!PyTuple_CheckExact(key) || PyTuple_GET_SIZE(key) != 2
            || speed_has_resource(span, PyTuple_GET_ITEM(parts, P_RESOURCE)) != 1))
        Py_CLEAR(key);
    return key;
}

static int export(PyObject *parts, PyObject *record)
{
    PyObject *done = call_one(PyTuple_GET_ITEM(parts, P_EXPORT), record);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Makes sure that open spans are watched, each CHECK_EVERY records. Until they are, there is no
 * `_fast_path`. */
static int watch(PyObject *self, PyObject *seq)
{
    long long number = PyLong_AsLongLong(seq);
    if (number == -1 && PyErr_Occurred())
        return -1;
    if (number % CHECK_EVERY)
        return 0;
    PyObject *done = PyObject_CallMethodNoArgs(self, s_watch);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* The record made safe; takes the reference. */
static PyObject *sanitised(PyObject *parts, PyObject *record)
{
    PyObject *safe = call_one(PyTuple_GET_ITEM(parts, P_CHECK), record), *made = NULL;
    if (safe == Py_True)
        made = Py_NewRef(record);
    else if (safe != NULL || pass_over() == 0)
        made = PyObject_CallOneArg(PyTuple_GET_ITEM(parts, P_MAKE_SAFE), record);
    Py_XDECREF(safe);
    Py_DECREF(record);
    return made;
}

static PyObject *start_record(PyObject *process, PyObject *seq, const Started *of)
{
    PyObject *record = speed_start_record(of->span, of->key, process, seq, of->task);
    if (record != NULL || pass_over() < 0)
        return record;
    PyObject *args[] = {of->span, process, seq};
    return PyObject_Vectorcall(capture.capture_start, args, 3, NULL);
}

static PyObject *began(PyObject *self, PyObject *parts, const Started *of)
{
    PyObject *seq = step(PyTuple_GET_ITEM(parts, P_NEXT_SEQ)), *record = NULL;
    if (seq != NULL)
        record = start_record(PyTuple_GET_ITEM(parts, P_PROCESS), seq, of);
    if (record != NULL)
        record = sanitised(parts, record);
    int failed = record == NULL
                 || add_entry(parts, record, of) < 0
                 || watch(self, seq) < 0 || export(parts, record) < 0;    /* last: runs once */
    Py_XDECREF(seq);
    Py_XDECREF(record);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *speed_begin_span(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "begin_span(processor, span)");
        return NULL;
    }
    if (check_process() < 0 || need(hooks.begin) < 0)
        return NULL;
    PyObject *parts = fast_path_of(args[0], P_COUNT);
    Started of = {args[1], parts == NULL ? NULL : key_of(parts, args[1]), NULL};
    if (of.key != NULL && of.key != Py_None)
        of.task = speed_current_task();
    PyObject *done;
    if (of.task != NULL)
        done = began(args[0], parts, &of);
    else if (of.key == Py_None)
        done = Py_NewRef(Py_None);
    else
        done = pass_over() < 0 ? NULL : PyObject_Vectorcall(hooks.begin, args, 2, NULL);
    Py_XDECREF(of.task);
    Py_XDECREF(of.key);
    Py_XDECREF(parts);
    return done;
}

/* Removes an item from a dict, in one step; NULL, mostly without an error, if it is not there. */
static PyObject *pop(PyObject *dict, PyObject *key)
{
    PyObject *args[] = {dict, key, Py_None};
    PyObject *item = PyObject_VectorcallMethod(s_pop, args, 3, NULL);
    if (item == Py_None)
        Py_CLEAR(item);
    return item;
}

/* Removes an open span's start record from the table; NULL if it is not there. */
static PyObject *take_start(PyObject *parts, PyObject *key)
{
    PyObject *entry = pop(PyTuple_GET_ITEM(parts, T_OPEN), key);
    PyObject *start = entry == NULL ? NULL : get_slot(entry, s_record, &of_record);
    Py_XDECREF(entry);
    return start;
}

static PyObject *ended(PyObject *parts, PyObject *span, PyObject *start)
{
    PyObject *seq = step(PyTuple_GET_ITEM(parts, P_NEXT_SEQ)), *record = NULL;
    if (seq != NULL) {
        PyObject *args[] = {span, PyTuple_GET_ITEM(parts, P_PROCESS), seq, start};
        record = speed_capture_end(NULL, args, 4);
    }
    if (record != NULL)
        record = sanitised(parts, record);
    int failed = record == NULL || export(parts, record) < 0;
    Py_XDECREF(seq);
    Py_XDECREF(record);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *speed_end_span(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "end_span(processor, span)");
        return NULL;
    }
    if (check_process() < 0 || need(hooks.end) < 0)
        return NULL;
    PyObject *parts = fast_path_of(args[0], P_COUNT), *start = NULL, *done;
    PyObject *key = parts == NULL ? NULL : key_of(parts, args[1]);
    if (key != NULL && key != Py_None)
        start = take_start(parts, key);
    if (start != NULL)
        done = ended(parts, args[1], start);
    else if (key == Py_None)
        done = Py_NewRef(key);
    else
        done = pass_over() < 0 ? NULL : PyObject_Vectorcall(hooks.end, args, 2, NULL);
    Py_XDECREF(key);
    Py_XDECREF(parts);
    Py_XDECREF(start);
    return done;
}

int speed_init_hooks(void)
{
    static const Name names[] = {
        {&s_watch, "_watch"}, {&s_owner, "owner"},
        {&s_record, "record"}, {&s_born, "born"}, {&s_key, "key"}, {&s_has_tasks, "has_tasks"},
        {&s_pop, "pop"},
    };
    return speed_intern(names, sizeof names / sizeof *names);
}
