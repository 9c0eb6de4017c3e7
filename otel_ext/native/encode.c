/* Encodes a span's or a log's record as one line of JSON, with the same bytes as
 * otel_ext.record.codec. */
#include "span.h"

#define SECOND 1000000000LL
#define FIRST_SECOND (-62135596800LL)   /* 0001-01-01T00:00:00Z */
#define LAST_SECOND 253402300799LL      /* 9999-12-31T23:59:59Z */
#define MAX_BYTES (1048576 - 64)        /* as _MAX_BYTES of the Python codec */
#define MAX_NS 0x7fffffffffffffffLL
#define STAMP_SIZE 20                   /* 2026-11-20T16:00:00. */

static PyObject *s_size, *s_span, *s_log, *s_process, *s_start, *s_end, *s_update;

static void write_digits(char *at, long long number, int width)
{
    while (width--) {
        at[width] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* Days since the epoch as a date: Hinnant's algorithm on eras of 400 years. */
static void format_second(char *at, long long second)
{
    long long days = second / 86400, rest = second % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    days += 719468;
    long long era = (days >= 0 ? days : days - 146096) / 146097;
    long long of_era = days - era * 146097;
    long long year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    long long of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    long long shifted = (5 * of_year + 2) / 153;
    long long day = of_year - (153 * shifted + 2) / 5 + 1;
    long long month = shifted < 10 ? shifted + 3 : shifted - 9;
    long long year = year_of_era + era * 400 + (month <= 2);
    memcpy(at, "0000-00-00T00:00:00.", STAMP_SIZE);
    write_digits(at, year, 4);
    write_digits(at + 5, month, 2);
    write_digits(at + 8, day, 2);
    write_digits(at + 11, rest / 3600, 2);
    write_digits(at + 14, rest / 60 % 60, 2);
    write_digits(at + 17, rest % 60, 2);
}

int put_time(Buffer *buffer, long long time_ns)
{
    static long long cached_second = 0;
    static char cached[STAMP_SIZE + 1] = "1970-01-01T00:00:00.";
    long long second = time_ns / SECOND, rest = time_ns % SECOND;
    if (rest < 0) {
        rest += SECOND;
        second--;
    }
    if (second != cached_second) {
        /* A 64-bit count of nanoseconds ends in the year 2262: no clamping here. */
        format_second(cached, second);
        cached_second = second;
    }
    char text[STAMP_SIZE + 7];
    memcpy(text, cached, STAMP_SIZE);
    write_digits(text + STAMP_SIZE, rest / 1000, 6);
    text[STAMP_SIZE + 6] = 'Z';
    return put(buffer, text, sizeof text);
}

static int put_process(Buffer *buffer, Fields of)
{
    static Slot known;
    return put_attribute(buffer, of[F_PROCESS], s_id, &known);
}

static int put_call_site(Buffer *buffer, Fields of)
{
    static Slot known;
    return put_attribute(buffer, of[F_CALL_SITE], s_fragment, &known);
}

static int put_time_field(Buffer *buffer, PyObject *field, long long *time_ns)
{
    return get_int64(field, time_ns) < 0 ? -1 : put_time(buffer, *time_ns);
}

int put_event_name(Buffer *buffer, PyObject *name)
{
    if (!is_plain_text(name))
        return put_called(buffer, config.name_fragment, name);
    if (PUT(buffer, "\"") < 0)
        return -1;
    return put(buffer, (const char *)PyUnicode_1BYTE_DATA(name), PyUnicode_GET_LENGTH(name));
}

/* The beginning of the line: when, and what. */
static int put_opening(Buffer *b, Fields of, PyObject *phase, long long *time_ns)
{
    return PUT(b, "{\"__tracer_meta__\":{\"timestamp\":\"") < 0
           || put_time_field(b, of[F_TIME_NS], time_ns) < 0 || PUT(b, "\",\"event\":") < 0
           || put_event_name(b, of[F_NAME]) < 0 || PUT(b, ".") < 0
           || put_str(b, phase) < 0 || PUT(b, "\",") < 0 ? -1 : 0;
}

/* Which span, and where it was opened. */
static int put_identity(Buffer *b, Fields of)
{
    return PUT(b, "\"trace_id\":\"") < 0 || put_id(b, of[F_TRACE_ID], 16) < 0
           || PUT(b, "\",\"span_id\":\"") < 0 || put_id(b, of[F_SPAN_ID], 8) < 0
           || PUT(b, "\",") < 0 || put_call_site(b, of) < 0 ? -1 : 0;
}

/* The place of the record among those of its process. */
static int put_place(Buffer *b, Fields of, PyObject *phase)
{
    long long seq;
    if (phase != s_end && PUT(b, ",\"provisional\":true") < 0)
        return -1;
    return PUT(b, ",\"version\":2,\"kind\":\"span\",\"phase\":\"") < 0
           || put_str(b, phase) < 0 || PUT(b, "\",\"seq\":") < 0
           || get_int64(of[F_SEQ], &seq) < 0 || put_number(b, seq) < 0
           || PUT(b, ",\"process\":\"") < 0 || put_process(b, of) < 0 || PUT(b, "\"") < 0
               ? -1 : 0;
}

/* The difference, clamped to 64 bits and symmetric as in the Python codec. */
static long long duration_of(long long start_ns, long long time_ns)
{
    if (start_ns < 0 && time_ns > MAX_NS + start_ns)
        return MAX_NS;
    if (start_ns > 0 && time_ns < -MAX_NS + start_ns)
        return -MAX_NS;
    long long duration = time_ns - start_ns;
    return duration < -MAX_NS ? -MAX_NS : duration;
}

static int put_end(Buffer *b, Fields of, long long time_ns)
{
    long long start_ns;
    PyObject *abandoned = of[F_ABANDONED];
    if (PUT(b, ",\"start\":\"") < 0 || put_time_field(b, of[F_START_NS], &start_ns) < 0
        || PUT(b, "\",\"duration_ns\":") < 0 || put_number(b, duration_of(start_ns, time_ns)) < 0
        || put_status(b, of[F_STATUS]) < 0
        || put_events(b, of[F_EVENTS]) < 0)
        return -1;
    if (abandoned != Py_None
        && (PUT(b, ",\"abandoned\":\"") < 0 || put_str(b, abandoned) < 0 || PUT(b, "\"") < 0))
        return -1;
    return 0;
}

/* The user's data, encoded by the Python codec, which handles every awkward value. */
static int put_any_object(Buffer *b, PyObject *attributes)
{
    PyObject *budget = PyLong_FromSsize_t(MAX_BYTES - b->size);
    PyObject *encoded = budget == NULL ? NULL
        : PyObject_CallFunctionObjArgs(config.encode_object, attributes, budget, NULL);
    Py_XDECREF(budget);
    if (encoded == NULL)
        return -1;
    char *text;
    Py_ssize_t size;
    int result = PyBytes_AsStringAndSize(encoded, &text, &size) < 0 ? -1
                                                                    : put(b, text + 1, size - 1);
    Py_DECREF(encoded);
    return result;
}

/* Ends the metadata, and writes the attributes after them. */
static int put_attributes(Buffer *b, PyObject *attributes)
{
    int plain = PUT(b, "}") < 0 ? -1 : put_plain_rest(b, attributes, 0);
    if (plain < 0)
        return -1;
    if (plain)
        return PUT(b, "}\n");
    return PUT(b, ",") < 0 || put_any_object(b, attributes) < 0 ? -1 : PUT(b, "\n");
}

/* Metadata that only this kind of record has. */
static int put_extra(Buffer *b, Fields of)
{
    PyObject *extra = of[F_EXTRA];
    Py_ssize_t size = extra == capture.empty ? 0 : PyObject_Size(extra);
    if (size <= 0)
        return (int)size;
    int plain = PyDict_Check(extra) ? put_plain_rest(b, extra, 0) : 0;
    if (plain == 0)
        PyErr_SetString(PyExc_ValueError, "further metadata are not plain");
    return plain == 1 ? 0 : -1;
}

/* Is `text` equal to `known`? Mostly it is the same object. */
static int is_text(PyObject *text, PyObject *known)
{
    return text == known || (PyUnicode_CheckExact(text) && PyUnicode_Compare(text, known) == 0);
}

/* One of the three texts; NULL, with an error, for any other. */
static PyObject *known_phase(PyObject *phase)
{
    PyObject *const known[] = {s_start, s_end, s_update};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is_text(phase, known[i]))
            return known[i];
    PyErr_SetString(PyExc_ValueError, "a span record has a phase");
    return NULL;
}

int put_metadata(Buffer *b, Fields of, const Shared *known, Shared *made)
{
    PyObject *phase = known_phase(of[F_PHASE]);
    long long time_ns;
    if (phase == NULL || put_opening(b, of, phase, &time_ns) < 0)
        return -1;
    made->identity.begin = b->size;
    if (known != NULL ? put_part(b, known->line, known->identity) < 0 : put_identity(b, of) < 0)
        return -1;
    made->identity.end = b->size;
    if (put_place(b, of, phase) < 0)
        return -1;
    made->relations.begin = b->size;
    if (known != NULL && PyTuple_GET_SIZE(of[F_LINKS]) == 0
            ? put_part(b, known->line, known->relations) < 0
            : put_relations(b, of) < 0)
        return -1;
    made->relations.end = b->size;
    return phase == s_end ? put_end(b, of, time_ns) : 0;
}

static int put_span(Buffer *b, Fields of)
{
    Shared made;
    return put_metadata(b, of, NULL, &made) < 0 || put_extra(b, of) < 0
           || put_attributes(b, of[F_ATTRIBUTES]) < 0 ? -1 : 0;
}

/* Writes `key`, which includes quotes and brackets, then `text`, unless that is empty. */
static int put_text_field(Buffer *b, const char *key, PyObject *text)
{
    int there = has_text(text);
    if (there <= 0)
        return there;
    if (put(b, key, (Py_ssize_t)strlen(key)) < 0 || put_event_name(b, text) < 0)
        return -1;
    return PUT(b, "\"");
}

static int put_log_head(Buffer *b, Fields of, PyObject *kind)
{
    long long time_ns;
    PyObject *trace_id = of[F_TRACE_ID];
    if (PUT(b, "{\"__tracer_meta__\":{\"timestamp\":\"") < 0
        || put_time_field(b, of[F_TIME_NS], &time_ns) < 0 || PUT(b, "\",\"event\":") < 0
        || put_event_name(b, of[F_NAME]) < 0 || PUT(b, "\",") < 0)
        return -1;
    int has_span = has_text(trace_id);
    if (has_span < 0)
        return -1;
    if (has_span
        && (PUT(b, "\"trace_id\":\"") < 0 || put_str(b, trace_id) < 0
            || PUT(b, "\",\"span_id\":\"") < 0
            || put_str(b, of[F_SPAN_ID]) < 0 || PUT(b, "\",") < 0))
        return -1;
    long long seq;
    if (get_int64(of[F_SEQ], &seq) < 0)
        return -1;
    if (put_call_site(b, of) < 0
        || PUT(b, ",\"version\":2,\"kind\":\"") < 0 || put_str(b, kind) < 0
        || PUT(b, "\",\"seq\":") < 0 || put_number(b, seq) < 0
        || PUT(b, ",\"process\":\"") < 0
        || put_process(b, of) < 0)
        return -1;
    return PUT(b, "\"");
}

static int put_log(Buffer *b, Fields of, PyObject *kind)
{
    static Slot of_thread, of_task;
    if (put_log_head(b, of, kind) < 0
        || put_fragment(b, ",\"thread\":", of[F_THREAD], &of_thread) < 0
        || put_fragment(b, ",\"task\":", of[F_TASK], &of_task) < 0)
        return -1;
    if (put_text_field(b, ",\"level\":", of[F_LEVEL]) < 0
        || put_text_field(b, ",\"logger\":", of[F_LOGGER]) < 0)
        return -1;
    if (put_extra(b, of) < 0)
        return -1;
    return put_attributes(b, of[F_ATTRIBUTES]);
}

/* Were the record's values made safe? Else Python does that first. */
static int is_sanitised(PyObject *attributes)
{
    static Slot of_size;
    if (!Py_IS_TYPE(attributes, (PyTypeObject *)config.attributes_type))
        return 0;
    PyObject **size = slot_of(attributes, s_size, &of_size);
    return size != NULL && *size != NULL;
}

int speed_encode_into(Buffer *buffer, PyObject *record)
{
    if (!is_record(record))
        return 0;
    Fields of = fields_of(record);
    PyObject *kind = of[F_KIND];
    if (!is_sanitised(of[F_ATTRIBUTES]))
        return 0;
    int failed = is_text(kind, s_span)      ? put_span(buffer, of)
                 : is_text(kind, s_log)     ? put_log(buffer, of, s_log)
                 : is_text(kind, s_process) ? put_log(buffer, of, s_process)
                                            : 1;
    if (failed >= 0)
        return !failed;
    /* For any such error (a time beyond 64 bits) the Python codec is called. */
    return pass_over();
}

PyObject *speed_encode_line(PyObject *Py_UNUSED(module), PyObject *record)
{
    if (need(config.encode_line) < 0)
        return NULL;
    char room[LINE_ROOM];
    Buffer buffer = {room, 0, LINE_ROOM, NULL};
    int encoded = speed_encode_into(&buffer, record);
    PyObject *line = encoded < 0    ? NULL
                     : encoded == 0 ? PyObject_CallOneArg(config.encode_line, record)
                                    : PyBytes_FromStringAndSize(buffer.data, buffer.size);
    PyMem_Free(buffer.heap);
    return line;
}

int speed_init_encode(void)
{
    static const Name names[] = {
        {&s_size, "size"}, {&s_span, "span"}, {&s_log, "log"}, {&s_process, "process"},
        {&s_start, "start"}, {&s_end, "end"}, {&s_update, "update"},
    };
    return speed_intern(names, sizeof names / sizeof *names);
}
