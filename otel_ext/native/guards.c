/* The hooks that the SDK calls, as guarded methods of the processor's class.
 *
 * As `on_start` and `on_end` of otel_ext.processors.lifecycle, without a Python frame.
 */
#include "speed.h"

#define MOST_LATE 10000    /* as _MAX_LATE of the processor */

static PyObject *s_note_loss, *s_span, *s_parent_context, *s_late;
static PyObject *start_is_lost, *end_is_lost;

/* The argument `span`, borrowed, by position or by name; `other` may be passed too. */
static PyObject *span_in(PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject *other)
{
    PyObject *span = count > 0 ? args[0] : NULL;
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    int too_many = count + named > (other == NULL ? 1 : 2);
    for (Py_ssize_t i = 0; i < named && !too_many; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (other != NULL && PyUnicode_Compare(name, other) == 0)
            too_many = count > 1;
        else if (span == NULL && PyUnicode_Compare(name, s_span) == 0)
            span = args[count + i];
        else
            too_many = 1;
    }
    if (span == NULL || too_many)
        PyErr_SetString(PyExc_TypeError, other == NULL ? "on_end(span)"
                                                       : "on_start(span, parent_context=None)");
    return too_many ? NULL : span;
}

/* Leaves a span to the worker, since this thread has no stack left for a call. */
static PyObject *leave_to_worker(PyObject *self, PyObject *span, PyObject *what)
{
    PyErr_Clear();
    PyObject *late = PyObject_GetAttr(self, s_late);
    PyObject *item = late == NULL ? NULL : PyTuple_Pack(2, span, what);
    int failed = item == NULL || !PyList_CheckExact(late)
                 || (PyList_GET_SIZE(late) < MOST_LATE && PyList_Append(late, item) < 0);
    Py_XDECREF(late);
    Py_XDECREF(item);
    return failed && pass_over() < 0 ? NULL : Py_NewRef(Py_None);
}

/* Runs a hook's steps; reports what they raise to the processor. */
static PyObject *guarded(PyObject *(*steps)(PyObject *, PyObject *const *, Py_ssize_t),
                         PyObject *self, PyObject *span, PyObject *what)
{
    PyObject *of[] = {self, span};
    if (span == NULL)
        return NULL;
    PyObject *done = steps(NULL, of, 2);
    if (done != NULL)
        return done;
    if (!PyErr_ExceptionMatches(PyExc_RecursionError)) {
        done = speed_note_loss(self, s_note_loss, what);
        if (done != NULL || !PyErr_ExceptionMatches(PyExc_RecursionError))
            return done;
    }
    return leave_to_worker(self, span, what);
}

static PyObject *on_start(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *span = span_in(args, count, names, s_parent_context);
    return guarded(speed_begin_span, self, span, start_is_lost);
}

static PyObject *on_end(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    return guarded(speed_end_span, self, span_in(args, count, names, NULL), end_is_lost);
}

static PyMethodDef hooks[] = {
    {"on_start", (PyCFunction)(void (*)(void))on_start, METH_FASTCALL | METH_KEYWORDS,
     "on_start($self, span, parent_context=None)\n--\n\n"
     "Export the start record of `span`; called by the SDK on the user's thread."},
    {"on_end", (PyCFunction)(void (*)(void))on_end, METH_FASTCALL | METH_KEYWORDS,
     "on_end($self, span)\n--\n\n"
     "Export the final record of `span`; called by the SDK on the user's thread."},
};

/* `hooks_for(cls, message for a lost start, message for a lost end)`: the methods by name. */
PyObject *speed_hooks_for(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *type, *start, *end, *methods = PyDict_New();
    if (methods == NULL || !PyArg_ParseTuple(args, "O!UU", &PyType_Type, &type, &start, &end))
        goto failed;
    Py_XSETREF(start_is_lost, Py_NewRef(start));
    Py_XSETREF(end_is_lost, Py_NewRef(end));
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
        PyObject *method = PyDescr_NewMethod((PyTypeObject *)type, &hooks[i]);
        int failed = method == NULL || PyDict_SetItemString(methods, hooks[i].ml_name, method) < 0;
        Py_XDECREF(method);
        if (failed)
            goto failed;
    }
    return methods;
failed:
    Py_XDECREF(methods);
    return NULL;
}

int speed_init_guards(void)
{
    s_note_loss = PyUnicode_InternFromString("_note_loss");
    s_span = PyUnicode_InternFromString("span");
    s_parent_context = PyUnicode_InternFromString("parent_context");
    s_late = PyUnicode_InternFromString("_late");
    return s_note_loss && s_span && s_parent_context && s_late ? 0 : -1;
}
