/* The processor's hooks: otel_ext.processors.lifecycle and otel_ext.inflight.table, compiled.
 *
 * Takes the steps of the common case, on the same Python objects. In every other case it calls
 * the Python method before it has changed anything.
 */
#include "span.h"
#include <time.h>

#define CHECK_EVERY 61    /* as _CHECK_EVERY of the processor */

typedef struct { PyObject *begin, *end, *add, *entry_type, *owner_type, *monotonic_ns; } Hooks;

static Hooks hooks;

/* The parts of a processor, which it keeps as `_fast_path`; those of its table are the T_ ones. */
enum { P_RESOURCE, P_PROCESS, P_NEXT_SEQ, P_RECORD_ONLY, P_EXPORT, P_CHECK, P_MAKE_SAFE, P_TABLE,
       T_OPEN, T_MAX_SPANS, T_NOTE_COLLECTED, T_OWNERS, T_LOCAL, T_NOTE_GONE, P_COUNT };

static PyObject *s_watch, *s_owner, *s_kept, *s_born, *s_key, *s_has_tasks;
static Slot of_processor, of_kept, of_born, of_owner, of_key, of_has_tasks;

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

/* As `type(of, callback)` for a class of weak references, whose `__init__` does nothing. */
static PyObject *new_ref(PyObject *type, PyObject *of, PyObject *callback)
{
    PyObject *args = PyTuple_Pack(2, of, callback);
    PyObject *made = args == NULL ? NULL : ((PyTypeObject *)type)->tp_new((PyTypeObject *)type,
                                                                          args, NULL);
    Py_XDECREF(args);
    return made;
}

/* As `Owners.of_task`. */
static PyObject *task_as_owner(PyObject *parts, PyObject *task, PyObject *key)
{
    PyObject *owners = PyTuple_GET_ITEM(parts, T_OWNERS);
    PyObject *owner = new_ref(hooks.owner_type, task, PyTuple_GET_ITEM(parts, T_NOTE_GONE));
    PyObject *seen = owner == NULL ? NULL : get_slot(owners, s_has_tasks, &of_has_tasks);
    if (seen == NULL || set_slot(owner, s_key, key, &of_key) < 0
        || (seen != Py_True && PyObject_SetAttr(owners, s_has_tasks, Py_True) < 0))
        Py_CLEAR(owner);
    Py_XDECREF(seen);
    return owner;
}

static PyObject *make_entry(PyObject *parts, PyObject *kept, const Started *of, PyObject *key)
{
    /* A thread has no owner before its first span. */
    PyObject *owner = of->task != Py_None
                          ? task_as_owner(parts, of->task, key)
                          : speed_of_thread(PyTuple_GET_ITEM(parts, T_LOCAL), s_owner);
    PyObject *entry = NULL, *born = owner == NULL ? NULL : now();
    if (born != NULL)
        entry = new_ref(hooks.entry_type, of->span, PyTuple_GET_ITEM(parts, T_NOTE_COLLECTED));
    if (entry != NULL
        && (set_slot(entry, s_kept, kept, &of_kept) < 0
            || set_slot(entry, s_born, born, &of_born) < 0
            || set_slot(entry, s_owner, owner, &of_owner) < 0))
        Py_CLEAR(entry);
    Py_XDECREF(owner);
    Py_XDECREF(born);
    return entry;
}

/* 1: added, 0: not the common case, -1: error. */
static int add_usual(PyObject *parts, PyObject *kept, const Started *of, PyObject *key)
{
    PyObject *opened = PyTuple_GET_ITEM(parts, T_OPEN);
    if ((!is_start_line(kept) && !is_record(kept))
        || PyDict_GET_SIZE(opened) >= PyLong_AsSsize_t(PyTuple_GET_ITEM(parts, T_MAX_SPANS)))
        return 0;
    PyObject *entry = make_entry(parts, kept, of, key);
    int added = entry == NULL || PyDict_SetItem(opened, key, entry) < 0 ? -1 : 1;
    Py_XDECREF(entry);
    return added;
}

/* The start record that the table kept, itself or as its line. */
static PyObject *record_of(PyObject *kept)
{
    return is_start_line(kept) ? speed_start_record(kept, NULL) : Py_NewRef(kept);
}

