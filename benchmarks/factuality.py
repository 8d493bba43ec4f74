"""How well answers that their source does not bear out are found: precision and recall on two public sets.

    nice -n 19 python benchmarks/factuality.py --data DATA --out results.json

A model of entailment is trained on 1,000 SNLI pairs (minilm with a new label head) and its accuracy on held-out pairs
stated; then `affina.evaluation.support` checks answers of TAT-QA (spans of a financial report, table included) and of
PubMedQA (a paper's conclusion against its abstract). Every other answer is corrupted first, in a fixed way: a number
changed, a name or term exchanged, a sentence negated. An answer is as well supported as its worst claim.
"""

import argparse
import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score

import affina
from affina.cli.runtime import prepare
from affina.core.kinds import Floats
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.core.say import Silent
from affina.evaluation.open import open_model
from affina.evaluation.statistics import wilson
from affina.evaluation.support import Entailment, Support, claims, names, numbers, supports

FORM = "{source} | {claim}"
LABELS = ("contradiction", "entailment", "neutral")
PASSAGES = 3
THRESHOLD = 0.5
NEGATED = re.compile(r"\b(is|are|was|were|can|may|could|should|has|have|had|will|would)\b(?! not)")


class Item(NamedTuple):
    """An answer, what it is held against, and how it was corrupted; "" where it was not."""

    id: str
    source: str
    question: str
    answer: str
    corrupted: str = ""


def tatqa(file: Path, most: int) -> list[Item]:
    """Answers that are passages of the report; what has to be computed or counted stands nowhere in it."""
    found = []
    for each in json.loads(file.read_text(encoding="utf-8")):
        rows = [" ".join(filter(None, row)) + "." for row in each["table"]["table"]]
        source = "\n\n".join([*rows, *(paragraph["text"] for paragraph in each["paragraphs"])])
        found += [
            Item(asked["uid"], source, asked["question"], ", ".join(map(str, asked["answer"])))
            for asked in each["questions"]
            if asked["answer_type"] in ("span", "multi-span")
        ]
    return _spread(found, most)


