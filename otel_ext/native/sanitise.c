/* The fast check of sanitising: otel_ext.record.sanitise.sanitiser and, with redaction,
 * otel_ext.redaction.redactor, compiled.
 *
 * It answers "safe as it is" or "Python must check"; it changes nothing but the mark of the
 * attributes.
 */
#include "span.h"

#define SEEN 256
#define LONGEST_SEEN 512
#define LONGEST_NAME 1024    /* as _LONGEST_NAME of the Python code */
#define VALUE_SIZE 8         /* likewise, those of fast_check.py */
#define ITEM_SIZE 80
#define MOST_SEARCHED 8
#define MOST_CHARACTERS 16384

/* The parts of a sanitiser: its `Known`, and the check in Python. The processes are None if it does
 * not redact. */
enum { S_PROCESSES, S_KEYS, S_CLEAN_KEY, S_TEXTS, S_IS_SUSPICIOUS, S_SEARCH, S_SHORTEST, S_LONGEST,
       S_MOST, S_IS_SAFE, S_COUNT };

/* May Python be asked about a text of this record? How much of it was searched? */
typedef struct { int may_ask; Py_ssize_t texts, characters; } Searched;

static PyObject *s_name, *s_description, *s_size;
static Slot of_call_site, of_context, of_thread, of_task, of_id, of_size;

static Py_ssize_t limit(PyObject *parts, int which)
{
    return PyLong_AsSsize_t(PyTuple_GET_ITEM(parts, which));
}

/* Texts and keys that were recently found clean, recognized by address, each with the object that
 * found it clean. The end of a span has the same objects as its start, and a program's constants
 * are the same objects each time. A finding never becomes invalid. */
static Seen texts[SEEN], known_texts[SEEN], keys[SEEN], processes[1];

/* All functions below return 1: surely clean, 0: not surely, -1: error. */

static int is_known(PyObject *parts, PyObject *text)
{
    PyObject *clean = PyTuple_GET_ITEM(parts, S_TEXTS);
    if (is_seen(known_texts, SEEN, text, clean))
        return 1;
    int known = PySet_Contains(clean, text);
    if (known == 1 && PyUnicode_CheckExact(text) && PyUnicode_GET_LENGTH(text) <= LONGEST_SEEN)
        speed_see(known_texts, SEEN, text, clean);
    return known;
}

/* The bytes of a text in UTF-8; -1 with an error if it has a lone surrogate. */
static Py_ssize_t utf8_size(PyObject *text)
{
    if (PyUnicode_IS_COMPACT_ASCII(text))
        return PyUnicode_GET_LENGTH(text);
    PyObject *bytes = PyUnicode_AsUTF8String(text);    /* the text itself keeps no copy */
    Py_ssize_t size = bytes == NULL ? -1 : PyBytes_GET_SIZE(bytes);
    Py_XDECREF(bytes);
    return size;
}

static int redacts(PyObject *parts)
{
    return PyTuple_GET_ITEM(parts, S_PROCESSES) != Py_None;
}

/* 1: Python's search finds no secret in the text. */
static int is_clean_by_search(PyObject *parts, PyObject *text, Searched *searched)
{
    searched->texts++;
    searched->characters += PyUnicode_GET_LENGTH(text);
    if (searched->texts > MOST_SEARCHED || searched->characters > MOST_CHARACTERS)
        return 0;
    PyObject *clean = PyObject_CallOneArg(PyTuple_GET_ITEM(parts, S_SEARCH), text);
    Py_XDECREF(clean);
    return clean == NULL ? -1 : clean == Py_True;
}

static int is_not_suspicious(PyObject *parts, PyObject *text)
{
    PyObject *found = PyObject_CallOneArg(PyTuple_GET_ITEM(parts, S_IS_SUSPICIOUS), text);
    Py_XDECREF(found);
    return found == NULL ? -1 : found == Py_None;
}

