/* Writes the status and the events of an end, exceptions included. */
#include "speed.h"

/* 1: written, 0: Python has to, -1: error. Other codes than these are written as they are. */
static int put_known_status(Buffer *b, PyObject *status)
{
    if (!PyTuple_Check(status) || PyTuple_GET_SIZE(status) != 2
        || !is_word(PyTuple_GET_ITEM(status, 0), "error"))
        return 0;
    Py_ssize_t begin = b->size;
    if (PUT(b, "{\"code\":\"error\",\"description\":") < 0)
        return -1;
    PyObject *description = PyTuple_GET_ITEM(status, 1);
    int written = !PyUnicode_CheckExact(description) || PyUnicode_GET_LENGTH(description) == 0
                      ? 0 : put_text(b, description);
    if (written == 0)
        b->size = begin;
    return written == 1 && PUT(b, "}") < 0 ? -1 : written;
}

int put_status(Buffer *b, PyObject *status)
{
    if (PUT(b, ",\"status\":") < 0)
        return -1;
    if (status == Py_None || status == config.unset_status)
        return PUT(b, "{\"code\":\"unset\"}");
    int written = put_known_status(b, status);
    return written ? (written < 0 ? -1 : 0) : put_called(b, config.encode_status, status);
}

/* 1: written, 0: Python has to, -1: error. */
static int put_event(Buffer *b, PyObject *event)
{
    long long time_ns;
    if (!is_tuple_of(event, EVENT_COUNT) || !PyLong_CheckExact(PyTuple_GET_ITEM(event, E_DROPPED))
        || PyObject_IsTrue(PyTuple_GET_ITEM(event, E_DROPPED)))
        return 0;
    PyObject *attributes = PyTuple_GET_ITEM(event, E_ATTRIBUTES);
    if (PUT(b, "{\"name\":") < 0 || put_event_name(b, PyTuple_GET_ITEM(event, E_NAME)) < 0
        || PUT(b, "\",\"timestamp\":\"") < 0
        || get_int64(PyTuple_GET_ITEM(event, E_TIME), &time_ns) < 0 || put_time(b, time_ns) < 0
        || PUT(b, "\"") < 0)
        return -1;
    if (PyDict_Check(attributes) && PyDict_GET_SIZE(attributes)) {
        int written = PUT(b, ",\"attributes\":") < 0 ? -1 : put_plain_object(b, attributes);
        if (written != 1)
            return written;
    }
    else if (!PyDict_Check(attributes))
        return 0;
    return PUT(b, "}") < 0 ? -1 : 1;
}

/* As above. */
static int put_each_event(Buffer *b, PyObject *events)
{
    int written = 1;
    for (Py_ssize_t i = 0; written == 1 && i < PyTuple_GET_SIZE(events); i++)
        written = PUT(b, ",") < 0 ? -1 : put_event(b, PyTuple_GET_ITEM(events, i));
    return written;
}

int put_events(Buffer *b, PyObject *events)
{
    if (!PyTuple_CheckExact(events)) {
        PyErr_SetString(PyExc_TypeError, "the events of a record are a tuple");
        return -1;
    }
    if (PyTuple_GET_SIZE(events) == 0)
        return 0;
    if (PUT(b, ",\"events\":") < 0)
        return -1;
    Py_ssize_t begin = b->size;
    int written = put_each_event(b, events);
    if (written == 0) {
        b->size = begin;
        return put_called(b, config.encode_events, events);
    }
    b->data[begin] = '[';
    return written < 0 ? -1 : PUT(b, "]");
}