def pubmedqa(file: Path, most: int) -> list[Item]:
    """Conclusions of papers, a sentence or a few each."""
    held = json.loads(file.read_text(encoding="utf-8"))
    return _spread(
        [Item(id, "\n\n".join(each["CONTEXTS"]), "", each["LONG_ANSWER"]) for id, each in held.items()], most
    )


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    most = min(most, len(items))
    return [items[place * len(items) // most] for place in range(most)]


def corrupted(items: Sequence[Item]) -> list[Item]:
    """Every other answer changed; the kind of change goes round, and the next is taken where one finds nothing."""
    kinds = ("number", "name", "negated")
    found = []
    for place, item in enumerate(items):
        if place % 2:
            found.append(item)
            continue
        turned = kinds[place // 2 % 3 :] + kinds[: place // 2 % 3]
        other = items[(place + 2) % len(items)]
        changed = next(
            (
                item._replace(answer=answer, corrupted=kind)
                for kind in turned
                if (answer := CHANGES[kind](item, other, place // 6)) != item.answer
            ),
            item._replace(answer=other.answer, corrupted="another answer"),
        )
        found.append(changed)
    return found


def _number(item: Item, other: Item, turn: int) -> str:
    """By turns another number of the source, or the same with another first digit."""
    said = next((said for said, _ in numbers(item.answer) if said[0].isdigit()), "")
    if not said:
        return item.answer
    others = [each for each, _ in numbers(item.source) if each[0].isdigit() and each != said]
    changed = others[turn % len(others)] if turn % 2 and others else str(int(said[0]) % 9 + 1) + said[1:]
    return item.answer.replace(said, changed, 1)


def _name(item: Item, other: Item, turn: int) -> str:
    """By turns another name of the source, or one of another source."""
    own = names(item.answer)
    pool = [each for each in names(item.source if turn % 2 else other.source) if each not in item.answer]
    return item.answer.replace(own[0], pool[turn % len(pool)], 1) if own and pool else item.answer


def _negated(item: Item, other: Item, turn: int) -> str:
    """The first verb that takes a "not" gets one; a "not" that stands there goes."""
    if " not " in item.answer:
        return item.answer.replace(" not ", " ", 1)
    return NEGATED.sub(r"\1 not", item.answer, count=1)


CHANGES = {"number": _number, "name": _name, "negated": _negated}


def entailment(data: Path, folder: Path, steps: int) -> tuple[Entailment, dict[str, Any]]:
    """The trained model, and what it got right of the pairs kept for the test: no picture is in two splits. A run that
    is there already is taken as it stands."""
    rows = []
    with (data / "squad_sample_jack_format" / "snli_1000_train.jsonl").open(encoding="utf-8") as lines:
        for each in map(json.loads, lines):
            if each["gold_label"] in LABELS:
                text = FORM.replace("{source}", each["sentence1"]).replace("{claim}", each["sentence2"])
                rows.append({"text": text, "label": each["gold_label"], "picture": each["captionID"].split("#")[0]})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "snli.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    sections: dict[str, Any] = {
        "name": "snli",
        "model": {"base": "minilm"},
        "data": {
            "read": ["snli.jsonl"],
            "shape": {"name": "labelled", "text": "text", "label": "label"},
            "keep": ["picture"],
            "transforms": [{"name": "split", "test": 0.2, "validation": 0.1, "group": "picture", "near": 1.0}],
            "max_tokens": 256,
        },
        "objective": {"name": "classify"},
        "tuning": "full",
        "train": {"steps": steps, "batch": 32, "learning_rate": 1e-4},
        "evaluate": {"metrics": ["accuracy"]},
    }
    if not (folder / "runs" / "snli").is_dir():
        affina.train(Recipe.build(sections, folder), root=folder / "runs")
    found = affina.evaluate("snli", root=folder / "runs")
    best = Run(folder / "runs" / "snli").best("loss", False)
    assert best is not None, "what can be evaluated has a best checkpoint"
    told = {"pairs": len(rows), "step": best[0], "held_out": found["items"], "accuracy": found["metrics"]["accuracy"]}
    model = open_model("snli", folder / "runs", False, Silent()).model
    return Entailment(model, LABELS, FORM), told


def checked(items: Sequence[Item], by: Entailment) -> list[list[Support]]:
    """What the source says of every claim of every answer."""
    asked = [
        (n, item.source, f"{item.question} {claim}".strip())
        for n, item in enumerate(items)
        for claim in ([item.answer] if item.question else claims(item.answer))
    ]
    found: list[list[Support]] = [[] for _ in items]
    for (n, _, _), support in zip(asked, supports([each[1:] for each in asked], by, PASSAGES), strict=True):
        found[n].append(support)
    return found


def table(items: Sequence[Item], found: Sequence[Sequence[Support]]) -> Iterator[dict[str, Any]]:
    """Each way to score an answer: precision and recall of finding corrupted ones, and how well it ranks them."""
    wrong_N = np.array([bool(item.corrupted) for item in items])
    ways = {
        "entailment and what is missing": [min((each.score for each in some), default=0.0) for some in found],
        "entailment alone": [min((each.entailed for each in some), default=0.0) for some in found],
        "not contradicted": [1 - max((each.contradicted for each in some), default=1.0) for some in found],
        "nothing missing, not contradicted": [
            min((0.0 if each.missing else 1 - each.contradicted for each in some), default=0.0) for some in found
        ],
        "what is missing alone": [float(not any(each.missing for each in some)) for some in found],
    }
    half = np.arange(len(items)) // 2 % 2 == 0
    for way, scores in ways.items():
        scores_N = np.array(scores)
        chosen = _best(scores_N[half], wrong_N[half])
        yield {
            "score": way,
            "auc": float(roc_auc_score(wrong_N, -scores_N)),
            "at 0.5": _counted(scores_N < THRESHOLD, wrong_N, items),
            "threshold chosen on one half": chosen,
            "at that, on the other half": _counted(
                scores_N[~half] < chosen,
                wrong_N[~half],
                [item for item, own in zip(items, half, strict=True) if not own],
            ),
        }


def _best(scores_N: Floats, wrong_N: Any) -> float:
    """The threshold of the highest F1."""
    tried = [*np.unique(scores_N), 1.01]
    return float(max(tried, key=lambda at: _f1(scores_N < at, wrong_N)))


def _f1(flagged_N: Any, wrong_N: Any) -> float:
    return float(2 * (flagged_N & wrong_N).sum() / max(flagged_N.sum() + wrong_N.sum(), 1))


def _counted(flagged_N: Any, wrong_N: Any, items: Sequence[Item]) -> dict[str, Any]:
    met = int((flagged_N & wrong_N).sum())
    kinds = sorted({item.corrupted for item in items if item.corrupted})
    of = {kind: np.array([item.corrupted == kind for item in items]) for kind in kinds}
    return {
        "precision": _share(met, int(flagged_N.sum())),
        "recall": _share(met, int(wrong_N.sum())),
        "f1": _f1(flagged_N, wrong_N),
        "recall by corruption": {
            kind: _share(int((flagged_N & own).sum()), int(own.sum())) for kind, own in of.items()
        },
    }


def _share(part: int, whole: int) -> dict[str, float]:
    low, high = wilson(part, max(whole, 1), 0.05)
    return {"value": part / max(whole, 1), "low": float(low), "high": float(high), "n": whole}


def main() -> None:
    prepare()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds a folder per data set")
    parser.add_argument("--work", type=Path, default=Path("factuality"), help="where the model of entailment is kept")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rows", type=int, default=300, help="answers of each set")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    given = parser.parse_args()
    began = time.perf_counter()
    by, told = entailment(given.data, given.work, given.steps)
    print(json.dumps({"entailment": told}), flush=True)
    found: dict[str, Any] = {"entailment": told, "passages": PASSAGES, "sets": {}}
    sets = {
        "tatqa_dev": tatqa(given.data / "tatqa_dev" / "tatqa_dataset_dev.json", given.rows),
        "pubmedqa_labeled": pubmedqa(given.data / "pubmedqa_labeled" / "ori_pqal.json", given.rows),
    }
    for name, items in sets.items():
        changed = corrupted(items)
        lines = list(table(changed, checked(changed, by)))
        found["sets"][name] = {
            "answers": len(items),
            "corrupted": sum(bool(i.corrupted) for i in changed),
            "table": lines,
        }
        print(json.dumps({name: lines}), flush=True)
    found["seconds"] = round(time.perf_counter() - began, 1)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
