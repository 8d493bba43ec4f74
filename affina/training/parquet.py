"""Embeddings as a Parquet file: a row per example with id, split, what is right where known, and the vector."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from affina.core.atomic import disk_error
from affina.core.errors import Refused
from affina.core.example import Example, Labelled, MultiLabelled, Rated
from affina.core.kinds import Embedded

RIGHT: Mapping[type[Example], tuple[str, str, Any]] = {
    Labelled: ("label", "label", pa.string()),
    MultiLabelled: ("labels", "right", pa.list_(pa.string())),
    Rated: ("value", "value", pa.float64()),
}
"""By kind of example: the column, the example's own field, and the column's type."""


def require(path: Path) -> None:
    """Raises Refused for a name that is not a Parquet file's: nothing else may be replaced by mistake."""
    if path.suffix != ".parquet":
        raise Refused(f"{path} is no name for Parquet", instead=f"write --out {path.with_suffix('.parquet')}")
    if path.is_dir():
        raise Refused(f"{path} is a folder", instead="give a file's name")


def write(path: Path, examples: Sequence[Example], vectors_ND: Embedded, about: Mapping[str, str]) -> None:
    """Whole or not at all; `embedding` is a list of fixed size of float32, `about` the file's own metadata.

    Raises Failed when the disk refuses.
    """
    columns: dict[str, Any] = {"id": pa.array([each.id for each in examples], pa.string())}
    if any(each.split for each in examples):
        columns["split"] = pa.array([each.split for each in examples], pa.string())
    kinds = {type(each) for each in examples}
    for kind in kinds & {*RIGHT} if len(kinds) == 1 else ():
        name, field, dtype = RIGHT[kind]
        columns[name] = pa.array([getattr(each, field) for each in examples], dtype)
    flat = pa.array(vectors_ND.ravel(), pa.float32())
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(flat, vectors_ND.shape[1])
    table = pa.table(columns).replace_schema_metadata(dict(about))
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, aside)
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise disk_error(path, error) from error