/* `searched` may be NULL: then nothing is searched. */
static int is_clean_text(PyObject *parts, PyObject *text, Searched *searched)
{
    if (!redacts(parts))
        return 1;
    PyObject *by = PyTuple_GET_ITEM(parts, S_IS_SUSPICIOUS);
    Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    if (is_seen(texts, SEEN, text, by) || size < limit(parts, S_SHORTEST))
        return 1;
    if (size > limit(parts, S_LONGEST))
        return is_known(parts, text);
    int clean = speed_is_harmless(text) ? 1 : is_known(parts, text);
    if (clean == 0 && searched != NULL && !searched->may_ask)
        return 0;
    if (clean == 0 && (searched == NULL || !PyUnicode_IS_COMPACT_ASCII(text)))
        clean = is_not_suspicious(parts, text);
    if (clean == 0 && searched != NULL)
        clean = is_clean_by_search(parts, text, searched);
    if (clean == 1 && size <= LONGEST_SEEN)
        speed_see(texts, SEEN, text, by);
    return clean;
}

/* A text in an attribute of an object that many records share. */
static int is_clean_held(PyObject *parts, PyObject *holder, PyObject *name, Slot *known,
                         int must_be_known)
{
    if (holder == Py_None)
        return 1;
    PyObject *text = get_slot(holder, name, known);
    if (text == NULL)
        return -1;
    int clean = !PyUnicode_CheckExact(text) ? 0
                : must_be_known             ? is_known(parts, text)
                                            : is_clean_text(parts, text, NULL);
    Py_DECREF(text);
    return clean;
}

static int is_safe_number(PyObject *parts, PyObject *value)
{
    int overflow, unbounded;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    long long most = PyLong_AsLongLongAndOverflow(PyTuple_GET_ITEM(parts, S_MOST), &unbounded);
    return !overflow && (unbounded || number <= most);
}

/* Adds the bytes of the text to `size`. */
static int is_safe_text(PyObject *parts, PyObject *text, Py_ssize_t *size, Searched *searched)
{
    Py_ssize_t most = limit(parts, S_LONGEST);
    Py_ssize_t bytes = PyUnicode_GET_LENGTH(text) > most ? most + 1 : utf8_size(text);
    *size += bytes;
    return bytes < 0 ? -1 : *size > most ? 0 : is_clean_text(parts, text, searched);
}

static int is_safe_value(PyObject *parts, PyObject *value, Py_ssize_t *size, Searched *searched)
{
    if (PyUnicode_CheckExact(value))
        return is_safe_text(parts, value, size, searched);
    if (PyFloat_CheckExact(value)) {
        double number = PyFloat_AS_DOUBLE(value);
        return number - number == 0.0;    /* not NaN, nor infinite */
    }
    if (PyLong_CheckExact(value))
        return is_safe_number(parts, value);
    return value == Py_None || PyBool_Check(value);
}

static int is_clean_key(PyObject *parts, PyObject *key)
{
    PyObject *verdicts = PyTuple_GET_ITEM(parts, S_KEYS);
    if (is_seen(keys, SEEN, key, verdicts))
        return 1;
    if (!PyUnicode_CheckExact(key))
        return 0;
    if (PyDict_GetItemWithError(verdicts, key) != PyTuple_GET_ITEM(parts, S_CLEAN_KEY))
        return PyErr_Occurred() ? -1 : 0;
    if (PyUnicode_GET_LENGTH(key) <= LONGEST_SEEN)
        speed_see(keys, SEEN, key, verdicts);
    return 1;
}

/* Of the items from `position` on; adds their size to that of the others. */
static int are_safe_items(PyObject *parts, PyObject *attributes, Py_ssize_t position,
                          Py_ssize_t *total, Searched *searched)
{
    Py_ssize_t size = *total;
    PyObject *key, *value;
    int safe = 1;
    /* Searching a text runs Python code, during which another thread may change the dict: the
     * items are held, and a dict whose size changes is not safe. */
    Py_ssize_t items = PyDict_GET_SIZE(attributes);
    while (safe == 1 && PyDict_Next(attributes, &position, &key, &value)) {
        Py_INCREF(key);
        Py_INCREF(value);
        if ((safe = is_clean_key(parts, key)) == 1) {
            size += PyUnicode_GET_LENGTH(key) + VALUE_SIZE;
            safe = is_safe_value(parts, value, &size, searched);
        }
        Py_DECREF(key);
        Py_DECREF(value);
        if (safe == 1 && PyDict_GET_SIZE(attributes) != items)
            safe = 0;
    }
    *total = size;
    return safe == 1 ? size <= limit(parts, S_LONGEST) : safe;
}

