"""A finished run as an export starts from it: what its tuning wrote and, where that can be, the merged model."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.export import HEAD, Exportable
from affina.core.kinds import Ending
from affina.data.template import PLAIN
from affina.engine.torch import tensor_file, tuned
from affina.engine.torch.exact import Exact
from affina.engine.torch.library import QUANTISED
from affina.engine.torch.load import Network
from affina.engine.torch.quantised import Quantised
from affina.engine.torch.whole import write_folder
from affina.evaluation.open import Opened

TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
FLOAT32 = Computing("float32")
EVERY = ("tags", "span")
"""Heads that look at every token."""
GENERATES = ("past", "source")
"""How models of words read that generate."""


def exact(opened: Opened) -> Exact:
    """The run's own model, in float32."""
    return Exact(_reopened(opened))


def exportable(opened: Opened, scratch: Path) -> Exportable:
    """Written below `scratch`, a folder that exists. Raises Refused for a model whose answers nothing else can show."""
    ending = ending_of(opened)
    if ending.head == "words" and ending.reads == "order":
        why = "its answers come of two streams of states, which nothing that serves it computes"
        raise Refused(f"{opened.name} cannot be exported", why)
    model = _reopened(opened)
    network, folders = model.network, [scratch / name for name in ("tuned", "merged")]
    for folder in folders:
        folder.mkdir()
    assert opened.trained is not None, "only a run is exported"
    tuning = opened.trained[0]
    tuning.write(network.model, folders[0], opened.base)
    not_merged = ""
    try:
        tuning.merge(network.model)
    except Refused as refused:
        not_merged = str(refused)
        shutil.rmtree(folders.pop())
    else:
        _merged(network, folders[1], opened.base)
    for folder in folders:
        _dress(folder, opened, network)
    merged = None if not_merged else folders[1]
    return Exportable(opened.base, folders[0], merged, not_merged, ending.head, ending.reads, opened.labels)


def ending_of(opened: Opened) -> Ending:
    """What the run's model ends in."""
    return opened.objective.ending(len(opened.labels))


def _reopened(opened: Opened) -> Any:
    assert opened.trained is not None, "only a run is exported"
    return tuned.reopen(opened.base, opened.model.renderer, FLOAT32, ending_of(opened), opened.trained)  # type: ignore[arg-type]


def _merged(network: Network, folder: Path, base: Path) -> None:
    """Weights and config; the config names the class that the weights are of."""
    write_folder(network.model, folder, base, wide=True)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config = {name: each for name, each in config.items() if name != "torch_dtype"}
    _json(path, {**config, "dtype": "float32", "architectures": [type(network.model).__name__]})


def _dress(folder: Path, opened: Opened, network: Network) -> None:
    """The tokenizer, the template as training rendered it, what ends an answer, and a new head."""
    renderer: Any = opened.model.renderer
    shutil.copy(opened.base / TOKENIZER[0], folder / TOKENIZER[0])
    settings = _read(opened.base / TOKENIZER[1])
    settings.pop("chat_template", None)
    named = renderer.vocabulary.named  # what a class of its own would know, the general one is told
    _json(folder / TOKENIZER[1], {**named, **settings, "tokenizer_class": "PreTrainedTokenizerFast"})
    (folder / "generation_config.json").unlink(missing_ok=True)
    for template in folder.glob("chat_template*"):
        template.unlink()
    if network.ending.head == "words" and network.ending.reads in GENERATES:
        _json(folder / "generation_config.json", {"eos_token_id": sorted(stops_of(opened))})
    if network.ending.head == "words" and network.ending.reads == "past":
        source = self_contained(renderer.template.source, renderer.template.tokens)
        (folder / "chat_template.jinja").write_text(source, encoding="utf-8")
    if few := next((each for each in network.modules() if isinstance(each, Quantised)), None):
        _json(folder / QUANTISED, {"quant": few.quant, "double": hasattr(few, "outer_scales")})
    if network.head is not None:
        tensor_file.write(network.head.state_dict(), folder / HEAD[0])
    if network.ending.head != "words":
        place = "every" if network.ending.head in EVERY else "last" if network.sums_up_last else "first"
        _json(folder / HEAD[1], {"head": network.ending.head, "labels": list(opened.labels), "place": place})


def stops_of(opened: Opened) -> frozenset[int]:
    """The ids that end an answer."""
    renderer: Any = opened.model.renderer
    return frozenset(renderer.stops if ending_of(opened).reads == "past" else renderer.vocabulary.stops)


def self_contained(source: str, tokens: Mapping[str, str]) -> str:
    """A template that needs no variable which only this library gives: what opens a plain text is written out."""
    if source != PLAIN:
        return source
    for name in ("opening", "eos_token"):
        source = source.replace(
            f"{{{{ {name} }}}}", f"{{{{ {json.dumps(tokens.get(name, ''), ensure_ascii=False)} }}}}"
        )
    return source


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _json(path: Path, plain: Any) -> None:
    path.write_text(json.dumps(plain, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
