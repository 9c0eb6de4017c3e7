/* Reads attributes, integers and frames directly from the interpreter's memory.
 *
 * Only for versions whose layout is known and tested (a wheel is built for one version, and
 * a version keeps its layout). For all others, and for anything unexpected, these functions
 * return NULL or 0, and the caller uses the public functions.
 */
#if !defined(PYPY_VERSION)
#define Py_BUILD_CORE_MODULE 1
#endif
#include "speed.h"

/* A distribution may lack the internal headers; then only this part is not built. */
#if defined(__has_include)
#if __has_include("internal/pycore_frame.h")
#define HEADERS_ARE_THERE 1
#endif
#endif

#if defined(HEADERS_ARE_THERE) && PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030E0000 \
    && !defined(Py_GIL_DISABLED)
#define LAYOUT_IS_KNOWN 1
#include "internal/pycore_dict.h"
#include "internal/pycore_frame.h"
#include "internal/pycore_object.h"
#endif

#ifdef LAYOUT_IS_KNOWN

static PyDictValues *values_of(PyObject *holder)
{
    if (!(Py_TYPE(holder)->tp_flags & Py_TPFLAGS_MANAGED_DICT))
        return NULL;
#if PY_VERSION_HEX >= 0x030D0000
    if (!(Py_TYPE(holder)->tp_flags & Py_TPFLAGS_INLINE_VALUES))
        return NULL;
    PyDictValues *values = _PyObject_InlineValues(holder);
    return values->valid ? values : NULL;
#elif PY_VERSION_HEX >= 0x030C0000
    PyDictOrValues kept = *_PyObject_DictOrValuesPointer(holder);
    return _PyDictOrValues_IsValues(kept) ? _PyDictOrValues_GetValues(kept) : NULL;
#else
    return *_PyObject_ValuesPointer(holder);
#endif
}

/* The index of `name` among the values; -1 if it has none, or if a descriptor overrides it. */
static Py_ssize_t look_up(PyTypeObject *type, PyDictKeysObject *keys, PyObject *name)
{
    if (type->tp_getattro != PyObject_GenericGetAttr || !DK_IS_UNICODE(keys))
        return -1;
    PyObject *of_type = _PyType_Lookup(type, name);
    if (of_type != NULL && Py_TYPE(of_type)->tp_descr_set != NULL)
        return -1;
    PyDictUnicodeEntry *entries = DK_UNICODE_ENTRIES(keys);
    for (Py_ssize_t place = 0; place < keys->dk_nentries; place++)
        if (entries[place].me_key == name)
            return place;
    return -1;
}

/* The keys of a type only grow, so an index stays valid. */
static KeptAt *remember(PyTypeObject *type, PyDictKeysObject *keys, PyObject *name, Place *place)
{
    Py_ssize_t index = keys == NULL ? -1 : look_up(type, keys, name);
    if (index < 0 || type->tp_version_tag == 0)    /* the look-up usually assigns one */
        return NULL;
    KeptAt *at = &place->of[place->next++ % 2];
    PyTypeObject *old = at->type;
    at->type = (PyTypeObject *)Py_NewRef((PyObject *)type);    /* held: its address is not reused */
    at->keys = keys;
    at->index = index;
    at->version = type->tp_version_tag;
    Py_XDECREF((PyObject *)old);
    return at;
}

/* A type's version is unique; every change of the type, a new descriptor too, removes it. */
static inline int holds(const KeptAt *at, PyTypeObject *type, const void *keys)
{
    return at->type == type && at->version == type->tp_version_tag && at->keys == keys;
}

PyObject *speed_kept(PyObject *holder, PyObject *name, Place *place)
{
    PyTypeObject *type = Py_TYPE(holder);
    PyDictValues *values = values_of(holder);
    if (values == NULL)
        return NULL;
    PyDictKeysObject *keys = ((PyHeapTypeObject *)type)->ht_cached_keys;
    KeptAt *at = &place->of[0];
    if (!holds(at, type, keys)) {
        at++;
        if (!holds(at, type, keys) && (at = remember(type, keys, name, place)) == NULL)
            return NULL;
    }
    return values->values[at->index];
}

#if PYLONG_BITS_IN_DIGIT == 30 && defined(__SIZEOF_INT128__)
int speed_magnitude(PyObject *number, uint64_t *high, uint64_t *low)
{
    if (!PyLong_Check(number))
        return 0;
#if PY_VERSION_HEX >= 0x030C0000
    const _PyLongValue *value = &((PyLongObject *)number)->long_value;
    Py_ssize_t size = (Py_ssize_t)(value->lv_tag >> _PyLong_NON_SIZE_BITS);
    const digit *digits = value->ob_digit;
    if ((value->lv_tag & _PyLong_SIGN_MASK) == 2)
        return 0;
#else
    Py_ssize_t size = Py_SIZE(number);
    const digit *digits = ((PyLongObject *)number)->ob_digit;
#endif
    /* Five digits of 30 bits hold 128 bits and more; of the fifth, only eight count. */
    if (size < 0 || size > 5 || (size == 5 && digits[4] >> 8))
        return 0;
    unsigned __int128 whole = 0;
    while (size--)
        whole = whole << PYLONG_BITS_IN_DIGIT | digits[size];
    *high = (uint64_t)(whole >> 64);
    *low = (uint64_t)whole;
    return 1;
}
#else
int speed_magnitude(PyObject *Py_UNUSED(number), uint64_t *Py_UNUSED(high),
                    uint64_t *Py_UNUSED(low))
{
    return 0;
}
#endif

static _PyInterpreterFrame *complete(_PyInterpreterFrame *frame)
{
    while (frame != NULL && _PyFrame_IsIncomplete(frame))
        frame = frame->previous;
    return frame;
}

void *speed_top_frame(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return complete(PyThreadState_Get()->current_frame);
#else
    return complete(PyThreadState_Get()->cframe->current_frame);
#endif
}

void *speed_frame_below(void *frame)
{
    return complete(((_PyInterpreterFrame *)frame)->previous);
}

PyCodeObject *speed_frame_code(void *frame, int *lasti)
{
    _PyInterpreterFrame *inner = frame;
    *lasti = _PyInterpreterFrame_LASTI(inner) * (int)sizeof(_Py_CODEUNIT);
#if PY_VERSION_HEX >= 0x030D0000
    return _PyFrame_GetCode(inner);
#else
    return inner->f_code;
#endif
}

#else

PyObject *speed_kept(PyObject *Py_UNUSED(holder), PyObject *Py_UNUSED(name),
                     Place *Py_UNUSED(place))
{
    return NULL;
}

int speed_magnitude(PyObject *Py_UNUSED(number), uint64_t *Py_UNUSED(high),
                    uint64_t *Py_UNUSED(low))
{
    return 0;
}

void *speed_top_frame(void)
{
    return NULL;
}

void *speed_frame_below(void *Py_UNUSED(frame))
{
    return NULL;
}

PyCodeObject *speed_frame_code(void *Py_UNUSED(frame), int *Py_UNUSED(lasti))
{
    return NULL;
}

#endif
