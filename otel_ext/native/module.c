/* otel_ext._speed: the hot path, compiled. It is optional: the Python code is the reference and
 * always present, and tests hold both to the same bytes. */
#include "span.h"

Config config;
PyObject *s_fragment, *s_id, *s_fast_path;

static PyObject *configure(PyObject *Py_UNUSED(module), KEYWORDS)
{
    static const char *const names[] = {
        "record_type", "attributes_type", "encode_line", "encode_object", "name_fragment",
        "encode_status", "encode_links", "encode_events", "meta_key",
        "unset_status",
    };
    Config fresh;
    if (TAKE_KEYWORDS(names, &fresh) < 0)
        return NULL;
    if (!PyType_Check(fresh.record_type) || !PyType_Check(fresh.attributes_type)
        || !PyUnicode_Check(fresh.meta_key)) {
        PyErr_SetString(PyExc_TypeError, "record_type, attributes_type: classes; meta_key: a text");
        return NULL;
    }
    adopt(&config, &fresh, sizeof config);
    Py_RETURN_NONE;
}

#define NAMED(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

static PyMethodDef methods[] = {
    {"configure", NAMED(configure),
     "Take the Python functions that handle all other cases."},
    {"encode_line", speed_encode_line, METH_O, "Return the record as one line of JSON."},
    {"configure_otlp", NAMED(speed_configure_otlp),
     "Take the Python functions that encode all other records as OTLP."},
    {"encode_span", speed_encode_span, METH_O, "Return the record of a span as OTLP."},
    {"encode_log", (PyCFunction)(void (*)(void))speed_encode_log, METH_FASTCALL,
     "Return a record as an OTLP log record."},
    {"configure_capture", NAMED(speed_configure_capture),
     "Take what capturing a span needs to know of the SDK."},
    {"identify", (PyCFunction)(void (*)(void))speed_identify, METH_FASTCALL,
     "Return the key of a span that is to be recorded, or None."},
    {"capture_start", (PyCFunction)(void (*)(void))speed_capture_start, METH_FASTCALL,
     "Return the start record of a span."},
    {"capture_end", (PyCFunction)(void (*)(void))speed_capture_end, METH_FASTCALL,
     "Return the final record of a span."},
    {"here", speed_here, METH_O, "Return call site, thread and task of the code that logs."},
    {"configure_hooks", NAMED(speed_configure_hooks), "Take what the processor's hooks need."},
    {"configure_start_lines", speed_configure_start_lines, METH_O,
     "Take what reads the attributes in a start's line."},
    {"begin_span", (PyCFunction)(void (*)(void))speed_begin_span, METH_FASTCALL,
     "Do what a processor does when a span starts."},
    {"end_span", (PyCFunction)(void (*)(void))speed_end_span, METH_FASTCALL,
     "Do what a processor does when a span ends."},
    {"bind_append", speed_bind_append, METH_O, "Return the `append` of a ring buffer."},
    {"bind_export", speed_bind_export, METH_O, "Return the `export` of a JSONL exporter."},
    {"bind_fan_out", speed_bind_fan_out, METH_O, "Return the `export` of a fan-out."},
    {"bind_queue", speed_bind_queue, METH_O, "Return the `export` of a remote queue."},
    {"bind_check", NAMED(speed_bind_check), "Return what checks that a record is safe."},
    {"bind_choice", NAMED(speed_bind_choice),
     "Return what calls `no` if `ask` returns False, else `yes`."},
    {"export_parts", NAMED(speed_export_parts), "Return what `bind_export`'s result reads."},
    {"hook_parts", NAMED(speed_hook_parts), "Return what `begin_span` and `end_span` read."},
    {"cursor", speed_cursor, METH_O, "Return a position in mapped memory to store lines by."},
    {"is_harmless", speed_is_harmless_text, METH_O,
     "Return whether surely no rule of redaction finds anything in a text."},
    {"find_triggers", speed_find_triggers, METH_O,
     "Return the indexes of the literals in a text; None if it is not ASCII."},
    {"learn_triggers", speed_learn_triggers, METH_VARARGS,
     "Take the literals without which no rule of redaction finds anything."},
    {"watch_process", speed_watch_process, METH_VARARGS,
     "Take what identifies a forked child, and what such a child has to call."},
    {"count_lines", speed_count_lines, METH_O, "Return how many newlines there are."},
    {NULL, NULL, 0, NULL},
};

/* The state in these files is static and belongs to one interpreter: the main one, as first
 * started. 1: this is it, and it is set up; 0: this is it, for the first time; -1: another one. */
static int claim(void)
{
    static int is_claimed;
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    PyObject *own = PyInterpreterState_GetDict(interpreter);
    int is_ours = own == NULL ? 0 : PyDict_GetItemString(own, "otel_ext._speed") != NULL;
    if (own == NULL || interpreter != PyInterpreterState_Main() || (is_claimed && !is_ours)) {
        PyErr_SetString(PyExc_ImportError, "otel_ext._speed serves the main interpreter only");
        return -1;
    }
    if (is_ours)
        return 1;
    is_claimed = 1;
    return PyDict_SetItemString(own, "otel_ext._speed", Py_True);
}

/* Runs at each import in each interpreter. With single-phase initialization a second interpreter
 * would get the first one's functions without this call. */
static int set_up(PyObject *Py_UNUSED(module))
{
    int claimed = claim();
    if (claimed)
        return claimed < 0 ? -1 : 0;
    s_fragment = PyUnicode_InternFromString("fragment");
    s_id = PyUnicode_InternFromString("id");
    s_fast_path = PyUnicode_InternFromString("_fast_path");
    return s_fragment == NULL || s_id == NULL || s_fast_path == NULL || speed_init_ids() < 0
                   || speed_init_span_fields() < 0 || speed_init_context() < 0
                   || speed_init_threads() < 0 || speed_init_tasks() < 0 || speed_init_hooks() < 0
                   || speed_init_export() < 0 || speed_init_sanitise() < 0
                   || speed_init_cursor() < 0 || speed_init_encode() < 0
                   || speed_init_otlp() < 0 || speed_init_queue() < 0 || speed_init_start_line() < 0
               ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)set_up},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "otel_ext._speed", "The hot path of otel-ext, compiled.", 0, methods,
    slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__speed(void)
{
    return PyModuleDef_Init(&definition);
}
