/* The prefilter for records: otel_ext.redaction.redactor's fast check, compiled.
 *
 * It answers "surely no secret" or "Python must search"; it changes nothing in the redactor.
 */
#include "speed.h"

#define SEEN 256
#define LONGEST_SEEN 512

/* Positions in the tuple `quick` of a redactor. */
enum { R_PROCESSES, R_VERDICTS, R_CLEAN_KEY, R_CLEAN_TEXTS, R_IS_SUSPICIOUS, R_SHORTEST,
       R_LONGEST, R_LEAST_CARD, R_COUNT };

static PyObject *s_name, *s_description;
static Slot of_site, of_thread, of_task, of_id;

int speed_is_redactor(PyObject *quick)
{
    return PyTuple_CheckExact(quick) && PyTuple_GET_SIZE(quick) == R_COUNT
           && PyDict_CheckExact(PyTuple_GET_ITEM(quick, R_PROCESSES))
           && PyDict_CheckExact(PyTuple_GET_ITEM(quick, R_VERDICTS))
           && PyAnySet_CheckExact(PyTuple_GET_ITEM(quick, R_CLEAN_TEXTS));
}

static Py_ssize_t limit(PyObject *quick, int which)
{
    return PyLong_AsSsize_t(PyTuple_GET_ITEM(quick, which));
}

/* Texts and keys that were recently found clean, recognized by address, each with the object that
 * found it clean. The end of a span has the same objects as its start, and a program's constants
 * are the same objects each time. A finding never becomes invalid. */
static Seen texts[SEEN], known_texts[SEEN], keys[SEEN], processes[1];

/* All functions below return 1: surely clean, 0: not surely, -1: error. */

static int is_known(PyObject *quick, PyObject *text)
{
    PyObject *clean = PyTuple_GET_ITEM(quick, R_CLEAN_TEXTS);
    if (is_seen(known_texts, SEEN, text, clean))
        return 1;
    int known = PySet_Contains(clean, text);
    if (known == 1 && PyUnicode_CheckExact(text) && PyUnicode_GET_LENGTH(text) <= LONGEST_SEEN)
        speed_see(known_texts, SEEN, text, clean);
    return known;
}

static int is_clean_text(PyObject *quick, PyObject *text)
{
    PyObject *is_suspicious = PyTuple_GET_ITEM(quick, R_IS_SUSPICIOUS);
    Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    if (is_seen(texts, SEEN, text, is_suspicious) || size < limit(quick, R_SHORTEST))
        return 1;
    if (size > limit(quick, R_LONGEST))
        return is_known(quick, text);
    if (!speed_is_harmless(text)) {
        int known = is_known(quick, text);
        if (known)
            return known;
        PyObject *found = PyObject_CallOneArg(is_suspicious, text);
        Py_XDECREF(found);
        if (found != Py_None)
            return found == NULL ? -1 : 0;
    }
    if (size <= LONGEST_SEEN)
        speed_see(texts, SEEN, text, is_suspicious);
    return 1;
}

/* A text in an attribute of an object that many records share. */
static int is_clean_held(PyObject *quick, PyObject *holder, PyObject *name, Slot *known,
                         int must_be_known)
{
    if (holder == Py_None)
        return 1;
    PyObject *text = get_slot(holder, name, known);
    if (text == NULL)
        return -1;
    int clean = !PyUnicode_CheckExact(text) ? 0
                : must_be_known             ? is_known(quick, text)
                                            : is_clean_text(quick, text);
    Py_DECREF(text);
    return clean;
}

static int is_clean_value(PyObject *quick, PyObject *value)
{
    if (PyUnicode_CheckExact(value))
        return is_clean_text(quick, value);
    if (value == Py_None || PyBool_Check(value) || PyFloat_CheckExact(value))
        return 1;
    if (!PyLong_CheckExact(value))
        return 0;
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow < 0 || (!overflow && number < limit(quick, R_LEAST_CARD));
}

