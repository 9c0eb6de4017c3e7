/* Preloaded into a program: its writes to regular files, and the syncs of any, hang while
   the file that $BLOCK_WRITES_WHILE names is there. A disk that blocks, at no one's cost. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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
