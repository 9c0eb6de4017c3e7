/* Finds the line of user code that opened a span: otel_ext.record.call_site, compiled. */
#include "speed.h"

#define CALL_SITES 1024
#define FILES 1024
#define MOST_FRAMES 250    /* as _MAX_FRAMES of call_site.py */

/* The kinds of files, as in otel_ext.record.own_code. */
enum { UNJUDGED = -1, OWN, CARRIER, FOREIGN, INSTRUMENTING, LOOP };

/* Caches call sites by code object and instruction. `ref` holds the code weakly, so that programs
 * that make new code each time can release it. */
static struct { PyObject *code, *ref, *call_site; int lasti; } call_sites[CALL_SITES];

/* Caches the kinds of files by file name, a text that all code objects of a module share. */
static struct { PyObject *name; int verdict; } files[FILES];

static int last_instruction(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyFrame_GetLasti(frame);
#else
    PyObject *value = PyObject_GetAttrString((PyObject *)frame, "f_lasti");
    long lasti = value == NULL ? -1 : PyLong_AsLong(value);    /* -1 also before the first one */
    Py_XDECREF(value);
    return (int)lasti;
#endif
}

static size_t slot_for(PyCodeObject *code, int lasti)
{
    return (((size_t)code >> 4) ^ (size_t)lasti * 31) % CALL_SITES;
}

/* The cached call site; NULL without an error if it is not cached. */
static PyObject *known_call_site(PyCodeObject *code, int lasti)
{
    size_t slot = slot_for(code, lasti);
    return call_sites[slot].code == (PyObject *)code && call_sites[slot].lasti == lasti
               ? Py_NewRef(call_sites[slot].call_site) : NULL;
}

static void set_call_site(size_t slot, PyObject *code, int lasti, PyObject *ref,
                          PyObject *call_site)
{
    PyObject *old[] = {call_sites[slot].ref, call_sites[slot].call_site};
    call_sites[slot].code = code;
    call_sites[slot].lasti = lasti;
    call_sites[slot].ref = ref;
    call_sites[slot].call_site = call_site;
    Py_XDECREF(old[0]);
    Py_XDECREF(old[1]);
}

/* Called when a code object dies, before its address can be reused. */
static PyObject *forget_call_site(PyObject *slot, PyObject *ref)
{
    size_t at = PyLong_AsSize_t(slot);
    if (at < CALL_SITES && call_sites[at].ref == ref)
        set_call_site(at, NULL, 0, NULL, NULL);
    Py_RETURN_NONE;
}

static PyMethodDef forget_method = {"forget", forget_call_site, METH_O,
                                    "Release one cached call site."};

/* 0, or -1 with an error. */
static int remember_call_site(PyObject *code, int lasti, PyObject *call_site)
{
    size_t slot = slot_for((PyCodeObject *)code, lasti);
    PyObject *number = PyLong_FromSize_t(slot);
    PyObject *forget = number == NULL ? NULL : PyCFunction_New(&forget_method, number);
    PyObject *ref = forget == NULL ? NULL : PyWeakref_NewRef(code, forget);
    Py_XDECREF(number);
    Py_XDECREF(forget);
    if (ref == NULL)
        return -1;
    set_call_site(slot, code, lasti, ref, Py_NewRef(call_site));
    return 0;
}

/* The call site of one frame, cached by code object and instruction. */
static PyObject *call_site_of(PyFrameObject *frame)
{
    int lasti = last_instruction(frame);
    if (lasti == -1 && PyErr_Occurred())
        return NULL;
    PyCodeObject *code = PyFrame_GetCode(frame);
    PyObject *call_site = known_call_site(code, lasti);
    if (call_site == NULL
        && (call_site = PyObject_CallOneArg(capture.remember, (PyObject *)frame)) != NULL
        && remember_call_site((PyObject *)code, lasti, call_site) < 0)
        Py_CLEAR(call_site);
    Py_DECREF(code);
    return call_site;
}

static void remember_verdict(size_t at, PyObject *name, int verdict)
{
    PyObject *old = files[at].name;
    files[at].name = Py_NewRef(name);
    files[at].verdict = verdict;
    Py_XDECREF(old);
}

