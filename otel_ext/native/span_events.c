/* Reads the status and the events of ended spans. For anything unusual it calls the Python code. */
#include "span.h"

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

static PyObject *usual_event(PyObject *event)
{
    if (!Py_IS_TYPE(event, sdk_types[OF_EVENT]))
        return NULL;
    PyObject *fields[EVENT_COUNT] = {NULL};
    if ((fields[E_NAME] = exactly(&PyUnicode_Type, field(event, N_NAME))) != NULL
        && (fields[E_TIME] = exactly(&PyLong_Type, field(event, N_TIMESTAMP))) != NULL
        && (fields[E_ATTRIBUTES] = copied(attributes_for(event, 1))) != NULL)
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
