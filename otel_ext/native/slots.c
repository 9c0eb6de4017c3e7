/* Shared helpers: reads attributes in slots at the offset that the descriptor contains, interns
 * names, takes keyword arguments, and caches recent findings.
 */
#include "speed.h"
#include <structmember.h>

/* Sets the slot; offset 0 means none. Leaves an error set if the look-up ran a metaclass's code
 * and that was interrupted. */
void speed_find_slot(PyTypeObject *type, PyObject *name, Slot *slot)
{
    PyObject *found = PyObject_GetAttr((PyObject *)type, name);
    PyTypeObject *old = slot->type;
    slot->type = (PyTypeObject *)Py_NewRef((PyObject *)type);    /* held: keeps its address */
    slot->offset = 0;    /* a slot is never at offset 0 */
    if (found == NULL)
        pass_over();
    /* A class may hold another class's descriptor, which does not apply to its objects. */
    else if (Py_IS_TYPE(found, &PyMemberDescr_Type)
             && PyType_IsSubtype(type, PyDescr_TYPE(found))) {
        PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->type == T_OBJECT_EX)
            slot->offset = member->offset;
    }
    Py_XDECREF(found);
    Py_XDECREF((PyObject *)old);
}

/* The index of the argument; mostly the arguments are in the order of the names. */
static Py_ssize_t index_of(PyObject *keywords, const char *name, Py_ssize_t likely)
{
    Py_ssize_t count = keywords == NULL ? 0 : PyTuple_GET_SIZE(keywords);
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t at = (likely + i) % count;
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, at), name) == 0)
            return at;
    }
    return -1;
}

int speed_keywords(PyObject *const *args, Py_ssize_t count, PyObject *keywords,
                   const char *const *names, Py_ssize_t wanted, PyObject **values)
{
    for (Py_ssize_t i = 0; i < wanted; i++) {
        Py_ssize_t at = index_of(keywords, names[i], i);
        if (at < 0) {
            PyErr_Format(PyExc_TypeError, "the keyword argument %s is missing", names[i]);
            return -1;
        }
        values[i] = args[count + at];
    }
    if (count == 0 && PyTuple_GET_SIZE(keywords) == wanted)
        return 0;
    PyErr_SetString(PyExc_TypeError, "there are other arguments");
    return -1;
}

PyObject *speed_tuple(PyObject *const *values, Py_ssize_t count)
{
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; tuple != NULL && i < count; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(values[i]));
    return tuple;
}

PyObject *fast_path_of(PyObject *holder, Slot *known, Py_ssize_t count)
{
    PyObject *parts = get_slot(holder, s_fast_path, known);
    if (parts != NULL && (!PyTuple_CheckExact(parts) || PyTuple_GET_SIZE(parts) != count))
        Py_CLEAR(parts);
    return parts;
}

int speed_intern(const Name *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((*names[i].variable = PyUnicode_InternFromString(names[i].text)) == NULL)
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