static int is_clean_key(PyObject *quick, PyObject *key)
{
    PyObject *verdicts = PyTuple_GET_ITEM(quick, R_VERDICTS);
    if (is_seen(keys, SEEN, key, verdicts))
        return 1;
    if (PyDict_GetItemWithError(verdicts, key) != PyTuple_GET_ITEM(quick, R_CLEAN_KEY))
        return PyErr_Occurred() ? -1 : 0;
    if (PyUnicode_CheckExact(key) && PyUnicode_GET_LENGTH(key) <= LONGEST_SEEN)
        speed_see(keys, SEEN, key, verdicts);
    return 1;
}

static int are_clean(PyObject *quick, PyObject *attributes)
{
    if (!PyDict_CheckExact(attributes)) {
        Py_ssize_t size = PyObject_Size(attributes);
        return size < 0 ? -1 : size == 0;
    }
    /* Searching a text runs only the expression's code, which cannot change the record's
     * dict. */
    Py_ssize_t position = 0;
    PyObject *key, *value;
    int clean = 1;
    while (clean == 1 && PyDict_Next(attributes, &position, &key, &value))
        if ((clean = is_clean_key(quick, key)) == 1)
            clean = is_clean_value(quick, value);
    return clean;
}

/* Clean only if Python has searched this process record and found no secret. */
static int is_clean_process(PyObject *quick, PyObject *process)
{
    PyObject *looked_at = PyTuple_GET_ITEM(quick, R_PROCESSES);
    if (is_seen(processes, 1, process, looked_at))
        return 1;
    PyObject *id = get_slot(process, s_id, &of_id);
    if (id == NULL)
        return -1;
    PyObject *known = PyDict_GetItemWithError(looked_at, id);
    Py_DECREF(id);
    if (known == NULL)
        return PyErr_Occurred() ? -1 : 0;
    int clean = PyTuple_Check(known) && PyTuple_GET_SIZE(known) == 2
                && PyTuple_GET_ITEM(known, 0) == process && PyTuple_GET_ITEM(known, 1) == process;
    if (clean)
        speed_see(processes, 1, process, looked_at);
    return clean;
}

static int is_clean_status(PyObject *status)
{
    if (status == Py_None || status == config.unset_status)
        return 1;
    PyObject *description = PyObject_GetAttr(status, s_description);
    if (description == NULL)
        return -1;
    int empty = PyUnicode_CheckExact(description) && PyUnicode_GET_LENGTH(description) == 0;
    Py_DECREF(description);
    return empty;
}

static int is_empty(PyObject *container)
{
    if (container == given.empty)
        return 1;
    Py_ssize_t size = PyTuple_CheckExact(container) ? PyTuple_GET_SIZE(container)
                                                    : PyObject_Size(container);
    return size < 0 ? -1 : size == 0;
}

#define FIELD(name) PyTuple_GET_ITEM(record, F_##name)

int speed_is_plain(PyObject *quick, PyObject *record)
{
    int clean = (PyObject *)Py_TYPE(record) == given.record_type
                && is_empty(FIELD(EVENTS)) == 1 && is_empty(FIELD(LINKS)) == 1
                && is_empty(FIELD(EXTRA)) == 1 && is_clean_status(FIELD(STATUS)) == 1
                && PyUnicode_CheckExact(FIELD(NAME)) && is_clean_text(quick, FIELD(NAME)) == 1
                && is_clean_held(quick, FIELD(SITE), s_fragment, &of_site, 1) == 1
                && is_clean_held(quick, FIELD(THREAD), s_name, &of_thread, 1) == 1
                && is_clean_held(quick, FIELD(TASK), s_name, &of_task, 0) == 1
                && PyUnicode_CheckExact(FIELD(LOGGER))
                && (PyUnicode_GET_LENGTH(FIELD(LOGGER)) == 0
                    || is_known(quick, FIELD(LOGGER)) == 1)
                && is_clean_process(quick, FIELD(PROCESS)) == 1
                && are_clean(quick, FIELD(ATTRIBUTES)) == 1;
    return pass_over() < 0 ? -1 : clean;
}

int speed_init_secrets(void)
{
    s_name = PyUnicode_InternFromString("name");
    s_description = PyUnicode_InternFromString("description");
    return s_name && s_description ? 0 : -1;
}
