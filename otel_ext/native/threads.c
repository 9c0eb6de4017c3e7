/* What a thread-local object holds for the calling thread, remembered by the thread's number.
 *
 * A number is given once in the life of a process. What is remembered is held: a thread's
 * storage is cleared before its last finalizers have run, which may open spans.
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
    PyObject *old[] = {kept[at].local, kept[at].name, kept[at].value};
    kept[at].thread = thread;
    kept[at].local = Py_NewRef(local);    /* so that no other comes to its address */
    kept[at].name = Py_NewRef(name);
    kept[at].value = Py_NewRef(value);
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        Py_XDECREF(old[i]);
    return value;
}
