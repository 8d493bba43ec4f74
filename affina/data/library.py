"""Optional libraries: one that is missing is a sentence with its remedy, and only where it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager

from affina.core.errors import Refused


@contextmanager
def needing(what: str, library: str) -> Iterator[None]:
    """Inside, a library of the extra `documents` is imported. Raises Refused where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Refused(f"{what} needs {library}", instead="pip install 'affina[documents]'") from error
