/* From a record to the ring buffer: otel_ext.exporters.jsonl, .compat and the ring buffer's
 * `append`, compiled.
 *
 * Each function is bound to the Python object whose steps it takes, and calls that object's own
 * method in every case but the common one.
 */
#include "span.h"

#define INTRODUCED 8

/* The parts of an exporter, which it keeps as `_fast_path`: the processes that it has introduced,
 * what counts a record as accepted, and the journal. */
enum { E_INTRODUCED, E_ACCEPT, E_JOURNAL, E_COUNT };

static PyObject *s_append, *s_export, *s_export_reduced, *s_note_unwritten;
static PyObject *s_store, *s_elsewhere;
static Slot of_store, of_id, of_exporter, of_append;

static PyObject *append(PyObject *ring, PyObject *line)
{
    PyObject *store = get_slot(ring, s_store, &of_store);
    PyObject *stored = store == NULL ? NULL : PyObject_CallOneArg(store, line);
    Py_XDECREF(store);
    if (stored != NULL) {
        Py_DECREF(stored);
        Py_RETURN_TRUE;
    }
    if (!PyErr_ExceptionMatches(PyExc_ValueError))
        return NULL;
    PyErr_Clear();
    return PyObject_CallMethodOneArg(ring, s_elsewhere, line);
}

/* 1: stored `line` in the ring buffer whose `append` that is, without an object for it,
 * 0: not stored, -1: error. */
static int is_stored(PyObject *append_line, const Buffer *line)
{
    if (!PyCFunction_CheckExact(append_line) || PyCFunction_GET_FUNCTION(append_line) != append)
        return 0;
    PyObject **slot = slot_of(PyCFunction_GET_SELF(append_line), s_store, &of_store);
    if (slot != NULL && *slot != NULL)
        return speed_store(*slot, line->data, line->size);
    return PyErr_Occurred() ? -1 : 0;
}

static PyMethodDef append_method = {"append", append, METH_O, "Store one line in the ring buffer."};

PyObject *speed_bind_append(PyObject *Py_UNUSED(module), PyObject *ring)
{
    return PyCFunction_New(&append_method, ring);
}

/* Processes that were introduced, each with the exporter's dict that holds it; those dicts only
 * grow. */
static Seen introduced[INTRODUCED];

static int is_introduced(PyObject *dict, PyObject *process)
{
    if (is_seen(introduced, INTRODUCED, process, dict))
        return 1;
    PyObject *id = get_slot(process, s_id, &of_id);
    int is_there = id != NULL && PyDict_Contains(dict, id) == 1;
    Py_XDECREF(id);
    if (is_there)
        speed_see(introduced, INTRODUCED, process, dict);
    return is_there;
}

PyObject *speed_export_parts(PyObject *Py_UNUSED(module), KEYWORDS)
{
    static const char *const names[E_COUNT] = {"introduced", "accept", "journal"};
    PyObject *parts[E_COUNT];
    if (TAKE_KEYWORDS(names, parts) < 0)
        return NULL;
    if (PyDict_CheckExact(parts[E_INTRODUCED]))
        return speed_tuple(parts, E_COUNT);
    PyErr_SetString(PyExc_TypeError, "introduced: a dict");
    return NULL;
}

/* The parts, if the exporter has written the `process.start` of the process; else NULL. */
static PyObject *parts_for(PyObject *exporter, PyObject *process)
{
    PyObject *parts = check_process() < 0 ? NULL : fast_path_of(exporter, &of_exporter, E_COUNT);
    if (parts != NULL && !is_introduced(PyTuple_GET_ITEM(parts, E_INTRODUCED), process))
        Py_CLEAR(parts);
    return parts;
}

PyObject *note_loss(PyObject *holder, PyObject *method, PyObject *what)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return NULL;
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(error, traceback);
    PyObject *done = what == NULL
                         ? PyObject_CallMethodOneArg(holder, method, error)
                         : PyObject_CallMethodObjArgs(holder, method, what, error, NULL);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return done;
}

