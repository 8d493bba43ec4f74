"""torch and transformers imported for a program that trains language models and nothing else (docs/why.md)."""

import marshal
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import version
from os.path import isfile
from pathlib import Path
from types import ModuleType
from typing import Any

from affina.core.atomic import write_bytes
from affina.core.cache import cache_root, short_hash
from affina.core.errors import Failed

LISTING = "transformers.utils.import_utils"
"""transformers' module that lists its folder of models: 400 folders, every file read and searched, twice an import."""
LOOK, MODELS = "create_import_structure_from_path", "models"
UNUSED = "scipy"
"""transformers imports its optimisers for the losses of object detection, where it finds that it is installed."""
COMPILER = "torch._dynamo"
"""Torch's compiler, and a symbolic algebra behind it: imported wherever a function is marked for it."""
MARKS = ("disable", "allow_in_graph", "assume_constant_result")
"""Marks. A function that bears one is computed as it would be without, until something is compiled."""
BREAK = "graph_break"
"""What torch's optimizers say to it before a step."""
MASKS, INDEX = "torch._dynamo._trace_wrapped_higher_order_op", "TransformGetItemToIndex"
"""What transformers' masks take from it by name, and call where a mask is made by rule."""
READ = ("transformers.modeling_utils", "transformers.masking_utils")
"""What every model's own module imports."""
SPREAD = ("WORLD_SIZE", "RANK")
"""Set where a program is one of several that compute together."""


@contextmanager
def sparing() -> Iterator[None]:
    """Inside, a first import of transformers finds no scipy, and what it found in its own folder is kept for the next.
    From then on torch's compiler is imported when it is used, not when a function is marked for it.

    Nothing is changed where transformers has been imported before, and scipy can be imported again afterwards. The
    process is then one without transformers' object detection: for a program of its own, not for a library.
    """
    if "transformers" in sys.modules or UNUSED in sys.modules:
        yield
        return
    sys.modules[UNUSED] = None  # type: ignore[assignment]  # Python's own way to say that there is none
    listing = _Listing()
    sys.meta_path.insert(0, listing)
    try:
        if COMPILER not in sys.modules and not any(each in os.environ for each in SPREAD):
            _compile_later()
        yield
    finally:
        sys.meta_path.remove(listing)
        del sys.modules[UNUSED]


class _Listing(MetaPathFinder):
    """Waits for the module that lists, and has it look once. A release that looks in another way is left as it is."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        if name != LISTING or (spec := PathFinder.find_spec(name, path)) is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def executed(module: ModuleType) -> None:
            execute(module)
            if LOOK in vars(module):
                vars(module)[LOOK] = _looking_once(vars(module)[LOOK])

        vars(spec.loader)["exec_module"] = executed
        return spec


def _looking_once(look: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @cache
    def models(folder: Path) -> Any:
        state = [(each.name, each.stat().st_mtime_ns) for each in os.scandir(folder)]
        asked = [str(folder), version("transformers"), sys.implementation.cache_tag, sorted(state)]
        with suppress(OSError, ValueError, EOFError, TypeError, RuntimeError):  # not there, or not whole: looked again
            known = cache_root() / "transformers" / short_hash(repr(asked))
            if isinstance(kept := marshal.loads(known.read_bytes()), dict) and kept:
                return kept
        found = look(folder)
        # a cache that cannot be written costs a fifth of a second a start
        with suppress(OSError, RuntimeError, Failed):
            known = cache_root() / "transformers" / short_hash(repr(asked))
            known.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(known, marshal.dumps(found))
        return found

    def looked(path: str | Path) -> Any:
        """The second look asks by a file what the first asked by its folder."""
        folder = Path(path).parent if isfile(path) else Path(path)
        return models(folder) if folder.name == MODELS else look(folder)

    return looked


class _Later(ModuleType):
    """Stands for the compiler, or for a module of it, until something is asked of it that it has not."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and (name, self.__name__) != ("__path__", COMPILER):  # its parts are asked for by path
            raise AttributeError(name)
        for each in (COMPILER, MASKS):
            if isinstance(sys.modules.get(each), _Later):
                del sys.modules[each]
        return getattr(import_module(self.__name__), name)


def _compile_later() -> None:
    """Imports what of transformers every model needs with the compiler yet to come, and without tensors that are spread
    over machines, which import it."""
    import torch

    compiler, masks = _Later(COMPILER), _Later(MASKS)
    vars(compiler).update({**dict.fromkeys(MARKS, _unmarked), BREAK: lambda: None})
    vars(masks)[INDEX] = lambda: getattr(import_module(MASKS), INDEX)()
    sys.modules.update({COMPILER: compiler, MASKS: masks})
    spread, torch.distributed.is_available = torch.distributed.is_available, lambda: False
    try:
        for name in READ:
            import_module(name)
    finally:
        torch.distributed.is_available = spread
        if sys.modules.get(MASKS) is masks:
            del sys.modules[MASKS]


def _unmarked(function: Callable[..., Any] | None = None, *given: Any, **more: Any) -> Any:
    """The function, or what gives it back: a mark may be asked for with words of its own."""
    return function if function is not None else lambda each: each
