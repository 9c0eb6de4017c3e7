/* Writes a record's relations: parent, scope, thread, task. */
#include "speed.h"

static Slot of_scope, of_thread, of_task, of_context;

#define TOGETHER 64
#define LONGEST_TOGETHER 384

int has_text(PyObject *text)
{
    if (PyUnicode_CheckExact(text))
        return PyUnicode_GET_LENGTH(text) > 0;
    PyErr_SetString(PyExc_TypeError, "a field that must be text is not");
    return -1;
}

int put_str(Buffer *buffer, PyObject *text)
{
    Py_ssize_t size;
    if (PyUnicode_CheckExact(text) && PyUnicode_IS_COMPACT_ASCII(text))
        return put(buffer, (const char *)PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text));
    const char *data = has_text(text) < 0 ? NULL : PyUnicode_AsUTF8AndSize(text, &size);
    return data == NULL ? -1 : put(buffer, data, size);
}

/* Writes a text and releases the caller's reference; NULL is an error. */
static int put_owned(Buffer *buffer, PyObject *text)
{
    int result = text == NULL ? -1 : put_str(buffer, text);
    Py_XDECREF(text);
    return result;
}

int put_called(Buffer *buffer, PyObject *function, PyObject *argument)
{
    return put_owned(buffer, PyObject_CallOneArg(function, argument));
}

int put_attribute(Buffer *buffer, PyObject *holder, PyObject *name, Slot *known)
{
    return put_owned(buffer, get_slot(holder, name, known));
}

int put_fragment(Buffer *b, const char *key, PyObject *holder, Slot *known)
{
    if (holder == Py_None)
        return 0;
    if (put(b, key, (Py_ssize_t)strlen(key)) < 0)
        return -1;
    return put_attribute(b, holder, s_fragment, known);
}

static int put_text_in_quotes(Buffer *b, const char *key, PyObject *text)
{
    int there = has_text(text);
    if (there <= 0)
        return there;
    if (put(b, key, (Py_ssize_t)strlen(key)) < 0 || put_str(b, text) < 0)
        return -1;
    return PUT(b, "\"");
}

/* Caches kind, scope and thread as they were last written; most spans share them. */
static struct {
    PyObject *kind, *scope, *thread;
    Py_ssize_t size;
    char text[LONGEST_TOGETHER];
} together[TOGETHER];

static void remember_together(size_t at, PyObject *kind, PyObject *scope, PyObject *thread,
                              const char *text, Py_ssize_t size)
{
    PyObject *old[] = {together[at].kind, together[at].scope, together[at].thread};
    together[at].kind = Py_NewRef(kind);
    together[at].scope = Py_NewRef(scope);
    together[at].thread = Py_NewRef(thread);
    together[at].size = size;
    memcpy(together[at].text, text, (size_t)size);
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        Py_XDECREF(old[i]);
}

static int put_together(Buffer *b, PyObject *kind, PyObject *scope, PyObject *thread)
{
    size_t at = mix((size_t)scope ^ (size_t)kind, (size_t)thread) % TOGETHER;
    if (together[at].kind == kind && together[at].scope == scope && together[at].thread == thread)
        return put(b, together[at].text, together[at].size);
    Py_ssize_t begin = b->size;
    if (put_text_in_quotes(b, ",\"span_kind\":\"", kind) < 0
        || put_fragment(b, ",\"scope\":", scope, &of_scope) < 0
        || put_fragment(b, ",\"thread\":", thread, &of_thread) < 0)
        return -1;
    if (b->size - begin <= LONGEST_TOGETHER)
        remember_together(at, kind, scope, thread, b->data + begin, b->size - begin);
    return 0;
}

static int put_parent(Buffer *b, PyObject *parent)
{
    int there = PyLong_CheckExact(parent) ? 1 : has_text(parent);
    if (there <= 0)
        return there;
    return PUT(b, ",\"parent_span_id\":\"") < 0 || put_id(b, parent, 8) < 0 || PUT(b, "\"") < 0
               ? -1 : 0;
}

int put_relations(Buffer *b, Fields of)
{
    PyObject *kind = of[F_SPAN_KIND];
    PyObject *scope = of[F_SCOPE];
    PyObject *links = of[F_LINKS];
    PyObject *thread = of[F_THREAD];
    if (!PyTuple_CheckExact(links)) {
        PyErr_SetString(PyExc_TypeError, "the links of a record are a tuple");
        return -1;
    }
    if (put_parent(b, of[F_PARENT_SPAN_ID]) < 0)
        return -1;
    if (PyTuple_GET_SIZE(links) == 0) {
        if (put_together(b, kind, scope, thread) < 0)
            return -1;
    }
    else if (put_text_in_quotes(b, ",\"span_kind\":\"", kind) < 0
             || put_fragment(b, ",\"scope\":", scope, &of_scope) < 0 || PUT(b, ",\"links\":") < 0
             || put_called(b, config.encode_links, links) < 0
             || put_fragment(b, ",\"thread\":", thread, &of_thread) < 0)
        return -1;
    if (put_fragment(b, ",\"task\":", of[F_TASK], &of_task) < 0)
        return -1;
    return put_fragment(b, ",", of[F_CONTEXT], &of_context);
}