static int add_entry(PyObject *parts, PyObject *kept, const Started *of, PyObject *key)
{
    if (add_usual(parts, kept, of, key) == 1)
        return 0;
    if (pass_over() < 0)
        return -1;
    PyObject *record = record_of(kept), *done = NULL;
    if (record != NULL) {
        PyObject *args[] = {PyTuple_GET_ITEM(parts, P_TABLE), record, of->span, key};
        done = PyObject_Vectorcall(hooks.add, args, 4, NULL);
    }
    Py_XDECREF(record);
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

/* A start's fields were read into `fields`, unless `is_read` is 0. */
static PyObject *start_record(PyObject *parts, PyObject **fields, int is_read, PyObject *span,
                              PyObject *seq)
{
    if (pass_over() < 0) {
        if (is_read)
            release_fields(fields);
        return NULL;
    }
    PyObject *record = is_read ? speed_record_from(fields) : NULL;
    if (record == NULL && pass_over() == 0) {
        PyObject *args[] = {span, PyTuple_GET_ITEM(parts, P_PROCESS), seq};
        record = PyObject_Vectorcall(capture.capture_start, args, 3, NULL);
    }
    return record == NULL ? NULL : sanitised(parts, record);
}

static PyObject *write_start(PyObject *writer, PyObject *writer_parts, PyObject *start)
{
    StartLine *line = (StartLine *)start;
    const Buffer written = {(char *)line->shared.line, line->line_size, line->line_size, NULL};
    return speed_write_line(writer, writer_parts, &written);
}

static PyObject *began(PyObject *self, PyObject *parts, const Started *of, PyObject *key)
{
    PyObject *seq = step(PyTuple_GET_ITEM(parts, P_NEXT_SEQ));
    if (seq == NULL)
        return NULL;
    PyObject *process = PyTuple_GET_ITEM(parts, P_PROCESS), *fields[F_COUNT], *kept = NULL;
    PyObject *writer_parts = NULL, *writer = NULL, *done = NULL;
    PyObject *only = speed_only_one_for_starts(PyTuple_GET_ITEM(parts, P_EXPORT));
    if (only != NULL)
        writer = speed_writer_of(only, process, &writer_parts);
    int is_read = pass_over() == 0 && speed_read_start(fields, of, process, seq);
    if (is_read && writer != NULL)
        kept = speed_start_line(PyTuple_GET_ITEM(parts, P_CHECK), fields);
    if (kept == NULL)
        kept = start_record(parts, fields, is_read, of->span, seq);
    if (kept != NULL && add_entry(parts, kept, of, key) == 0 && watch(self, seq) == 0)
        done = is_start_line(kept) ? write_start(writer, writer_parts, kept)    /* runs once */
                                   : call_one(PyTuple_GET_ITEM(parts, P_EXPORT), kept);
    Py_XDECREF(only);
    Py_XDECREF(writer_parts);
    Py_DECREF(seq);
    Py_XDECREF(kept);
    return done;
}

PyObject *speed_begin_span(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "begin_span(processor, span)");
        return NULL;
    }
    if (check_process() < 0 || need(hooks.begin) < 0)
        return NULL;
    PyObject *parts = fast_path_of(args[0], &of_processor, P_COUNT), *key = NULL, *done;
    Started of = {args[1], parts == NULL ? NULL : speed_context_of(args[1]), NULL};
    if (of.context != NULL)
        key = speed_key_of(of.context, PyTuple_GET_ITEM(parts, P_RECORD_ONLY));
    if (key != NULL && key != Py_None
        && speed_has_resource(args[1], PyTuple_GET_ITEM(parts, P_RESOURCE)) == 1)
        of.task = speed_current_task();
    if (of.task != NULL)
        done = began(args[0], parts, &of, key);
    else if (key == Py_None)
        done = Py_NewRef(Py_None);
    else
        done = pass_over() < 0 ? NULL : PyObject_Vectorcall(hooks.begin, args, 2, NULL);
    Py_XDECREF(of.context);
    Py_XDECREF(of.task);
    Py_XDECREF(key);
    Py_XDECREF(parts);
    return done;
}

/* Is the span of the process that the parts are for? */
static int is_of_process(PyObject *parts, PyObject *span, PyObject *kept)
{
    return (is_start_line(kept)
            && ((StartLine *)kept)->of[F_PROCESS] == PyTuple_GET_ITEM(parts, P_PROCESS))
           || speed_has_resource(span, PyTuple_GET_ITEM(parts, P_RESOURCE)) == 1;
}

/* Removes an open span from the table, in one step; what was kept of its start, or NULL, perhaps
 * with an error, if Python must handle the span. */
