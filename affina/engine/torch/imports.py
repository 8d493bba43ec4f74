"""transformers imported for a program that trains language models and nothing else (docs/why.md)."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os.path import dirname, isfile
from pathlib import Path
from typing import Any

UNUSED = "scipy"
"""transformers imports its optimisers for the losses of object detection, where it finds that it is installed."""

LOOK = "create_import_structure_from_path"


@contextmanager
def sparing() -> Iterator[None]:
    """Inside, a first import of transformers finds no scipy and looks through its own folder once instead of twice.

    Nothing is changed where transformers has been imported before, and scipy can be imported again afterwards. The
    process is then one without transformers' object detection: for a program of its own, not for a library.
    """
    if "transformers" in sys.modules or UNUSED in sys.modules:
        yield
        return
    sys.modules[UNUSED] = None  # type: ignore[assignment]  # Python's own way to say that there is none
    try:
        _look_once()
        yield
    finally:
        del sys.modules[UNUSED]


def _look_once() -> None:
    """The second look asks by a file what the first asked by its folder, so that the answer it keeps is not found.

    A release of transformers that looks in another way is left as it is: the import then takes a little longer.
    """
    from transformers.utils import import_utils

    look: Callable[[str | Path], Any] | None = vars(import_utils).get(LOOK)
    if look is not None:
        vars(import_utils)[LOOK] = lambda path: look(Path(dirname(path)) if isfile(path) else path)
