/* Reuses the memory of records that have no references left. */
#include "speed.h"

#define SPARE 4

/* Records without fields, untracked by the garbage collector, to be filled again. */
static PyObject *spare[SPARE];
static int spares;

void speed_spare_record(PyObject *record)
{
    if (Py_REFCNT(record) != 1 || spares == SPARE
        || (PyObject *)Py_TYPE(record) != given.record_type) {
        Py_DECREF(record);
        return;
    }
    PyObject_GC_UnTrack(record);
    for (Py_ssize_t i = 0; i < F_COUNT; i++) {
        PyObject *field = PyTuple_GET_ITEM(record, i);
        PyTuple_SET_ITEM(record, i, NULL);
        Py_XDECREF(field);
    }
    /* Releasing the fields may have run code that spared other records. */
    if (spares < SPARE)
        spare[spares++] = record;
    else
        Py_DECREF(record);
}

PyObject *speed_empty_record(void)
{
    PyTypeObject *type = (PyTypeObject *)given.record_type;
    if (spares)
        return spare[--spares];
    PyObject *record = type->tp_alloc(type, F_COUNT);
    if (record != NULL)
        PyObject_GC_UnTrack(record);
    return record;
}

