"""`data_look`: files looked at as training would read them, as plain data and as a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from affina.core.atomic import write_text
from affina.core.errors import Refused
from affina.core.invalid import located
from affina.core.recipe import Data
from affina.core.say import Say, Silent
from affina.data.look import Looking
from affina.data.looked import Count, as_plain
from affina.data.tokens import Vocabulary
from affina.engine.source import find
from affina.evaluation.look_page import page


def data_look(
    files: str | Sequence[str],
    reader: Any = None,
    shape: Any = None,
    base: str | None = None,
    html: str | Path | None = None,
    say: Say | None = None,
) -> dict[str, Any]:
    """What is in `files`, how it is read and what is wrong with it; `reader` and `shape` are as in a recipe.

    Returns rows, files, format, encoding, shape, task and why each; columns, languages, lengths (`base`: in its tokens
    too), classes, numbers, duplicates, problems (kind, file, line, times, sentence), ledger, samples, notes, what a
    recipe's `data` would say, and `error`: None where the files can be used, else what, why and instead.
    `html`: a page to write.
    Raises Refused for files that cannot be read at all.
    """
    say = say or Silent()
    if html is not None and not Path(html).parent.is_dir():
        raise Refused(f"there is no folder {Path(html).parent}", instead="make it, or write the page elsewhere")
    try:
        data = Data.model_validate({"read": files, "reader": reader, "shape": shape})
    except ValidationError as error:
        raise located(Data, error, "", "data look") from error
    seen = Looking(data, Path(), say)
    plain = {**as_plain(seen, _counting(base, say) if base else None), "base": base, "error": _error(seen)}
    if html is not None:
        write_text(Path(html), page(plain))
        plain["html"] = str(html)
    return plain


def _counting(base: str, say: Say) -> Count:
    """Counts tokens with the base's own tokenizer."""
    vocabulary = Vocabulary(find(base, progress=say.progress).folder)
    return lambda texts: [len(each.ids) for each in vocabulary.encode(texts)]


def _error(seen: Looking) -> dict[str, str] | None:
    """Why the files cannot be used; None where a row can."""
    refused = seen.refused
    if refused is None and not seen.used:
        reasons, read = seen.ledger.reasons(), seen.ledger.summary()["read"]
        told = "; ".join(f"{times} × {reason}" for reason, times in reasons[:3])
        why = f"{read} were read and all set aside: {told}" if read else "there are no rows"
        refused = Refused("no row can be used", why=why, instead="mend the file, or name its columns with `--shape`")
    if refused is None:
        return None
    parts = {"what": refused.what, "why": refused.why, "instead": refused.instead, "where": refused.where}
    return {**parts, "sentence": str(refused)}
