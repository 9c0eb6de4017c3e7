/* Where the user's code opened a span: otel_ext.record.callsite, compiled. */
#include "speed.h"

#define SITES 1024
#define PASSED 512

/* Places by code object and instruction. The code is held weakly, by `ref`: programs that make
 * code anew each time must be able to let go of it. */
static struct { PyObject *code, *ref, *site; int lasti; } sites[SITES];
static PyObject *passed[PASSED];

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
    return (((size_t)code >> 4) ^ (size_t)lasti * 31) % SITES;
}

static void set_site(size_t slot, PyObject *code, int lasti, PyObject *ref, PyObject *site)
{
    PyObject *old[] = {sites[slot].ref, sites[slot].site};
    sites[slot].code = code;
    sites[slot].lasti = lasti;
    sites[slot].ref = ref;
    sites[slot].site = site;
    Py_XDECREF(old[0]);
    Py_XDECREF(old[1]);
}

/* Called when code has died, before another object can come to its address. */
static PyObject *forget_site(PyObject *slot, PyObject *ref)
{
    size_t at = PyLong_AsSize_t(slot);
    if (at < SITES && sites[at].ref == ref)
        set_site(at, NULL, 0, NULL, NULL);
    Py_RETURN_NONE;
}

static PyMethodDef forget_method = {"forget", forget_site, METH_O, "Let go of one place."};

/* 0, or -1 with an error. */
static int remember_site(PyObject *code, int lasti, PyObject *site)
{
    size_t slot = slot_for((PyCodeObject *)code, lasti);
    PyObject *number = PyLong_FromSize_t(slot);
    PyObject *forget = number == NULL ? NULL : PyCFunction_New(&forget_method, number);
    PyObject *ref = forget == NULL ? NULL : PyWeakref_NewRef(code, forget);
    Py_XDECREF(number);
    Py_XDECREF(forget);
    if (ref == NULL)
        return -1;
    set_site(slot, code, lasti, ref, Py_NewRef(site));
    return 0;
}

/* The site of one frame: remembered by code object and instruction. */
static PyObject *site_of(PyFrameObject *frame, PyCodeObject *code)
{
    int lasti = last_instruction(frame);
    if (lasti == -1 && PyErr_Occurred())
        return NULL;
    size_t slot = slot_for(code, lasti);
    if (sites[slot].code == (PyObject *)code && sites[slot].lasti == lasti)
        return Py_NewRef(sites[slot].site);
    PyObject *site = PyObject_CallOneArg(given.remember, (PyObject *)frame);
    if (site != NULL && remember_site((PyObject *)code, lasti, site) < 0)
        Py_CLEAR(site);
    return site;
}

/* 1: only carries the call through, 0: the user's own, -1: error. */
static int is_passed(PyCodeObject *code)
{
    PyObject *known = PyDict_GetItemWithError(given.is_passed, code->co_filename);
    if (known != NULL)
        return known == Py_True;
    if (PyErr_Occurred())
        return -1;
    PyObject *judged = PyObject_CallOneArg(given.judge, code->co_filename);
    if (judged == NULL)
        return -1;
    int passed = judged == Py_True;
    Py_DECREF(judged);
    return passed;
}

static size_t passed_at(PyCodeObject *code)
{
    return ((size_t)code >> 4) % PASSED;
}

/* Remembers code that only carries calls through. */
static void pass(PyCodeObject *code)
{
    PyObject *old = passed[passed_at(code)];
    passed[passed_at(code)] = Py_NewRef((PyObject *)code);
    Py_XDECREF(old);
}

/* The site, if it is remembered; no frame object is made on the way. NULL without an error.
 * `depth`: how many frames are passed without a look. */
static PyObject *find_known_site(int depth)
{
    int lasti;
    for (void *frame = speed_top_frame(); frame != NULL; frame = speed_frame_below(frame)) {
        if (depth-- > 0)
            continue;
        PyCodeObject *code = speed_frame_code(frame, &lasti);
        if (passed[passed_at(code)] == (PyObject *)code)
            continue;
        size_t slot = slot_for(code, lasti);
        return sites[slot].code == (PyObject *)code && sites[slot].lasti == lasti
                   ? Py_NewRef(sites[slot].site) : NULL;
    }
    return NULL;
}

static PyFrameObject *frame_below(PyFrameObject *frame)
{
    PyFrameObject *back = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    return back;
}

static PyObject *find_site(int depth)
{
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    while (frame != NULL && depth-- > 0)
        frame = frame_below(frame);
    while (frame != NULL) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        int carries = is_passed(code);
        PyObject *site = carries == 0 ? site_of(frame, code) : NULL;
        if (carries == 1)
            pass(code);
        Py_DECREF(code);
        if (carries != 1) {
            Py_DECREF(frame);
            return site;
        }
        frame = frame_below(frame);
    }
    PyErr_SetString(PyExc_LookupError, "no frame of the user's");
    return NULL;
}

PyObject *speed_site_at(int depth)
{
    PyObject *known = find_known_site(depth);
    return known != NULL ? known : find_site(depth);
}

PyObject *speed_site_for(PyObject *attributes)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given.code_keys); i++) {
        int found = PyDict_Contains(attributes, PyTuple_GET_ITEM(given.code_keys, i));
        if (found < 0)
            return NULL;
        if (found) {
            PyObject *site = PyObject_CallOneArg(given.site_from_attributes, attributes);
            if (site != Py_None)
                return site;
            Py_DECREF(site);
        }
    }
    return speed_site_at(0);
}