/* Marks the attributes if they are safe, and adds their size to `total`. */
static int are_safe(PyObject *parts, PyObject *attributes, Py_ssize_t *total, Searched *searched)
{
    Py_ssize_t size = 0;
    int safe = Py_IS_TYPE(attributes, (PyTypeObject *)capture.attributes_type)
                   ? are_safe_items(parts, attributes, 0, &size, searched) : 0;
    if (safe != 1)
        return safe;
    PyObject *number = PyLong_FromSsize_t(size);
    int marked = number == NULL ? -1 : set_slot(attributes, s_size, number, &of_size);
    Py_XDECREF(number);
    *total += size;
    return marked < 0 ? -1 : 1;
}

/* The links or events of a record; both have their attributes at the same place. */
static int are_safe_parts(PyObject *parts, PyObject *items, int are_events, Searched *searched)
{
    Py_ssize_t size = 0, count = PyTuple_CheckExact(items) ? PyTuple_GET_SIZE(items) : -1;
    int safe = count >= 0;
    for (Py_ssize_t i = 0; safe == 1 && i < count; i++) {
        PyObject *item = PyTuple_GET_ITEM(items, i);
        if (!is_tuple_of(item, are_events ? EVENT_COUNT : LINK_COUNT))
            return 0;
        PyObject *name = PyTuple_GET_ITEM(item, E_NAME);
        size += ITEM_SIZE;
        if (are_events)
            safe = PyUnicode_CheckExact(name) ? is_safe_text(parts, name, &size, searched) : 0;
        else
            safe = is_clean_held(parts, PyTuple_GET_ITEM(item, L_CONTEXT), s_fragment, &of_context,
                                 0);
        if (safe == 1)
            safe = are_safe(parts, PyTuple_GET_ITEM(item, E_ATTRIBUTES), &size, searched);
    }
    return safe == 1 ? size <= limit(parts, S_LONGEST) : safe;
}

/* Clean only if Python has searched this process record and found no secret. */
static int is_clean_process(PyObject *parts, PyObject *process)
{
    PyObject *clean_processes = PyTuple_GET_ITEM(parts, S_PROCESSES);
    if (is_seen(processes, 1, process, clean_processes))
        return 1;
    PyObject *id = get_slot(process, s_id, &of_id);
    if (id == NULL)
        return -1;
    PyObject *known = PyDict_GetItemWithError(clean_processes, id);
    Py_DECREF(id);
    if (known == NULL)
        return PyErr_Occurred() ? -1 : 0;
    int clean = PyTuple_Check(known) && PyTuple_GET_SIZE(known) == 2
                && PyTuple_GET_ITEM(known, 1) == process;
    if (clean)
        speed_see(processes, 1, process, clean_processes);
    return clean;
}

static int is_clean_status(PyObject *parts, PyObject *status, Searched *searched)
{
    if (status == Py_None || status == config.unset_status)
        return 1;
    PyObject *description = PyObject_GetAttr(status, s_description);
    if (description == NULL)
        return -1;
    Py_ssize_t size = 0;
    int clean = !PyUnicode_CheckExact(description)           ? 0
                : PyUnicode_GET_LENGTH(description) == 0 ? 1
                    : is_safe_text(parts, description, &size, searched);
    Py_DECREF(description);
    return clean;
}

static int is_empty(PyObject *container)
{
    if (container == capture.empty)
        return 1;
    Py_ssize_t size = PyTuple_CheckExact(container) ? PyTuple_GET_SIZE(container)
                                                    : PyObject_Size(container);
    return size < 0 ? -1 : size == 0;
}

/* A name beside the user's data, for a sanitiser that does not redact. */
static int is_plain_name(PyObject *name)
{
    return PyUnicode_CheckExact(name) && PyUnicode_GET_LENGTH(name) <= LONGEST_NAME
           && utf8_size(name) >= 0;
}

/* Is a name empty, or was it found clean? */
static int is_empty_or_known(PyObject *parts, PyObject *name)
{
    return PyUnicode_CheckExact(name)
           && (PyUnicode_GET_LENGTH(name) == 0 || is_known(parts, name) == 1);
}

