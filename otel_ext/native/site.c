/* Where the user's code opened a span: otel_ext.record.callsite, compiled. */
#include "speed.h"

#define SITES 1024

static struct { PyObject *code, *site; int lasti; } sites[SITES];

static int last_instruction(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyFrame_GetLasti(frame);
#else
    PyObject *value = PyObject_GetAttrString((PyObject *)frame, "f_lasti");
    long lasti = value == NULL ? -1 : PyLong_AsLong(value);
    Py_XDECREF(value);
    PyErr_Clear();
    return (int)lasti;
#endif
}

/* The site of one frame: remembered by code object and instruction. */
static PyObject *site_of(PyFrameObject *frame, PyCodeObject *code)
{
    int lasti = last_instruction(frame);
    size_t slot = (((size_t)code >> 4) ^ (size_t)lasti * 31) % SITES;
    if (sites[slot].code == (PyObject *)code && sites[slot].lasti == lasti) {
        Py_INCREF(sites[slot].site);
        return sites[slot].site;
    }
    PyObject *site = PyObject_CallOneArg(given.remember, (PyObject *)frame);
    if (site == NULL)
        return NULL;
    PyObject *old_code = sites[slot].code, *old_site = sites[slot].site;
    Py_INCREF(code);
    Py_INCREF(site);
    sites[slot].code = (PyObject *)code;
    sites[slot].site = site;
    sites[slot].lasti = lasti;
    Py_XDECREF(old_code);
    Py_XDECREF(old_site);
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

static PyObject *find_site(void)
{
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    while (frame != NULL) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        int passed = is_passed(code);
        PyObject *site = passed == 0 ? site_of(frame, code) : NULL;
        Py_DECREF(code);
        if (passed != 1) {
            Py_DECREF(frame);
            return site;
        }
        PyFrameObject *back = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    PyErr_SetString(PyExc_LookupError, "no frame of the user's");
    return NULL;
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
    return find_site();
}
