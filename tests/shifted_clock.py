"""A stack whose wall clock is wrong: that of its processes, by a library that is loaded before all others."""

import shutil
import subprocess
from pathlib import Path

_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void) {
    char text[32] = {0};
    int file = open(getenv("CLOCK_OFFSET_FILE"), O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return atol(text);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += offset();
    return failed;
}
"""


def is_possible() -> bool:
    return bool(shutil.which("gcc"))


def offset_file(folder: Path) -> Path:
    """The file that says by how many seconds the clock is wrong."""
    return folder / "clock-offset"


def environment(folder: Path, seconds: int = 0) -> dict[str, str]:
    """Build the library in a folder; return the variables of a stack whose clock is wrong by so much."""
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(_SHIM)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    offset_file(folder).write_text(str(seconds))
    return {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(offset_file(folder))}
