/* Makes records from spans of the SDK: otel_ext.record.capture, compiled.
 *
 * For anything unexpected (another kind of span, an SDK that has changed) it calls the Python code.
 */
#include "span.h"

/* The hex digits of an id that is still a number; takes the reference. */
static PyObject *id_text(PyObject *id, Py_ssize_t size)
{
    if (!PyLong_CheckExact(id))
        return id;
    PyObject *text = speed_hex(id, size);
    Py_DECREF(id);
    return text;
}

PyObject *copied(PyObject *attributes)
{
    if (attributes == NULL || Py_IS_TYPE(attributes, (PyTypeObject *)capture.attributes_type))
        return attributes;
    PyObject *copy = PyObject_CallOneArg(capture.attributes_type, attributes);
    Py_DECREF(attributes);
    return copy;
}

PyObject *tuple_from(PyObject *type, PyObject **fields, Py_ssize_t count)
{
    int is_complete = 1;
    for (Py_ssize_t i = 0; i < count; i++)
        is_complete &= fields[i] != NULL;
    PyTypeObject *made_type = (PyTypeObject *)type;
    PyObject *made = is_complete ? made_type->tp_alloc(made_type, count) : NULL;
    for (Py_ssize_t i = 0; i < count; i++)    /* runs no code, so all are there at once */
        if (made == NULL)
            Py_XDECREF(fields[i]);
        else
            PyTuple_SET_ITEM(made, i, fields[i]);
    return made;
}

PyObject *speed_record_from(PyObject **of)
{
    if ((of[F_ATTRIBUTES] = copied(of[F_ATTRIBUTES])) != NULL
        && (of[F_TRACE_ID] = id_text(of[F_TRACE_ID], 16)) != NULL
        && (of[F_SPAN_ID] = id_text(of[F_SPAN_ID], 8)) != NULL)
        of[F_PARENT_SPAN_ID] = id_text(of[F_PARENT_SPAN_ID], 8);
    return tuple_from(capture.record_type, of, F_COUNT);
}

PyObject *speed_capture_start(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "capture_start(span, process, seq)");
        return NULL;
    }
    if (need(capture.capture_start) < 0)
        return NULL;
    PyObject *of[F_COUNT], *record = NULL;
    Started started = {args[0], speed_context_of(args[0]), NULL};
    if (started.context != NULL)
        started.task = speed_current_task();
    if (started.task != NULL && speed_read_start(of, &started, args[1], args[2]))
        record = speed_record_from(of);
    Py_XDECREF(started.context);
    Py_XDECREF(started.task);
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
    PyObject *of[F_COUNT], *record = NULL;
    if (is_record(args[3]) && speed_read_end(of, args[0], args[1], args[2], fields_of(args[3])))
        record = speed_record_from(of);
    if (record == NULL)
        return pass_over() < 0 ? NULL : PyObject_Vectorcall(capture.capture_end, args, 4, NULL);
    return record;
}
