/* Finds and describes the running asyncio task: `current_task` of otel_ext.record.capture,
 * compiled.
 */
#include "speed.h"

/* Up to 3.11, asking for the running loop takes a system call (getpid). */
#if PY_VERSION_HEX < 0x030C0000 && !defined(MS_WINDOWS) && !defined(PYPY_VERSION)
#define LOOP_IS_COSTLY 1
#include <pthread.h>
#endif

#define KNOWN 16
#define LONGEST_NAME 128

static PyObject *s_asyncio, *s_tasks, *s_running_loop, *s_current, *s_by_loop, *s_get_name;
static PyObject *s_name, *nothing;

/* asyncio's own functions, once the program has imported it. `by_loop` is the dict of running
 * tasks, in versions of Python that keep one; NULL in others. */
static PyObject *running_loop, *current, *by_loop;

#ifdef LOOP_IS_COSTLY
static PyObject *s_thread_id;
static int is_forked;    /* the parent's loops do not run here, though their state says so */

static void note_fork(void)
{
    is_forked = 1;
}

/* What `current_task` returns, without asking for the running loop: while one task runs in the
 * whole process, its loop has the thread's number. NULL if that is unknown, or on an error. */
static PyObject *task_of_only_loop(void)
{
    Py_ssize_t position = 0;
    PyObject *loop, *task, *running = NULL;
    if (is_forked || PyDict_GET_SIZE(by_loop) != 1
        || !PyDict_Next(by_loop, &position, &loop, &task))
        return NULL;
    Py_INCREF(loop);    /* the loop may be of any class, and its attribute may run code */
    Py_INCREF(task);
    PyObject *thread = PyObject_GetAttr(loop, s_thread_id);
    unsigned long number = 0;
    if (thread != NULL && PyLong_CheckExact(thread))
        number = PyLong_AsUnsignedLong(thread);
    if (PyErr_Occurred())
        pass_over();
    else if (thread != NULL && PyLong_CheckExact(thread))
        running = Py_NewRef(number == PyThread_get_thread_ident() ? task : Py_None);
    Py_XDECREF(thread);
    Py_DECREF(task);
    Py_DECREF(loop);
    return running;
}
#endif

/* 1: asyncio is imported, 0: it is not, or only partly, -1: error. */
static int find_asyncio(void)
{
    PyObject *asyncio = PyImport_GetModule(s_asyncio);
    if (asyncio == NULL)
        return pass_over();    /* an error if no module is left, as when the interpreter ends */
    PyObject *loop = PyObject_GetAttr(asyncio, s_running_loop);
    PyObject *task = loop == NULL ? NULL : PyObject_GetAttr(asyncio, s_current);
    PyObject *tasks = task == NULL ? NULL : PyObject_GetAttr(asyncio, s_tasks);
    PyObject *kept = tasks == NULL ? NULL : PyObject_GetAttr(tasks, s_by_loop);
    Py_XDECREF(tasks);
    Py_DECREF(asyncio);
    int interrupted = pass_over();
    if (task == NULL || interrupted < 0) {
        Py_XDECREF(loop);
        Py_XDECREF(task);
        Py_XDECREF(kept);
        return interrupted;
    }
#if PY_VERSION_HEX < 0x030E0000
    if (kept != NULL && PyDict_CheckExact(kept))
        Py_XSETREF(by_loop, Py_NewRef(kept));
#endif
    Py_XDECREF(kept);
    Py_XSETREF(current, task);
#ifdef LOOP_IS_COSTLY
    if (running_loop == NULL && pthread_atfork(NULL, NULL, note_fork) != 0)
        is_forked = 1;
#endif
    Py_XSETREF(running_loop, loop);
    return 1;
}

