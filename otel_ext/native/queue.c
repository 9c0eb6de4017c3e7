/* From a record to the queues of several exporters: otel_ext.exporters.fanout and the `export` of
 * otel_ext.exporters.delivery.remote_queue, compiled.
 *
 * Each takes the steps of the common case; in every other one it calls the Python method before it
 * has changed anything.
 */
#include "span.h"

#define CHECK_EVERY 61    /* how many records pass until Python sees whether the threads live */
#define BASE_SIZE 1024    /* as those of queue.py */
#define NESTED_SIZE 16

/* The parts of a fan-out, which it keeps as `_fast_path`: what each exporter's `export` is, and the
 * names that its failures are reported by. */
enum { F_EXPORTS, F_NAMES, FAN_COUNT };

/* The parts of a queue, likewise: two of its priorities, at which number of final records it wakes
 * its thread, and whether starts are queued. */
enum { Q_PROVISIONAL, Q_FINALS, Q_WAKE_AT, Q_NEEDS_STARTS, QUEUE_COUNT };

static PyObject *s_export, *s_note_loss, *s_append, *s_items, *s_size, *s_held;
static PyObject *s_held_size, *s_limits, *s_nested, *s_start, *s_end, *s_span;
static Slot of_each, of_queue;
static Slot of_items, of_size, of_held, of_held_size, of_limits, of_nested, of_attributes_size;

static PyObject *call_python(PyObject *holder, PyObject *record)
{
    return pass_over() < 0 ? NULL : PyObject_CallMethodOneArg(holder, s_export, record);
}

/* Passes the record to each; the exception of one is reported, and the next ones still get it. */
static PyObject *export_to_each(PyObject *fan_out, PyObject *record)
{
    PyObject *parts = fast_path_of(fan_out, &of_each, FAN_COUNT);
    if (parts == NULL)
        return call_python(fan_out, record);
    PyObject *exports = PyTuple_GET_ITEM(parts, F_EXPORTS);
    PyObject *names = PyTuple_GET_ITEM(parts, F_NAMES);
    if (!PyTuple_CheckExact(exports) || !is_tuple_of(names, PyTuple_GET_SIZE(exports))) {
        Py_DECREF(parts);
        return call_python(fan_out, record);
    }
    PyObject *done = Py_NewRef(Py_None);
    for (Py_ssize_t i = 0; done != NULL && i < PyTuple_GET_SIZE(exports); i++) {
        Py_DECREF(done);
        done = call_one(PyTuple_GET_ITEM(exports, i), record);
        if (done == NULL)
            done = note_loss(fan_out, s_note_loss, PyTuple_GET_ITEM(names, i));
    }
    Py_DECREF(parts);
    if (done == NULL)
        return NULL;
    Py_DECREF(done);
    Py_RETURN_NONE;
}

static PyMethodDef each_method = {"export", export_to_each, METH_O, "Pass one record to each."};

PyObject *speed_bind_fan_out(PyObject *Py_UNUSED(module), PyObject *fan_out)
{
    return PyCFunction_New(&each_method, fan_out);
}

/* The value of a slot that holds an `int`, not negative; -1 for any other. */
static long long number_in(PyObject *holder, PyObject *name, Slot *known)
{
    long long value = -1;
    PyObject **slot = slot_of(holder, name, known);
    return slot == NULL || *slot == NULL || get_int64(*slot, &value) < 0 ? -1 : value;
}

/* As `size_of` of queue.py, for a span's record of the common kind; -1 for others. */
static long long size_of(PyObject *record)
{
    PyObject *name = PyTuple_GET_ITEM(record, F_NAME);
    PyObject *attributes = PyTuple_GET_ITEM(record, F_ATTRIBUTES);
    PyObject *events = PyTuple_GET_ITEM(record, F_EVENTS);
    PyObject *links = PyTuple_GET_ITEM(record, F_LINKS);
    if (!PyUnicode_CheckExact(name) || PyTuple_GET_ITEM(record, F_EXTRA) != capture.empty
        || !PyTuple_CheckExact(events) || PyTuple_GET_SIZE(events)
        || !PyTuple_CheckExact(links) || PyTuple_GET_SIZE(links)
        || !Py_IS_TYPE(attributes, (PyTypeObject *)capture.attributes_type))
        return -1;
    long long size = number_in(attributes, s_size, &of_attributes_size);
    PyObject **nested = slot_of(attributes, s_nested, &of_nested);
    if (size < 0 || nested == NULL || *nested != NULL)
        return -1;
    return BASE_SIZE + PyUnicode_GET_LENGTH(name) + size;
}

/* The priority that a record of the common kind has; NULL for others. Borrowed. */
static PyObject *priority_of(PyObject *parts, PyObject *record)
{
    PyObject *phase = PyTuple_GET_ITEM(record, F_PHASE);
    if (PyTuple_GET_ITEM(record, F_KIND) != s_span)
        return NULL;
    if (phase == s_start)
        return PyTuple_GET_ITEM(parts, Q_NEEDS_STARTS) == Py_True
                   ? PyTuple_GET_ITEM(parts, Q_PROVISIONAL) : NULL;
    return phase == s_end && PyTuple_GET_ITEM(record, F_ABANDONED) == Py_None
               ? PyTuple_GET_ITEM(parts, Q_FINALS) : NULL;
}