static PyObject *take_start(PyObject *parts, PyObject *span, PyObject *key)
{
    PyObject *opened = PyTuple_GET_ITEM(parts, T_OPEN);
    PyObject *entry = PyDict_GetItemWithError(opened, key);
    if (entry == NULL)
        return NULL;
    Py_INCREF(entry);
    /* The key has exact numbers, so no other code runs before it is removed. */
    PyObject *kept = get_slot(entry, s_kept, &of_kept);
    if (kept != NULL && (!is_of_process(parts, span, kept) || PyDict_DelItem(opened, key) < 0))
        Py_CLEAR(kept);
    Py_DECREF(entry);
    return kept;
}

/* Writes the line of an end without a record. 1: written, 0: it needs a record, -1: error. */
static int write_end(PyObject *parts, PyObject **fields, PyObject *start)
{
    PyObject *writer_parts = NULL, *done = NULL;
    PyObject *writer = !is_start_line(start) ? NULL
        : speed_writer_of(PyTuple_GET_ITEM(parts, P_EXPORT), fields[F_PROCESS], &writer_parts);
    if (writer == NULL)
        return pass_over();
    char room[LINE_ROOM];
    Buffer line = {room, 0, LINE_ROOM, NULL};
    int written = speed_put_end(&line, PyTuple_GET_ITEM(parts, P_CHECK), fields,
                                (StartLine *)start);
    if (written == 1 && (done = speed_write_line(writer, writer_parts, &line)) == NULL)
        written = -1;
    else if (written < 1)
        written = pass_over();
    Py_XDECREF(done);
    PyMem_Free(line.heap);
    Py_DECREF(writer_parts);
    return written;
}

/* The record of an end, which is safe; its fields were read, unless `is_read` is 0. */
static PyObject *end_record(PyObject *parts, PyObject **fields, int is_read, PyObject *span,
                            PyObject *seq, PyObject *kept)
{
    PyObject *record = is_read ? speed_record_from(fields) : NULL;
    if (record == NULL && pass_over() == 0) {
        PyObject *start = record_of(kept);
        PyObject *args[] = {span, PyTuple_GET_ITEM(parts, P_PROCESS), seq, start};
        if (start != NULL)
            record = PyObject_Vectorcall(capture.capture_end, args, 4, NULL);
        Py_XDECREF(start);
    }
    return record == NULL ? NULL : sanitised(parts, record);
}

static PyObject *ended(PyObject *parts, PyObject *span, PyObject *kept)
{
    PyObject *seq = step(PyTuple_GET_ITEM(parts, P_NEXT_SEQ));
    if (seq == NULL)
        return NULL;
    PyObject *fields[F_COUNT], *done = NULL;
    Fields start = is_start_line(kept) ? ((StartLine *)kept)->of : fields_of(kept);
    int is_read = (is_start_line(kept) || is_record(kept))
                  && speed_read_end(fields, span, PyTuple_GET_ITEM(parts, P_PROCESS), seq, start);
    int written = is_read ? write_end(parts, fields, kept) : 0;
    if (written == 0) {
        PyObject *record = end_record(parts, fields, is_read, span, seq, kept);
        if (record != NULL)
            done = call_one(PyTuple_GET_ITEM(parts, P_EXPORT), record);
        Py_XDECREF(record);
    }
    else {
        release_fields(fields);
        done = written == 1 ? Py_NewRef(Py_None) : NULL;
    }
    Py_DECREF(seq);
    return done;
}

PyObject *speed_end_span(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "end_span(processor, span)");
        return NULL;
    }
    if (check_process() < 0 || need(hooks.end) < 0)
        return NULL;
    PyObject *parts = fast_path_of(args[0], &of_processor, P_COUNT), *key = NULL, *kept = NULL;
    PyObject *context = parts == NULL ? NULL : speed_context_of(args[1]), *done;
    if (context != NULL)
        key = speed_key_of(context, PyTuple_GET_ITEM(parts, P_RECORD_ONLY));
    if (key != NULL && key != Py_None)
        kept = take_start(parts, args[1], key);
    if (kept != NULL)
        done = ended(parts, args[1], kept);
    else if (key == Py_None)
        done = Py_NewRef(key);
    else
        done = pass_over() < 0 ? NULL : PyObject_Vectorcall(hooks.end, args, 2, NULL);
    Py_XDECREF(context);
    Py_XDECREF(key);
    Py_XDECREF(parts);
    Py_XDECREF(kept);
    return done;
}

int speed_init_hooks(void)
{
    static const Name names[] = {
        {&s_watch, "_watch"}, {&s_owner, "owner"},
        {&s_kept, "kept"}, {&s_born, "born"}, {&s_key, "key"}, {&s_has_tasks, "has_tasks"},
    };
    return speed_intern(names, sizeof names / sizeof *names);
}
