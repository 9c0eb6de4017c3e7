/* What the parts share: attributes that stand in slots, read where they stand (a descriptor says at
 * which offset), interned names, and what was found a moment ago.
 */
#include "speed.h"
#include <structmember.h>

/* Sets the slot, its offset 0 for none; with an error where looking ran code that was
 * interrupted, as a metaclass has it. */
void speed_find_slot(PyTypeObject *type, PyObject *name, Slot *slot)
{
    PyObject *found = PyObject_GetAttr((PyObject *)type, name);
    PyTypeObject *old = slot->type;
    slot->type = (PyTypeObject *)Py_NewRef((PyObject *)type);    /* none comes to its address */
    slot->offset = 0;    /* no object begins with a slot */
    if (found == NULL)
        pass_over();
    /* A class may have the descriptor of another one, which says nothing of its own objects. */
    else if (Py_IS_TYPE(found, &PyMemberDescr_Type)
             && PyType_IsSubtype(type, PyDescr_TYPE(found))) {
        PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->type == T_OBJECT_EX)
            slot->offset = member->offset;
    }
    Py_XDECREF(found);
    Py_XDECREF((PyObject *)old);
}

int speed_intern(const Name *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((*names[i].place = PyUnicode_InternFromString(names[i].text)) == NULL)
            return -1;
    return 0;
}

void speed_see(Seen *seen, size_t size, PyObject *what, PyObject *by)
{
    seen += mix((size_t)what, (size_t)by) % size;
    PyObject *old_what = seen->what, *old_by = seen->by;
    seen->what = Py_NewRef(what);
    seen->by = Py_NewRef(by);
    Py_XDECREF(old_what);
    Py_XDECREF(old_by);
}

int set_slot(PyObject *holder, PyObject *name, PyObject *value, Slot *known)
{
    PyObject **slot = slot_of(holder, name, known);
    if (slot == NULL || *slot != NULL)
        return PyErr_Occurred() ? -1 : PyObject_SetAttr(holder, name, value);
    *slot = Py_NewRef(value);
    return 0;
}
