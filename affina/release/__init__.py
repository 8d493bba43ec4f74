"""What becomes of a finished run: one artefact, its card, its stages, and other programs' formats. The package's name
is a verb's too, so it can be called: `affina.release(RUN, NAME)`."""

import sys
from types import ModuleType
from typing import Any


class Called(ModuleType):
    """This package, which called makes a release: see `affina.release.release`."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        from affina.release.release import release

        return release(*given, **named)


sys.modules[__name__].__class__ = Called
