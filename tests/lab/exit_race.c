/* Preloaded into the exporter by a test: makes the moments long in which a thread uses the Kerberos library while the
 * process ends. It changes no result and knows nothing of the exporter but its name.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned int (*release_name)(unsigned int *minor, void **name);

/* A context lets go of its names last; whoever drops one late is here when the library's exit handlers have run. */
unsigned int gss_release_name(unsigned int *minor, void **name) {
    static release_name real;
    if (!real)
        real = (release_name)dlsym(RTLD_NEXT, "gss_release_name");
    usleep(100 * 1000);
    return real(minor, name);
}

static void linger(int status, void *unused) {
    (void)status;
    (void)unused;
    usleep(400 * 1000);
}

/* Handlers run in reverse order, and those of the libraries are registered after this constructor: the process lives on
 * for a while with its libraries already closed down. */
__attribute__((constructor)) static void start(void) {
    if (!strncmp(program_invocation_short_name, "mssql-kerberos", 14))
        on_exit(linger, NULL);
}
