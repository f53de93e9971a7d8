/* A disk that takes longer: adds MILLISECONDS (3 unless said) to every fsync and fdatasync of the program that it is loaded into.
 *
 *     cc -shared -fPIC -O1 -o slow_sync.so benches/slow_sync.c -ldl
 *     LD_PRELOAD=$PWD/slow_sync.so MILLISECONDS=3 RATE=10000 SECONDS=60 cargo bench --bench live
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_for_the_disk(void) {
    const char *said = getenv("MILLISECONDS");
    long ms = said ? atol(said) : 3;
    struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static int then(const char *name, int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    wait_for_the_disk();
    return real(file);
}

int fsync(int file) { return then("fsync", file); }
int fdatasync(int file) { return then("fdatasync", file); }
