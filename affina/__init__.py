"""affina: specialise a pretrained language model on your own data, and prove that the result is better.

Every verb of the command line is a function here (`affina data look` is `data_look`), imported when it is first used:
`import affina` loads nothing.
"""

import gc
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

VERBS = {
    "Recipe": "affina.core.recipe",
    "new": "affina.data.new",
    "data_look": "affina.evaluation.data_look",
    "data_prepare": "affina.training.data_prepare",
    "data_ledger": "affina.data.books",
    "data_diff": "affina.data.diff",
    "check": "affina.training.check",
    "train": "affina.training.train",
    "evaluate": "affina.evaluation.evaluate",
    "Wanted": "affina.evaluation.evaluate",
    "compare": "affina.evaluation.evaluate",
    "Items": "affina.evaluation.on_tasks",
    "generate": "affina.evaluation.ask",
    "chat": "affina.evaluation.ask",
    "verify": "affina.release.verify",
    "features": "affina.training.features",
    "anomaly": "affina.training.anomaly",
    "apply": "affina.training.apply",
    "Watch": "affina.training.anomaly",
    "Where": "affina.training.embedded",
    "export": "affina.release.export",
    "compress": "affina.release.compress",
    "matrix": "affina.training.matrix",
    "data_make": "affina.evaluation.data_make",
    "Making": "affina.evaluation.data_make",
    "release": "affina.release.release",
    "Wish": "affina.release.release",
    "releases": "affina.release.stages",
    "approve": "affina.release.stages",
    "promote": "affina.release.stages",
    "rollback": "affina.release.stages",
    "lineage": "affina.release.stages",
    "Place": "affina.store.place",
    "runs": "affina.core.inspect",
    "show": "affina.core.inspect",
    "list": "affina.core.inspect",
    "describe": "affina.core.inspect",
    "schema": "affina.core.inspect",
}
__all__ = ["__version__", *VERBS]


def __getattr__(name: str) -> Any:
    if name not in VERBS:
        raise AttributeError(f"module 'affina' has no attribute '{name}'")
    return getattr(_imported(VERBS[name]), name)


def _imported(module: str) -> ModuleType:
    """The module. Looking through what a first import makes for garbage, again and again while it grows, is a quarter
    of the time that torch and transformers take to import."""
    if module in sys.modules:
        return sys.modules[module]
    collecting = gc.isenabled()
    gc.disable()
    try:
        found = import_module(module)
    finally:
        if collecting:
            gc.enable()
    return found
