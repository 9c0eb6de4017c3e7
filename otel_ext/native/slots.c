/* Attributes that stand in slots, read where they stand: a descriptor says at which offset. */
#include "speed.h"
#include <structmember.h>

#define KNOWN 32

static struct { PyTypeObject *type; PyObject *name; Py_ssize_t offset; } known[KNOWN];

/* The offset of a slot, or 0: no object begins with a slot. */
static Py_ssize_t look_up(PyTypeObject *type, PyObject *name)
{
    PyObject *found = PyObject_GetAttr((PyObject *)type, name);
    Py_ssize_t offset = 0;
    if (found == NULL)
        PyErr_Clear();
    else if (Py_IS_TYPE(found, &PyMemberDescr_Type)) {
        PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->type == T_OBJECT_EX)
            offset = member->offset;
    }
    Py_XDECREF(found);
    return offset;
}

/* Kept under its type and name; these are kept too, so that no others come to their address. */
static void remember(size_t at, PyTypeObject *type, PyObject *name)
{
    Py_ssize_t offset = look_up(type, name);
    PyTypeObject *old_type = known[at].type;
    PyObject *old_name = known[at].name;
    Py_INCREF(type);
    Py_INCREF(name);
    known[at].type = type;
    known[at].name = name;
    known[at].offset = offset;
    Py_XDECREF(old_type);
    Py_XDECREF(old_name);
}

PyObject **slot_of(PyObject *holder, PyObject *name)
{
    PyTypeObject *type = Py_TYPE(holder);
    size_t at = (((size_t)type >> 4) ^ ((size_t)name >> 4)) % KNOWN;
    if (known[at].type != type || known[at].name != name)
        remember(at, type, name);
    return known[at].offset ? (PyObject **)((char *)holder + known[at].offset) : NULL;
}

int set_slot(PyObject *holder, PyObject *name, PyObject *value)
{
    PyObject **slot = slot_of(holder, name);
    if (slot == NULL || *slot != NULL)
        return PyObject_SetAttr(holder, name, value);
    Py_INCREF(value);
    *slot = value;
    return 0;
}
