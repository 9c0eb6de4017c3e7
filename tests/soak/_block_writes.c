/* Preloaded into a program: its writes to regular files, and the syncs of any, hang while
   the file that $BLOCK_WRITES_WHILE names exists, which imitates a disk that blocks.
   Its wall clock is off by the seconds in the file that $SET_CLOCK_BY names, as eight
   bytes, which may be changed at any time. libfaketime does that too, but makes each
   reading of the clock so slow that no program under it can carry a load. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t no_step = 0, *step = &no_step;
static int (*real_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void find_clock(void) {
    const char *path = getenv("SET_CLOCK_BY");
    real_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    void *seen = mmap(NULL, sizeof *step, PROT_READ, MAP_SHARED, file, 0);
    if (seen != MAP_FAILED) step = seen;
    close(file);
}

int clock_gettime(clockid_t which, struct timespec *moment) {
    if (real_clock == NULL) find_clock();
    int failed = real_clock(which, moment);
    if (!failed && which == CLOCK_REALTIME) moment->tv_sec += *step;
    return failed;
}

static void wait_for_the_disk(int descriptor) {
    const char *path = getenv("BLOCK_WRITES_WHILE");
    struct stat status;
    if (path == NULL || fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return;
    while (access(path, F_OK) == 0) usleep(20000);
}

ssize_t write(int descriptor, const void *data, size_t size) {
    static ssize_t (*next)(int, const void *, size_t);
    if (next == NULL) next = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    wait_for_the_disk(descriptor);
    return next(descriptor, data, size);
}

int fdatasync(int descriptor) {
    static int (*next)(int);
    if (next == NULL) next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_for_the_disk(descriptor);
    return next(descriptor);
}