/* Passes a line to the journal: the encoded one in the buffer or, if that is NULL, `line`. */
static PyObject *append_encoded(PyObject *exporter, PyObject *parts, const Buffer *buffer,
                                PyObject *line)
{
    PyObject *append_line = get_slot(PyTuple_GET_ITEM(parts, E_JOURNAL), s_append, &of_append);
    int stored = append_line == NULL ? -1 : buffer != NULL ? is_stored(append_line, buffer) : 0;
    PyObject *taken = stored == 1 ? Py_NewRef(Py_None) : NULL;
    if (stored == 0 && (line = buffer == NULL ? Py_NewRef(line) : PyBytes_FromStringAndSize(
                                   buffer->data, buffer->size)) != NULL) {
        taken = PyObject_CallOneArg(append_line, line);
        Py_DECREF(line);
    }
    Py_XDECREF(append_line);
    PyObject *done = taken == NULL ? note_loss(exporter, s_note_unwritten, NULL) : taken;
    if (done != NULL)
        Py_SETREF(done, Py_NewRef(Py_None));
    return done;
}

/* Counts a record as accepted; 0, or -1 with an error. */
static int accept(PyObject *parts)
{
    PyObject *accepted = step(PyTuple_GET_ITEM(parts, E_ACCEPT));
    Py_XDECREF(accepted);
    return accepted == NULL ? -1 : 0;
}

PyObject *speed_write_line(PyObject *exporter, PyObject *parts, const Buffer *line)
{
    return accept(parts) < 0 ? NULL : append_encoded(exporter, parts, line, NULL);
}

static PyObject *take(PyObject *exporter, PyObject *parts, PyObject *record)
{
    if (need(config.encode_line) < 0 || accept(parts) < 0)
        return NULL;
    char room[LINE_ROOM];
    Buffer buffer = {room, 0, LINE_ROOM, NULL};
    int encoded = speed_encode_into(&buffer, record);
    PyObject *line = encoded == 0 ? PyObject_CallOneArg(config.encode_line, record) : NULL;
    /* The journal is read after the encoding, which may run Python code that closes it. */
    PyObject *done = encoded < 0 || (encoded == 0 && line == NULL)
                         ? note_loss(exporter, s_export_reduced, record)
                         : append_encoded(exporter, parts, line == NULL ? &buffer : NULL, line);
    Py_XDECREF(line);
    PyMem_Free(buffer.heap);
    return done;
}

static PyObject *export(PyObject *exporter, PyObject *record)
{
    PyObject *parts = is_record(record) ? parts_for(exporter, fields_of(record)[F_PROCESS]) : NULL;
    PyObject *done;
    if (parts != NULL)
        done = take(exporter, parts, record);
    else
        done = pass_over() < 0 ? NULL : PyObject_CallMethodOneArg(exporter, s_export, record);
    Py_XDECREF(parts);
    return done;
}

static PyMethodDef export_method = {"export", export, METH_O, "Write one record."};

PyObject *speed_bind_export(PyObject *Py_UNUSED(module), PyObject *exporter)
{
    return PyCFunction_New(&export_method, exporter);
}

/* The parts of a choice: the condition, the callable if it is false, and the one if it is true or
 * fails. If the condition only reads an attribute, its holder and its name; else None. */
enum { C_ASK, C_NO, C_YES, C_HOLDER, C_NAME, C_COUNT, C_PASSED = C_HOLDER };

/* The callable that the condition chooses, borrowed; NULL with an error that is the program's. */
static PyObject *chosen(PyObject *parts)
{
    static Slot of_switch;
    PyObject *name = PyTuple_GET_ITEM(parts, C_NAME);
    PyObject *answer = name == Py_None
                           ? PyObject_CallNoArgs(PyTuple_GET_ITEM(parts, C_ASK))
                           : get_slot(PyTuple_GET_ITEM(parts, C_HOLDER), name, &of_switch);
    Py_ssize_t which = answer == Py_False ? C_NO : C_YES;
    Py_XDECREF(answer);
    return answer == NULL && pass_over() < 0 ? NULL : PyTuple_GET_ITEM(parts, which);
}

