/* Detects that a fork made in C has changed the process; see otel_ext.runtime.fork. */
#include "speed.h"
#ifdef _WIN32
#include <process.h>
#else
#include <unistd.h>
#endif

static const unsigned char own = 1, unknown = 0;
const volatile unsigned char *speed_process_mark = &own;

static Py_buffer page;
static PyObject *enter;
static long owner;

/* `watch_process(page, enter)`: a page whose first byte is 0 in a forked child, or None to
 * compare process ids; and the callable for such a child. */
PyObject *speed_watch_process(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *memory, *callable;
    if (!PyArg_ParseTuple(args, "OO", &memory, &callable))
        return NULL;
    if (page.obj != NULL || enter != NULL)
        Py_RETURN_NONE;    /* set once, since readers do not check whether the page exists */
    if (memory != Py_None && PyObject_GetBuffer(memory, &page, PyBUF_SIMPLE) < 0)
        return NULL;
    enter = Py_NewRef(callable);
    owner = getpid();
    speed_process_mark = memory == Py_None ? &unknown : page.buf;
    Py_RETURN_NONE;
}

int speed_enter_process(void)
{
    if (speed_process_mark == &unknown && getpid() == owner)
        return 0;
    PyObject *done = PyObject_CallNoArgs(enter);
    if (done == NULL)
        return -1;
    Py_DECREF(done);
    owner = getpid();
    return 0;
}
