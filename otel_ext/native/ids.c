/* Formats identifiers as hex digits, as the record format requires. */
#include "speed.h"

/* The two digits of each byte. */
static char digits_of[256][2];

/* The bytes of a number, highest first; -1 with an error if it has more than `size`. */
static int bytes_of(PyObject *number, unsigned char *bytes, Py_ssize_t size)
{
    uint64_t high, low;
    if (speed_magnitude(number, &high, &low) && (size == 16 || high == 0)) {
        for (Py_ssize_t i = size; i--; low = low >> 8 | high << 56, high >>= 8)
            bytes[i] = (unsigned char)low;
        return 0;
    }
#if PY_VERSION_HEX >= 0x030D0000
    Py_ssize_t needed = PyLong_AsNativeBytes(number, bytes, size,
                                             Py_ASNATIVEBYTES_BIG_ENDIAN
                                                 | Py_ASNATIVEBYTES_UNSIGNED_BUFFER
                                                 | Py_ASNATIVEBYTES_REJECT_NEGATIVE);
    if (needed < 0)
        return -1;
    if (needed > size) {
        PyErr_SetString(PyExc_OverflowError, "an id is too large");
        return -1;
    }
    return 0;
#else
    return _PyLong_AsByteArray((PyLongObject *)number, bytes, (size_t)size, 0, 0);
#endif
}

PyObject *speed_hex(PyObject *number, Py_ssize_t size)
{
    unsigned char bytes[16];
    if (!PyLong_CheckExact(number)) {
        PyErr_SetString(PyExc_TypeError, "an id is a number");
        return NULL;
    }
    PyObject *text = bytes_of(number, bytes, size) < 0 ? NULL : PyUnicode_New(2 * size, 127);
    if (text == NULL)
        return NULL;
    Py_UCS1 *at = PyUnicode_1BYTE_DATA(text);
    for (Py_ssize_t i = 0; i < size; i++)
        memcpy(at + 2 * i, digits_of[bytes[i]], 2);
    return text;
}

void speed_init_ids(void)
{
    for (int byte = 0; byte < 256; byte++) {
        digits_of[byte][0] = "0123456789abcdef"[byte >> 4];
        digits_of[byte][1] = "0123456789abcdef"[byte & 15];
    }
}
