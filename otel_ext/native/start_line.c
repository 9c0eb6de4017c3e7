/* The start of an open span as its line, which the table of open spans keeps instead of a record.
 *
 * The end repeats parts of that line. A record is made only when something asks for one.
 */
#include "span.h"
#include <stddef.h>
#include <structmember.h>

PyTypeObject *start_line_type;

static PyObject *attributes_of;    /* reads the attributes in a line */

PyObject *speed_configure_start_lines(PyObject *Py_UNUSED(module), PyObject *function)
{
    attributes_of = Py_NewRef(function);    /* an older one may be running: not released */
    Py_RETURN_NONE;
}

/* Are the first attributes those of the start, as the same objects? Then sets the position behind
 * them. */
static int repeats(const StartLine *start, PyObject *attributes, Py_ssize_t *position)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    for (Py_ssize_t i = 0; i < start->count; i++)
        if (!PyDict_Next(attributes, &at, &key, &value) || key != start->items[2 * i]
            || value != start->items[2 * i + 1])
            return 0;
    *position = at;
    return 1;
}

/* The line of a start or, if the start is known, of the end. 1: written, 0: not, -1: error.
 *
 * The attributes are the span's own: other threads may change them. So no Python code runs between
 * their check and the moment they are written; what needs such code needs a record. */
static int put_line(Buffer *line, PyObject *check, Fields of, const StartLine *start, Shared *made,
                    Py_ssize_t *size)
{
    PyObject *attributes = of[F_ATTRIBUTES];
    const Shared *known = start == NULL || PyTuple_GET_SIZE(start->of[F_LINKS]) ? NULL
                                                                               : &start->shared;
    Py_ssize_t position = 0;
    if (!speed_is_safe_beside_attributes(check, of))
        return 0;
    if (put_metadata(line, of, known, made) < 0 || PUT(line, "}") < 0)
        return pass_over();
    made->attributes.begin = line->size;
    if (start != NULL && repeats(start, attributes, &position)) {
        *size = start->attributes_size;
        if (put_part(line, start->shared.line, start->shared.attributes) < 0)
            return -1;
    }
    int written = speed_has_safe_attributes(check, attributes, position, size)
                      ? put_plain_rest(line, attributes, position) : 0;
    made->attributes.end = line->size;
    return written == 1 && PUT(line, "}\n") < 0 ? -1 : written;
}

static void keep_items(StartLine *start, PyObject *attributes)
{
    Py_ssize_t position = 0, i = 0;
    PyObject *key, *value;
    while (PyDict_Next(attributes, &position, &key, &value)) {
        start->items[i++] = Py_NewRef(key);
        start->items[i++] = Py_NewRef(value);
    }
}

/* Takes the references of the fields. */
static PyObject *new_start_line(const Buffer *line, PyObject **of, Shared shared, Py_ssize_t size)
{
    PyObject *attributes = of[F_ATTRIBUTES];
    Py_ssize_t count = PyDict_GET_SIZE(attributes);
    Py_ssize_t room = 2 * count * (Py_ssize_t)sizeof(PyObject *);
    StartLine *start = PyObject_NewVar(StartLine, start_line_type, room + line->size);
    if (start == NULL)
        return NULL;
    of[F_ATTRIBUTES] = NULL;
    memcpy(start->of, of, sizeof start->of);
    start->count = count;
    keep_items(start, attributes);
    Py_DECREF(attributes);
    char *behind = (char *)(start->items + 2 * count);
    memcpy(behind, line->data, (size_t)line->size);
    start->line_size = line->size;
    shared.line = behind;
    start->shared = shared;
    start->attributes_size = size;
    return (PyObject *)start;
}

PyObject *speed_start_line(PyObject *check, PyObject **of)
{
    char room[LINE_ROOM];
    Buffer line = {room, 0, LINE_ROOM, NULL};
    Shared shared;
    Py_ssize_t size = 0;
    PyObject *start = attributes_of != NULL && put_line(&line, check, of, NULL, &shared, &size) == 1
                          ? new_start_line(&line, of, shared, size) : NULL;
    PyMem_Free(line.heap);
    return start;
}

int speed_put_end(Buffer *line, PyObject *check, Fields of, const StartLine *start)
{
    Shared made;
    Py_ssize_t size = 0;
    return put_line(line, check, of, start, &made, &size);
}

PyObject *speed_start_record(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    StartLine *start = (StartLine *)self;
    PyObject *of[F_COUNT];
    PyObject *attributes = PyObject_CallFunction(attributes_of, "y#n", start->shared.line,
                                                 start->line_size, start->attributes_size);
    if (attributes == NULL)
        return NULL;
    for (int i = 0; i < F_COUNT; i++)
        of[i] = i == F_ATTRIBUTES ? attributes : Py_NewRef(start->of[i]);
    return speed_record_from(of);
}

static void start_line_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    StartLine *start = (StartLine *)self;
    release_fields(start->of);
    for (Py_ssize_t i = 0; i < 2 * start->count; i++)
        Py_DECREF(start->items[i]);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"record", speed_start_record, METH_NOARGS, "Return the start record."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"name", T_OBJECT_EX, offsetof(StartLine, of) + F_NAME * sizeof(PyObject *), READONLY,
     "The span's name when it started."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_dealloc, start_line_dealloc},
    {0, NULL},
};

static PyType_Spec spec = {
    "otel_ext._speed.StartLine", offsetof(StartLine, items), 1,
    Py_TPFLAGS_DEFAULT
#ifdef Py_TPFLAGS_DISALLOW_INSTANTIATION
        | Py_TPFLAGS_DISALLOW_INSTANTIATION
#endif
    , slots,
};

int speed_init_start_line(void)
{
    start_line_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return start_line_type == NULL ? -1 : 0;
}
