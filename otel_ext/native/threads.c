/* Caches what a thread-local object holds for the calling thread, by the thread's number.
 *
 * A number is used once in the life of a process. The cache holds its values, since a thread's
 * storage is cleared before its last finalizers run, which may open spans.
 */
#include "speed.h"

#define KEPT 64    /* a power of two */

static PyObject *s_info;
static struct { uint64_t thread; PyObject *local, *name, *value; } kept[KEPT];

/* Other storage, such as gevent's, may belong to a unit smaller than a thread. */
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
    kept[at].local = Py_NewRef(local);    /* so that its address is not reused */
    kept[at].name = Py_NewRef(name);
    kept[at].value = Py_NewRef(value);
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        Py_XDECREF(old[i]);
    return value;
}

PyObject *speed_thread_info(void)
{
    PyObject *info = speed_of_thread(capture.local, s_info);
    if (info != Py_None)
        return info;
    Py_DECREF(info);
    return PyObject_CallNoArgs(capture.current_thread);
}

int speed_init_threads(void)
{
    return (s_info = PyUnicode_InternFromString("info")) == NULL ? -1 : 0;
}