/* The kind of the code's file; UNJUDGED is an error. */
static int verdict_on(PyCodeObject *code)
{
    PyObject *name = code->co_filename;
    size_t at = ((size_t)name >> 4) % FILES;
    if (files[at].name == name)
        return files[at].verdict;
    PyObject *judged = PyUnicode_CheckExact(name) ? PyDict_GetItemWithError(capture.judged, name)
                                                  : NULL;
    int is_known = judged != NULL;
    if (is_known)
        Py_INCREF(judged);
    else if (!PyErr_Occurred())
        judged = PyObject_CallOneArg(capture.judge, name);
    int verdict = judged == NULL ? UNJUDGED : (int)PyLong_AsLong(judged);
    Py_XDECREF(judged);
    if (is_known && verdict != UNJUDGED)
        remember_verdict(at, name, verdict);
    return verdict;
}

static PyFrameObject *frame_below(PyFrameObject *frame)
{
    PyFrameObject *back = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    return back;
}

/* The frame that decides, from `frame` outwards: the first one of the program's own code, or that
 * which opened the span for it. NULL without an error if no frame decides. Takes the reference.
 * `is_served`: only the code that called OpenTelemetry itself is considered. */
static PyFrameObject *deciding_frame(PyFrameObject *frame, int is_served)
{
    PyFrameObject *opener = NULL;
    int undecided = 1;
    for (int left = MOST_FRAMES; frame != NULL && left > 0; left--) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        int verdict = verdict_on(code);
        Py_DECREF(code);
        if (verdict == OWN) {
            Py_XDECREF(opener);
            return frame;
        }
        if (verdict == UNJUDGED || verdict == LOOP)
            break;
        if (undecided && verdict != CARRIER) {
            undecided = 0;
            if (verdict == FOREIGN)
                opener = (PyFrameObject *)Py_NewRef((PyObject *)frame);
            if (is_served)
                break;
        }
        frame = frame_below(frame);
    }
    Py_XDECREF(frame);
    if (PyErr_Occurred())
        Py_CLEAR(opener);
    return opener;
}

PyObject *speed_call_site_at(int depth, int is_served)
{
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    while (frame != NULL && depth-- > 0)
        frame = frame_below(frame);
    if (frame == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_LookupError, "the stack has no such frame");
        return NULL;
    }
    PyFrameObject *found = deciding_frame(frame, is_served);
    if (found == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(capture.unknown_call_site);
    PyObject *call_site = call_site_of(found);
    Py_DECREF(found);
    return call_site;
}

PyObject *speed_call_site_for(PyObject *attributes, int is_served)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(capture.code_keys); i++) {
        int found = PyDict_Contains(attributes, PyTuple_GET_ITEM(capture.code_keys, i));
        if (found < 0)
            return NULL;
        if (found) {
            PyObject *call_site = PyObject_CallOneArg(capture.call_site_from_attributes,
                                                      attributes);
            if (call_site != Py_None)
                return call_site;
            Py_DECREF(call_site);
        }
    }
    return speed_call_site_at(0, is_served);
}

/* Call site, thread and task of the code that logs. */
PyObject *speed_here(PyObject *Py_UNUSED(module), PyObject *depth)
{
    if (need(capture.here) < 0)
        return NULL;
    PyObject *call_site = NULL, *thread = NULL, *info = NULL, *all = NULL;
    long frames = PyLong_AsLong(depth);
    PyObject *task = frames < 0 || frames > INT_MAX ? NULL : speed_current_task();
    if (task != NULL
        && (call_site = speed_call_site_at((int)frames - 1, 0)) != NULL    /* C code has no frame */
        && (thread = speed_thread_info()) != NULL)
        info = speed_task_info(task);
    if (info != NULL)
        all = PyTuple_Pack(3, call_site, thread, info);
    Py_XDECREF(task);
    Py_XDECREF(call_site);
    Py_XDECREF(thread);
    Py_XDECREF(info);
    if (all == NULL)
        return pass_over() < 0 ? NULL : PyObject_CallOneArg(capture.here, depth);
    return all;
}
