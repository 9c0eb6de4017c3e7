/* What a thread-local object holds for the calling thread, remembered by the thread's number.
 *
 * A number is given once in the life of a process, and what is kept here stays in the
 * thread's own storage as long as that lives; so no reference is held that would keep a
 * dead thread's things alive.
 */
#include "speed.h"

#define KEPT 64    /* a power of two */

static struct { uint64_t thread; PyObject *local, *name, *value; } kept[KEPT];

/* Other storage, as gevent's, may belong to something smaller than a thread. */
static int is_of_threads(PyTypeObject *type)
{
    for (; type != NULL; type = type->tp_base)
        if (strcmp(type->tp_name, "_thread._local") == 0)
            return 1;
    return 0;
}

PyObject *speed_of_thread(PyObject *local, PyObject *name)
{
    uint64_t thread = PyThreadState_GetID(PyThreadState_Get());
    size_t at = (thread ^ ((size_t)local >> 4) ^ ((size_t)name >> 4)) % KEPT;
    if (kept[at].thread == thread && kept[at].local == local && kept[at].name == name)
        return Py_NewRef(kept[at].value);
    PyObject *value = PyObject_GetAttr(local, name);
    if (value == NULL || value == Py_None || !is_of_threads(Py_TYPE(local)))
        return value;
    PyObject *old_local = kept[at].local, *old_name = kept[at].name;
    kept[at].thread = thread;
    kept[at].local = Py_NewRef(local);    /* so that no other comes to its address */
    kept[at].name = Py_NewRef(name);
    kept[at].value = value;
    Py_XDECREF(old_local);
    Py_XDECREF(old_name);
    return value;
}