static int has_safe_names(PyObject *parts, Fields of)
{
    if (!redacts(parts))
        return is_plain_name(of[F_NAME]) && is_plain_name(of[F_LOGGER])
               && is_plain_name(of[F_LEVEL]);
    return PyUnicode_CheckExact(of[F_NAME]) && utf8_size(of[F_NAME]) >= 0
           && is_clean_text(parts, of[F_NAME], NULL) == 1
           && is_clean_held(parts, of[F_CALL_SITE], s_fragment, &of_call_site, 1) == 1
           && is_clean_held(parts, of[F_THREAD], s_name, &of_thread, 1) == 1
           && is_clean_held(parts, of[F_TASK], s_name, &of_task, 0) == 1
           && is_clean_held(parts, of[F_CONTEXT], s_fragment, &of_context, 0) == 1
           && is_empty_or_known(parts, of[F_LOGGER]) && is_empty_or_known(parts, of[F_LEVEL])
           && is_clean_process(parts, of[F_PROCESS]) == 1;
}

static int is_safe_beside_attributes(PyObject *parts, Fields of, Searched *searched)
{
    return is_empty(of[F_EXTRA]) == 1 && has_safe_names(parts, of)
           && is_clean_status(parts, of[F_STATUS], searched) == 1
           && are_safe_parts(parts, of[F_EVENTS], 1, searched) == 1
           && are_safe_parts(parts, of[F_LINKS], 0, searched) == 1;
}

static PyObject *check(PyObject *parts, PyObject *record)
{
    Searched searched = {1, 0, 0};
    Py_ssize_t size = 0;
    int safe = is_record(record)
               && is_safe_beside_attributes(parts, fields_of(record), &searched)
               && are_safe(parts, fields_of(record)[F_ATTRIBUTES], &size, &searched) == 1;
    if (pass_over() < 0)
        return NULL;
    if (safe)
        Py_RETURN_TRUE;
    /* Python may know more, and remembers what it finds. */
    return PyObject_CallOneArg(PyTuple_GET_ITEM(parts, S_IS_SAFE), record);
}

static int is_check(PyObject *callable)
{
    return PyCFunction_CheckExact(callable) && PyCFunction_GET_FUNCTION(callable) == check;
}

int speed_is_safe_beside_attributes(PyObject *check, Fields of)
{
    Searched searched = {1, 0, 0};
    return is_check(check)
           && is_safe_beside_attributes(PyCFunction_GET_SELF(check), of, &searched);
}

int speed_has_safe_attributes(PyObject *check, PyObject *attributes, Py_ssize_t position,
                              Py_ssize_t *size)
{
    Searched nothing = {0, 0, 0};
    return are_safe_items(PyCFunction_GET_SELF(check), attributes, position, size, &nothing) == 1;
}

static PyMethodDef check_method = {"check", check, METH_O, "Is a record safe as it is?"};

static int are_parts(PyObject *const *parts)
{
    int redacts = parts[S_PROCESSES] != Py_None;
    if (!PyDict_CheckExact(parts[S_KEYS])
        || (redacts && !PyDict_CheckExact(parts[S_PROCESSES])))
        PyErr_SetString(PyExc_TypeError, "keys, processes: dicts");
    else if (redacts && !PyAnySet_CheckExact(parts[S_TEXTS]))
        PyErr_SetString(PyExc_TypeError, "texts: a set");
    else if (!PyLong_CheckExact(parts[S_SHORTEST]) || !PyLong_CheckExact(parts[S_LONGEST])
             || !PyLong_CheckExact(parts[S_MOST]))
        PyErr_SetString(PyExc_TypeError, "shortest, longest, most: whole numbers");
    return !PyErr_Occurred();
}

PyObject *speed_bind_check(PyObject *Py_UNUSED(module), KEYWORDS)
{
    static const char *const names[S_COUNT] = {"processes", "keys", "clean_key", "texts",
                                               "is_suspicious", "search", "shortest",
                                               "longest", "most", "is_safe"};
    PyObject *parts[S_COUNT];
    if (TAKE_KEYWORDS(names, parts) < 0 || !are_parts(parts))
        return NULL;
    PyObject *all = speed_tuple(parts, S_COUNT);
    PyObject *bound = all == NULL ? NULL : PyCFunction_New(&check_method, all);
    Py_XDECREF(all);
    return bound;
}

int speed_init_sanitise(void)
{
    static const Name names[] = {
        {&s_name, "name"}, {&s_description, "description"}, {&s_size, "size"},
    };
    return speed_intern(names, sizeof names / sizeof *names);
}
