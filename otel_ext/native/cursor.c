/* A position in mapped memory where the ring buffer stores lines.
 *
 * A line is claimed and stored in one step of the interpreter, as by the mapping object's own
 * `write`, which is used if this is not built. Here no object is needed for the line.
 */
#include "speed.h"

typedef struct {
    PyObject_HEAD
    Py_buffer memory;
    Py_ssize_t at;
} Cursor;

static PyTypeObject *cursor_type;

/* 1: stored, 0: it does not fit. */
static int store(Cursor *self, const char *line, Py_ssize_t size)
{
    if (self->at > self->memory.len - size)
        return 0;
    memcpy((char *)self->memory.buf + self->at, line, (size_t)size);
    self->at += size;
    return 1;
}

static PyObject *cursor_write(PyObject *self, PyObject *line)
{
    Py_buffer view;
    if (PyObject_GetBuffer(line, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    Py_ssize_t size = view.len;
    int stored = store((Cursor *)self, view.buf, size);
    PyBuffer_Release(&view);
    if (stored)
        return PyLong_FromSsize_t(size);
    PyErr_SetString(PyExc_ValueError, "the line does not fit");
    return NULL;
}

static PyObject *cursor_seek(PyObject *self, PyObject *position)
{
    Py_ssize_t at = PyLong_AsSsize_t(position);
    if (at == -1 && PyErr_Occurred())
        return NULL;
    if (at < 0 || at > ((Cursor *)self)->memory.len) {
        PyErr_SetString(PyExc_ValueError, "a position outside of the memory");
        return NULL;
    }
    ((Cursor *)self)->at = at;
    Py_RETURN_NONE;
}

static PyObject *cursor_tell(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSsize_t(((Cursor *)self)->at);
}

int speed_store(PyObject *write, const char *line, Py_ssize_t size)
{
    if (!PyCFunction_CheckExact(write) || PyCFunction_GET_FUNCTION(write) != cursor_write)
        return 0;
    return store((Cursor *)PyCFunction_GET_SELF(write), line, size);
}

PyObject *speed_cursor(PyObject *Py_UNUSED(module), PyObject *memory)
{
    Cursor *self = PyObject_New(Cursor, cursor_type);
    if (self == NULL)
        return NULL;
    self->at = 0;
    self->memory.obj = NULL;
    if (PyObject_GetBuffer(memory, &self->memory, PyBUF_WRITABLE) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void cursor_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyBuffer_Release(&((Cursor *)self)->memory);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMethodDef cursor_methods[] = {
    {"write", cursor_write, METH_O, "Store a line at the position and advance past it."},
    {"seek", cursor_seek, METH_O, "Move to a position from the beginning."},
    {"tell", cursor_tell, METH_NOARGS, "Return the position."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot cursor_slots[] = {
    {Py_tp_methods, cursor_methods},
    {Py_tp_dealloc, cursor_dealloc},
    {0, NULL},
};

static PyType_Spec cursor_spec = {
    "otel_ext._speed.Cursor", sizeof(Cursor), 0,
    Py_TPFLAGS_DEFAULT
#ifdef Py_TPFLAGS_DISALLOW_INSTANTIATION
        | Py_TPFLAGS_DISALLOW_INSTANTIATION
#endif
    , cursor_slots,
};

int speed_init_cursor(void)
{
    cursor_type = (PyTypeObject *)PyType_FromSpec(&cursor_spec);
    return cursor_type == NULL ? -1 : 0;
}