/* Is there room for one more record of `size`? Sets the bytes that wait afterwards. */
static int has_room(PyObject *priority, PyObject *items, long long size, long long *after)
{
    PyObject **limits = slot_of(priority, s_limits, &of_limits);
    long long held = number_in(priority, s_held, &of_held), most, most_bytes;
    long long held_size = number_in(priority, s_held_size, &of_held_size);
    long long waiting = number_in(priority, s_size, &of_size);
    if (limits == NULL || *limits == NULL || !is_tuple_of(*limits, 2) || held < 0 || held_size < 0
        || waiting < 0 || get_int64(PyTuple_GET_ITEM(*limits, 0), &most) < 0
        || get_int64(PyTuple_GET_ITEM(*limits, 1), &most_bytes) < 0)
        return 0;
    *after = waiting + size;
    return PyObject_Size(items) + held < most && *after + held_size <= most_bytes;
}

/* 1: appended, 0: Python must, -1: error. */
static int append(PyObject *priority, PyObject *items, PyObject *record, long long size)
{
    long long after;
    if (!has_room(priority, items, size, &after))
        return 0;
    PyObject *total = PyLong_FromLongLong(after);
    PyObject *item = total == NULL ? NULL : Py_BuildValue("OL", record, size);
    PyObject **slot = item == NULL ? NULL : slot_of(priority, s_size, &of_size);
    if (slot == NULL) {
        Py_XDECREF(total);
        Py_XDECREF(item);
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *old = *slot;
    *slot = total;
    Py_XDECREF(old);
    PyObject *done = PyObject_CallMethodOneArg(items, s_append, item);
    Py_DECREF(item);
    Py_XDECREF(done);
    return done == NULL ? -1 : 1;
}

/* 1: queued, 0: Python must handle the record, -1: error. */
static int queue_usual(PyObject *parts, PyObject *record)
{
    long long seq, wake_at;
    if (!is_record(record) || get_int64(PyTuple_GET_ITEM(record, F_SEQ), &seq) < 0
        || get_int64(PyTuple_GET_ITEM(parts, Q_WAKE_AT), &wake_at) < 0 || seq % CHECK_EVERY == 0)
        return 0;
    PyObject *priority = priority_of(parts, record);
    PyObject *items = priority == NULL ? NULL : get_slot(priority, s_items, &of_items);
    if (items == NULL)
        return 0;
    Py_ssize_t waiting = PyObject_Size(items);
    long long size = size_of(record);
    int queued = size < 0 || waiting < 0 || (waiting + 1) % wake_at == 0
                     ? 0 : append(priority, items, record, size);
    Py_DECREF(items);
    return queued;
}

static PyObject *queue_one(PyObject *queue, PyObject *record)
{
    PyObject *parts = check_process() < 0 ? NULL : fast_path_of(queue, &of_queue, QUEUE_COUNT);
    int queued = parts == NULL ? 0 : queue_usual(parts, record);
    Py_XDECREF(parts);
    if (queued == 1)
        Py_RETURN_NONE;
    return queued < 0 ? NULL : call_python(queue, record);
}

static PyMethodDef queue_method = {"export", queue_one, METH_O, "Queue one record."};

PyObject *speed_bind_queue(PyObject *Py_UNUSED(module), PyObject *queue)
{
    return PyCFunction_New(&queue_method, queue);
}

/* Is that the `export` of a queue that gets the starts of open spans from their table? */
static int needs_no_start(PyObject *export)
{
    if (!PyCFunction_CheckExact(export) || PyCFunction_GET_FUNCTION(export) != queue_one)
        return 0;
    PyObject *parts = fast_path_of(PyCFunction_GET_SELF(export), &of_queue, QUEUE_COUNT);
    int needs_none = parts != NULL && PyTuple_GET_ITEM(parts, Q_NEEDS_STARTS) == Py_False;
    Py_XDECREF(parts);
    return needs_none;
}

PyObject *speed_only_one_for_starts(PyObject *export)
{
    if (!PyCFunction_CheckExact(export) || PyCFunction_GET_FUNCTION(export) != export_to_each)
        return Py_NewRef(export);
    PyObject *parts = fast_path_of(PyCFunction_GET_SELF(export), &of_each, FAN_COUNT), *one = NULL;
    PyObject *exports = parts == NULL ? NULL : PyTuple_GET_ITEM(parts, F_EXPORTS);
    int count = 0;
    for (Py_ssize_t i = 0; exports != NULL && PyTuple_CheckExact(exports)
                           && i < PyTuple_GET_SIZE(exports); i++)
        if (!needs_no_start(PyTuple_GET_ITEM(exports, i)) && count++ == 0)
            one = PyTuple_GET_ITEM(exports, i);
    PyObject *found = count == 1 ? Py_NewRef(one) : NULL;
    Py_XDECREF(parts);
    return found;
}

int speed_init_queue(void)
{
    static const Name names[] = {
        {&s_export, "export"}, {&s_note_loss, "note_loss"},
        {&s_append, "append"}, {&s_items, "items"}, {&s_size, "size"}, {&s_held, "held"},
        {&s_held_size, "held_size"}, {&s_limits, "limits"}, {&s_nested, "nested"},
        {&s_start, "start"}, {&s_end, "end"}, {&s_span, "span"},
    };
    return speed_intern(names, sizeof names / sizeof *names);
}
