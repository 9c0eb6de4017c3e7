/* What a span has beside what people look at: otel_ext.record.context_facts, compiled for the usual
 * case. */
#include "speed.h"

static PyObject *s_dropped;

PyObject *speed_parent_id_of(PyObject *parent)
{
    if (parent == Py_None)
        return PyUnicode_FromStringAndSize(NULL, 0);
    if (!is_usual_context(parent)) {
        PyErr_SetString(PyExc_TypeError, "another kind of span context");
        return NULL;
    }
    return Py_NewRef(PyTuple_GET_ITEM(parent, 1));
}

PyObject *speed_context_facts(PyObject *context, PyObject *parent)
{
    if (!is_usual_context(context) || (parent != Py_None && !is_usual_context(parent))) {
        PyErr_SetString(PyExc_TypeError, "another kind of span context");
        return NULL;
    }
    PyObject *is_remote = parent == Py_None ? Py_False : PyTuple_GET_ITEM(parent, 2);
    if (is_remote == Py_False && PyTuple_GET_ITEM(context, 4) == capture.no_state)
        return Py_NewRef(Py_None);
    return PyObject_CallFunctionObjArgs(capture.context_of, context, is_remote, NULL);
}

int speed_has_dropped(PyObject *part)
{
    PyObject *count = PyObject_GetAttr(part, s_dropped);
    int dropped = count == NULL || PyObject_IsTrue(count) != 0;
    Py_XDECREF(count);
    return dropped;
}

int speed_init_context(void)
{
    s_dropped = PyUnicode_InternFromString("dropped");
    return s_dropped == NULL ? -1 : 0;
}
