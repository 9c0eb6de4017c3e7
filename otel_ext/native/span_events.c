/* Reads the status and the events of ended spans. For anything unusual it calls the Python code. */
#include "span.h"

/* A tuple of a class of ours, as `tuple.__new__(type, fields)`; takes the references, of which some
 * may be NULL: then there is an error, perhaps without an exception, and NULL is returned. */
static PyObject *tuple_from(PyObject *type, PyObject **fields, Py_ssize_t count)
{
    int is_complete = 1;
    for (Py_ssize_t i = 0; i < count; i++)
        is_complete &= fields[i] != NULL;
    PyTypeObject *made_type = (PyTypeObject *)type;
    PyObject *made = is_complete ? made_type->tp_alloc(made_type, count) : NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        if (made == NULL)
            Py_XDECREF(fields[i]);
        else
            PyTuple_SET_ITEM(made, i, fields[i]);
    return made;
}

static PyObject *usual_status(PyObject *status)
{
    PyObject *code = field(status, N_STATUS_CODE);
    PyObject *name = code == NULL ? NULL
                                  : name_of_member(code, capture.codes, capture.code_names);
    Py_XDECREF(code);
    if (name == PyTuple_GET_ITEM(capture.unset_status, 0)) {
        Py_DECREF(name);
        return Py_NewRef(capture.unset_status);
    }
    PyObject *fields[] = {name, name == NULL ? NULL : field(status, N_DESCRIPTION)};
    if (fields[1] == Py_None)
        Py_SETREF(fields[1], PyUnicode_New(0, 0));
    fields[1] = exactly(&PyUnicode_Type, fields[1]);
    return tuple_from(capture.status_type, fields, 2);
}

PyObject *speed_status_of(PyObject *span)
{
    PyObject *status = field(span, N_STATUS), *found = NULL;
    if (status == NULL)
        return NULL;
    if (Py_IS_TYPE(status, sdk_types[OF_STATUS]))
        found = usual_status(status);
    Py_DECREF(status);
    if (found == NULL && pass_over() == 0)
        found = PyObject_CallOneArg(capture.status_of, span);
    return found;
}

/* A copy of the attributes of an event, of which the SDK's limits left out none. */
static PyObject *attributes_of(PyObject *event)
{
    PyObject *holder = field(event, N_ATTRIBUTES), *copy = NULL;
    if (holder == NULL)
        return NULL;
    PyObject *kept = speed_has_dropped(holder) ? NULL : field(holder, N_DICT);
    if (kept != NULL && PyDict_CheckExact(kept))
        copy = PyObject_CallOneArg(capture.attributes_type, kept);
    Py_XDECREF(kept);
    Py_DECREF(holder);
    return copy;
}

static PyObject *usual_event(PyObject *event)
{
    if (!Py_IS_TYPE(event, sdk_types[OF_EVENT]))
        return NULL;
    PyObject *fields[EVENT_COUNT] = {NULL};
    if ((fields[E_NAME] = exactly(&PyUnicode_Type, field(event, N_NAME))) != NULL
        && (fields[E_TIME] = exactly(&PyLong_Type, field(event, N_TIMESTAMP))) != NULL
        && (fields[E_ATTRIBUTES] = attributes_of(event)) != NULL)
        fields[E_DROPPED] = PyLong_FromLong(0);
    return tuple_from(capture.event_type, fields, EVENT_COUNT);
}

PyObject *speed_events_of(PyObject *events)
{
    PyObject *kept = field(events, N_DEQUE);
    PyObject *list = kept == NULL ? NULL : PySequence_List(kept);
    Py_XDECREF(kept);
    PyObject *made = list == NULL ? NULL : PyTuple_New(PyList_GET_SIZE(list));
    for (Py_ssize_t i = 0; made != NULL && i < PyTuple_GET_SIZE(made); i++) {
        PyObject *event = usual_event(PyList_GET_ITEM(list, i));
        if (event == NULL)
            Py_CLEAR(made);
        else
            PyTuple_SET_ITEM(made, i, event);
    }
    Py_XDECREF(list);
    if (made == NULL && pass_over() == 0)
        made = PyObject_CallOneArg(capture.events_of, events);
    return made;
}
