/* Breaks the disk and sets the clock of a program, for tests. It is loaded before the program's own
 * libraries (LD_PRELOAD) and stands before the functions of libc that change files and tell the time.
 *
 * FAULTS_ROOT     the folder whose files are broken; nothing outside it is
 * FAULTS_CONTROL  a file of eight 64-bit numbers, which the test and the program share:
 *   0  steps so far: each call below that changes a file or a folder is one
 *   1  the first step that fails, 0 for none
 *   2  the first step after it that succeeds again
 *   3  the error, as errno
 *   4  how many steps have failed
 *   5  milliseconds that the computer's clock is ahead
 *   6  how many sockets of the internet were made
 *   7  1: writes and syncs to open files succeed, as they do when a permission is lost
 *
 * The first write that fails with "no space" writes half of its bytes before, as a disk does. What makes
 * room is not refused then: removing, and cutting a file.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { STEPS, FROM, TO, CODE, FAILED, AHEAD, SOCKETS, NAMES_ONLY, NUMBERS };
enum kind { WRITE, NAME, FREES };

static volatile int64_t *control;
static char root[PATH_MAX];
static size_t root_length;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
  const char *folder = getenv("FAULTS_ROOT"), *file = getenv("FAULTS_CONTROL");
  if (!folder || !file || !realpath(folder, root)) return;
  root_length = strlen(root);
  int fd = REAL(open)(file, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *shared = mmap(NULL, NUMBERS * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (shared != MAP_FAILED) control = shared;
  close(fd);
}

static int is_inside(const char *path) {
  return !strncmp(path, root, root_length) && (!path[root_length] || path[root_length] == '/');
}

/* Whether the file `path`, taken from the folder `at`, lies below the root. */
static int has_path(int at, const char *path) {
  char full[PATH_MAX * 2], link[64];
  ssize_t n = 0;
  if (!control || !path) return 0;
  if (path[0] == '/') return is_inside(path);
  if (at == AT_FDCWD) {
    if (!getcwd(full, PATH_MAX)) return 0;
    n = (ssize_t)strlen(full);
  } else {
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    n = readlink(link, full, PATH_MAX - 1);
    if (n < 0) return 0;
  }
  snprintf(full + n, PATH_MAX, "/%s", path);
  return is_inside(full);
}

static int has_fd(int fd) {
  char link[64], path[PATH_MAX];
  if (!control) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return is_inside(path);
}

/* Counts a step. Gives the number of the failure that it is, or 0. */
static int64_t fails(enum kind kind) {
  int64_t step = __sync_add_and_fetch(&control[STEPS], 1);
  int64_t from = control[FROM];
  if (!from || step < from || step >= control[TO]) return 0;
  if (kind == WRITE && control[NAMES_ONLY]) return 0;
  if (kind == FREES && control[CODE] == ENOSPC) return 0;
  int64_t failures = __sync_add_and_fetch(&control[FAILED], 1);
  errno = (int)control[CODE];
  return failures;
}

static int writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT); }

/* A file that is there needs no room to be opened. */
static enum kind opening(int at, const char *path, int flags) {
  struct stat found;
  if (flags & O_TRUNC || fstatat(at, path, &found, 0)) return NAME;
  return FREES;
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list rest; \
    va_start(rest, flags); \
    mode = va_arg(rest, mode_t); \
    va_end(rest); \
  }

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    MODE(flags) \
    if (writes(flags) && has_path(AT_FDCWD, path) && fails(opening(AT_FDCWD, path, flags))) return -1; \
    return REAL(name)(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int at, const char *path, int flags, ...) { \
    MODE(flags) \
    if (writes(flags) && has_path(at, path) && fails(opening(at, path, flags))) return -1; \
    return REAL(name)(at, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *bytes, size_t n) {
  int64_t failure = has_fd(fd) ? fails(WRITE) : 0;
  if (!failure) return REAL(write)(fd, bytes, n);
  if (failure == 1 && control[CODE] == ENOSPC && n > 1) return REAL(write)(fd, bytes, n / 2);
  errno = (int)control[CODE];
  return -1;
}

#define PWRITE(name, offset_type) \
  ssize_t name(int fd, const void *bytes, size_t n, offset_type offset) { \
    int64_t failure = has_fd(fd) ? fails(WRITE) : 0; \
    if (!failure) return REAL(name)(fd, bytes, n, offset); \
    if (failure == 1 && control[CODE] == ENOSPC && n > 1) return REAL(name)(fd, bytes, n / 2, offset); \
    errno = (int)control[CODE]; \
    return -1; \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int n) {
  return has_fd(fd) && fails(WRITE) ? -1 : REAL(writev)(fd, parts, n);
}

#define SYNC(name) \
  int name(int fd) { return has_fd(fd) && fails(WRITE) ? -1 : REAL(name)(fd); }
SYNC(fsync)
SYNC(fdatasync)

#define CUT(name, length_type) \
  int name(int fd, length_type length) { \
    struct stat found; \
    int is_longer = fstat(fd, &found) || length > found.st_size; \
    return has_fd(fd) && fails(is_longer ? WRITE : FREES) ? -1 : REAL(name)(fd, length); \
  }
CUT(ftruncate, off_t)
CUT(ftruncate64, off64_t)

ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t n, unsigned flags) {
  return has_fd(to) && fails(WRITE) ? -1 : REAL(copy_file_range)(from, a, to, b, n, flags);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t n) {
  return has_fd(to) && fails(WRITE) ? -1 : REAL(sendfile)(to, from, offset, n);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t n) {
  return has_fd(to) && fails(WRITE) ? -1 : REAL(sendfile64)(to, from, offset, n);
}

int rename(const char *from, const char *to) {
  return has_path(AT_FDCWD, to) && fails(NAME) ? -1 : REAL(rename)(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
  return has_path(b, to) && fails(NAME) ? -1 : REAL(renameat)(a, from, b, to);
}
int link(const char *from, const char *to) {
  return has_path(AT_FDCWD, to) && fails(NAME) ? -1 : REAL(link)(from, to);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
  return has_path(b, to) && fails(NAME) ? -1 : REAL(linkat)(a, from, b, to, flags);
}
int mkdir(const char *path, mode_t mode) {
  struct stat found;
  /* A folder that is there is told as such before anything else. */
  if (!stat(path, &found)) return REAL(mkdir)(path, mode);
  return has_path(AT_FDCWD, path) && fails(NAME) ? -1 : REAL(mkdir)(path, mode);
}
int unlink(const char *path) {
  return has_path(AT_FDCWD, path) && fails(FREES) ? -1 : REAL(unlink)(path);
}
int unlinkat(int at, const char *path, int flags) {
  return has_path(at, path) && fails(FREES) ? -1 : REAL(unlinkat)(at, path, flags);
}
int rmdir(const char *path) {
  return has_path(AT_FDCWD, path) && fails(FREES) ? -1 : REAL(rmdir)(path);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int told = REAL(clock_gettime)(clock, now);
  if (!told && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    now->tv_sec += control[AHEAD] / 1000;
  return told;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  int told = REAL(gettimeofday)(now, zone);
  if (!told && control) now->tv_sec += control[AHEAD] / 1000;
  return told;
}
time_t time(time_t *place) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (place) *place = now.tv_sec;
  return now.tv_sec;
}

int socket(int family, int type, int protocol) {
  if (control && (family == AF_INET || family == AF_INET6))
    __sync_add_and_fetch(&control[SOCKETS], 1);
  return REAL(socket)(family, type, protocol);
}
