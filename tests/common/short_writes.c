/* A disk whose writes end early, as write(2) may: put before a program by LD_PRELOAD.
 *
 * KEYFERRY_SHORT_WRITES is `every`: each write to a file takes half of what it is given, and the rest when asked again; or `N`: the N-th takes
 * half, and from then on the disk is full. KEYFERRY_SHORT_WRITES_DONE grows by one byte with each that ended early. The HSM's own files are
 * written by the C library's streams, which do not come through here. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int writes, rest;

static ssize_t whole(int file, const void *bytes, size_t length) {
    rest = 0;
    return syscall(SYS_write, file, bytes, length);
}

static ssize_t half(int file, const void *bytes, size_t length) {
    int done = open(getenv("KEYFERRY_SHORT_WRITES_DONE"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    syscall(SYS_write, done, "w", 1);
    close(done);
    rest = 1;
    return syscall(SYS_write, file, bytes, length / 2);
}

ssize_t write(int file, const void *bytes, size_t length) {
    const char *plan = getenv("KEYFERRY_SHORT_WRITES");
    struct stat is;
    /* What a program shows is no matter of the disk. */
    if (file <= STDERR_FILENO || !plan || fstat(file, &is) || !S_ISREG(is.st_mode))
        return syscall(SYS_write, file, bytes, length);
    if (!strcmp(plan, "every"))
        return rest || length < 2 ? whole(file, bytes, length) : half(file, bytes, length);
    int at = atoi(plan);
    writes += writes >= at || length >= 2;
    if (writes < at)
        return whole(file, bytes, length);
    if (writes == at)
        return half(file, bytes, length);
    errno = ENOSPC;
    return -1;
}
