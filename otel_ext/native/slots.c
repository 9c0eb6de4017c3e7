/* Attributes that stand in slots, read where they stand: a descriptor says at which offset. */
#include "speed.h"
#include <structmember.h>

void speed_find_slot(PyTypeObject *type, PyObject *name, Slot *slot)
{
    PyObject *found = PyObject_GetAttr((PyObject *)type, name);
    PyTypeObject *old = slot->type;
    slot->type = (PyTypeObject *)Py_NewRef((PyObject *)type);    /* none comes to its address */
    slot->offset = 0;    /* no object begins with a slot */
    if (found == NULL)
        PyErr_Clear();
    else if (Py_IS_TYPE(found, &PyMemberDescr_Type)) {
        PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->type == T_OBJECT_EX)
            slot->offset = member->offset;
    }
    Py_XDECREF(found);
    Py_XDECREF((PyObject *)old);
}

int set_slot(PyObject *holder, PyObject *name, PyObject *value, Slot *known)
{
    PyObject **slot = slot_of(holder, name, known);
    if (slot == NULL || *slot != NULL)
        return PyObject_SetAttr(holder, name, value);
    *slot = Py_NewRef(value);
    return 0;
}