PyObject *speed_current_task(void)
{
    int found = running_loop != NULL ? 1 : find_asyncio();
    if (found < 0)
        return NULL;
    PyObject *loop, *task;
    if (found == 0 || (by_loop != NULL && PyDict_GET_SIZE(by_loop) == 0))
        return Py_NewRef(Py_None);
#ifdef LOOP_IS_COSTLY
    if (by_loop != NULL && ((task = task_of_only_loop()) != NULL || PyErr_Occurred()))
        return task;
#endif
    loop = PyObject_CallNoArgs(running_loop);
    if (loop == NULL || loop == Py_None)
        return loop;
    if (by_loop == NULL)
        task = PyObject_CallOneArg(current, loop);
    else if ((task = PyDict_GetItemWithError(by_loop, loop)) != NULL)
        Py_INCREF(task);
    else if (!PyErr_Occurred())
        task = Py_NewRef(Py_None);
    Py_DECREF(loop);
    return task;
}

/* Caches recent descriptions of tasks. The tasks are not held: another task at the same address
 * with the same name has the same description. */
static struct { const void *task; PyObject *name, *info; } known[KNOWN];

static PyObject *remember(size_t at, const void *task, PyObject *name, PyObject *info)
{
    PyObject *old[] = {known[at].name, known[at].info};
    known[at].task = task;
    known[at].name = Py_NewRef(name);
    known[at].info = Py_NewRef(info);
    Py_XDECREF(old[0]);
    Py_XDECREF(old[1]);
    return info;
}

/* The JSON of a task whose name needs no escape and is not long. */
static PyObject *new_fragment(const void *task, PyObject *name)
{
    char room[LONGEST_NAME + 64];
    Buffer text = {room, 0, sizeof room, NULL};
    if (PUT(&text, "{\"id\":") < 0 || put_number(&text, (long long)(uintptr_t)task) < 0
        || PUT(&text, ",\"name\":\"") < 0 || put_str(&text, name) < 0 || PUT(&text, "\"}") < 0)
        return NULL;
    PyObject *fragment = PyUnicode_New(text.size, 127);
    if (fragment != NULL)
        memcpy(PyUnicode_1BYTE_DATA(fragment), text.data, (size_t)text.size);
    return fragment;
}

/* As `TaskInfo(id, name)`, for such a name. */
static PyObject *new_info(const void *task, PyObject *id, PyObject *name)
{
    static Slot of_id, of_name, of_fragment;
    PyTypeObject *type = (PyTypeObject *)capture.task_info;
    PyObject *fragment = new_fragment(task, name);
    PyObject *info = fragment == NULL ? NULL : type->tp_new(type, nothing, NULL);
    if (info != NULL
        && (set_slot(info, s_id, id, &of_id) < 0
            || set_slot(info, s_name, name, &of_name) < 0
            || set_slot(info, s_fragment, fragment, &of_fragment) < 0))
        Py_CLEAR(info);
    Py_XDECREF(fragment);
    return info;
}

PyObject *speed_task_info(PyObject *task)
{
    if (task == Py_None)
        return Py_NewRef(task);
    PyObject *name = PyObject_CallMethodNoArgs(task, s_get_name), *info;
    if (name == NULL)
        return NULL;
    size_t at = mix((size_t)task, (size_t)name) % KNOWN;
    if (known[at].task == task && known[at].name == name) {
        Py_DECREF(name);
        return Py_NewRef(known[at].info);
    }
    PyObject *id = PyLong_FromVoidPtr(task);
    if (id == NULL)
        info = NULL;
    else if (is_plain_text(name) && PyUnicode_GET_LENGTH(name) <= LONGEST_NAME)
        info = (info = new_info(task, id, name)) == NULL ? NULL : remember(at, task, name, info);
    else
        info = PyObject_CallFunctionObjArgs(capture.task_info, id, name, NULL);
    Py_XDECREF(id);
    Py_DECREF(name);
    return info;
}

int speed_init_tasks(void)
{
    static const Name names[] = {
        {&s_asyncio, "asyncio"}, {&s_tasks, "tasks"}, {&s_running_loop, "_get_running_loop"},
        {&s_current, "current_task"}, {&s_by_loop, "_current_tasks"}, {&s_get_name, "get_name"},
        {&s_name, "name"},
    };
    if (speed_intern(names, sizeof names / sizeof *names) < 0)
        return -1;
#ifdef LOOP_IS_COSTLY
    if ((s_thread_id = PyUnicode_InternFromString("_thread_id")) == NULL)
        return -1;
#endif
    return (nothing = PyTuple_New(0)) == NULL ? -1 : 0;
}
