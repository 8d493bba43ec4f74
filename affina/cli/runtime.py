"""Settings of this program's own process, made before any library is loaded: threads that wait, memory that is freed.

A program that imports the package decides for itself; nothing here runs at import.
"""

import _thread
import ctypes
import gc
import os
import sys
from threading import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

SPIN = "20000"
"""How often OpenMP's threads look for work before they sleep. The library's 300,000 makes a step ten times slower when
another process wants a core (docs/why.md)."""
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # mallopt(3)
KEPT, STEP = 2**31 - 1, 2**28  # bytes: never given back, below 2 GiB never mapped apart; the heap grows by so much


AGAIN_S = 0.01  # until a Ctrl-C that was ignored comes again
SELDOM = (100_000, 20, 100)  # new objects before Python looks for cycles; at its 700, start-up looks for 0.5 s longer


def prepare() -> None:
    """Threads sleep soon; freed memory stays with the process, for a page given back is zeroed when it comes again.

    `AFFINA_ALLOCATOR=plain`, or a setting of the C library's own, leaves the allocator as it is.
    """
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = unraisable
    gc.set_threshold(*SELDOM)
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)
    own = os.environ.get("AFFINA_ALLOCATOR") == "plain" or "MALLOC_MMAP_THRESHOLD_" in os.environ
    if sys.platform == "linux" and not own:
        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt") and hasattr(library, "gnu_get_libc_version"):
            for parameter, value in ((M_MMAP_THRESHOLD, KEPT), (M_TRIM_THRESHOLD, KEPT), (M_TOP_PAD, STEP)):
                library.mallopt(parameter, value)


def unraisable(found: "UnraisableHookArgs") -> None:
    """A Ctrl-C that comes while an object is being deleted, where Python ignores what is raised, comes again after.

    One that comes at the interpreter's end does not: the next of what is done there would be interrupted too.
    """
    if found.exc_type is KeyboardInterrupt and found.err_msg is None and callable(found.object):
        again = Timer(AGAIN_S, _thread.interrupt_main)  # at once it would be ignored as well: this too is ignored code
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(found)


def imported() -> None:
    """What has been imported stays for good in this process: it is never looked through for cycles."""
    gc.freeze()