static PyObject *choose(PyObject *parts, PyObject *argument)
{
    PyObject *callable = chosen(parts);
    return callable == NULL ? NULL : call_one(callable, argument);
}

static PyMethodDef choose_method = {"export", choose, METH_O, "Pass one record on."};

PyObject *speed_writer_of(PyObject *export_one, PyObject *process, PyObject **parts)
{
    PyObject *callable = export_one;
    while (callable != NULL && PyCFunction_CheckExact(callable)
           && PyCFunction_GET_FUNCTION(callable) == choose) {
        PyObject *choice = PyCFunction_GET_SELF(callable);
        /* Another condition may be the program's own function, which is called once a record. */
        callable = PyTuple_GET_ITEM(choice, C_NAME) == Py_None ? NULL : chosen(choice);
    }
    if (callable == NULL || !PyCFunction_CheckExact(callable)
        || PyCFunction_GET_FUNCTION(callable) != export)
        return NULL;
    PyObject *exporter = PyCFunction_GET_SELF(callable);
    *parts = parts_for(exporter, process);
    return *parts == NULL ? NULL : exporter;
}

/* The arguments, if `ask` is `functools.partial(getattr, holder, name)`; else NULL, perhaps with
 * an error. */
static PyObject *attribute_of(PyObject *ask)
{
    PyObject *function = PyObject_GetAttrString(ask, "func");
    PyObject *args = function == NULL ? NULL : PyObject_GetAttrString(ask, "args");
    PyObject *keywords = args == NULL ? NULL : PyObject_GetAttrString(ask, "keywords");
    int reads = keywords != NULL && strcmp(Py_TYPE(ask)->tp_name, "functools.partial") == 0
                && function == PyDict_GetItemString(PyEval_GetBuiltins(), "getattr")
                && PyTuple_CheckExact(args) && PyTuple_GET_SIZE(args) == 2
                && PyUnicode_CheckExact(PyTuple_GET_ITEM(args, 1))
                && PyUnicode_CHECK_INTERNED(PyTuple_GET_ITEM(args, 1))
                && PyObject_Size(keywords) == 0;
    Py_XDECREF(function);
    Py_XDECREF(keywords);
    if (!reads || pass_over() < 0)
        Py_CLEAR(args);
    return args;
}

PyObject *speed_bind_choice(PyObject *Py_UNUSED(module), KEYWORDS)
{
    static const char *const names[C_PASSED] = {"ask", "no", "yes"};
    PyObject *parts[C_COUNT];
    if (TAKE_KEYWORDS(names, parts) < 0)
        return NULL;
    for (int i = 0; i < C_PASSED; i++)
        if (!PyCallable_Check(parts[i]))
            return PyErr_Format(PyExc_TypeError, "%s: a callable", names[i]);
    PyObject *attribute = attribute_of(parts[C_ASK]);
    if (attribute == NULL && pass_over() < 0)
        return NULL;
    parts[C_HOLDER] = attribute == NULL ? Py_None : PyTuple_GET_ITEM(attribute, 0);
    parts[C_NAME] = attribute == NULL ? Py_None : PyTuple_GET_ITEM(attribute, 1);
    PyObject *all = speed_tuple(parts, C_COUNT);
    Py_XDECREF(attribute);
    PyObject *bound = all == NULL ? NULL : PyCFunction_New(&choose_method, all);
    Py_XDECREF(all);
    return bound;
}

PyObject *speed_count_lines(PyObject *Py_UNUSED(module), PyObject *lines)
{
    Py_buffer view;
    if (PyObject_GetBuffer(lines, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    Py_ssize_t found = 0;
    const char *at = view.buf, *end = at + view.len;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        found++;
        at++;
    }
    PyBuffer_Release(&view);
    return PyLong_FromSsize_t(found);
}

int speed_init_export(void)
{
    static const Name names[] = {
        {&s_append, "append"}, {&s_export, "export"},
        {&s_export_reduced, "export_reduced"}, {&s_note_unwritten, "note_unwritten"},
        {&s_store, "_store"}, {&s_elsewhere, "_append_elsewhere"},
    };
    return speed_intern(names, sizeof names / sizeof *names);
}
