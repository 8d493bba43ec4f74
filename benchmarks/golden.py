"""The golden recipes: which real public files each reads, and how a small excerpt of them is written for two cores.

Rows of an excerpt stand at equal distances in the file, so that classes keep their shares.
"""

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from affina.core.recipe import Recipe

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
Excerpt = Callable[[Sequence[Path], Path, int], list[Path]]
"""(the files, the folder to write to, how many rows in all) → what was written."""
Each = TypeVar("Each")


def spread(rows: Sequence[Each], count: int) -> list[Each]:
    """So many of the rows, at equal distances; all where there are fewer."""
    count = min(count, len(rows))
    return [rows[place * len(rows) // count] for place in range(count)]


def lines(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of files without a header, a row each line."""
    return [_lines(file, folder, count // len(files), 0) for file in files]


def headed_lines(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of files whose first line names the columns."""
    return [_lines(file, folder, count // len(files), 1) for file in files]


def _lines(file: Path, folder: Path, count: int, header: int) -> Path:
    held = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return written(folder / file.name, "".join(held[:header] + spread(held[header:], count)))


def table(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of CSV files whose cells may hold line ends, with commas or semicolons between them."""
    for file in files:
        with file.open(encoding="utf-8", newline="") as stream:
            mark = max(",;", key=stream.readline().count)
            stream.seek(0)
            names, *rows = csv.reader(stream, delimiter=mark)
        with (folder / file.name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, delimiter=mark).writerows([names, *spread(rows, count // len(files))])
    return [folder / file.name for file in files]


def bills(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of BillSum's table, text and summary: the first 300 words of each bill."""
    (file,) = files
    with file.open(encoding="utf-8", newline="") as stream:
        rows = [
            {"text": " ".join(each["text"].split()[:300]), "summary": each["summary"]}
            for each in csv.DictReader(stream)
        ]
    return [written(folder / "billsum.jsonl", "".join(json.dumps(row) + "\n" for row in spread(rows, count)))]


def sentences(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of files that have a word each line and a blank line between sentences."""
    found = []
    for file in files:
        held = [each for each in re.split(r"\n\s*\n", file.read_text(encoding="utf-8")) if each.strip()]
        found.append(written(folder / file.name, "\n\n".join(spread(held, count // len(files))) + "\n"))
    return found


def array(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of a JSON file that is an array."""
    (file,) = files
    return [written(folder / file.name, json.dumps(spread(json.loads(file.read_text(encoding="utf-8")), count)))]


def keyed(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of a JSON file that is an object with a record under every key."""
    (file,) = files
    held = json.loads(file.read_text(encoding="utf-8"))
    return [written(folder / file.name, json.dumps(dict(spread([*held.items()], count))))]


def intents(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of Snips' files, {intent: [{data: [{text: …}, …]}, …]}, as {text, intent}."""
    rows = []
    for file in files:
        ((intent, held),) = json.loads(file.read_text(encoding="utf-8")).items()
        for each in spread(held, count // len(files)):
            rows.append({"text": "".join(piece["text"] for piece in each["data"]).strip(), "intent": intent})
    return [written(folder / "snips.jsonl", "".join(json.dumps(row) + "\n" for row in rows))]


def chapters(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """The opening of every chapter of a Project Gutenberg book, a file each, `count` words together."""
    (file,) = files
    book = re.split(r"\*\*\* (?:START|END) OF THIS PROJECT[^\n]*", file.read_text(encoding="utf-8"))[1]
    _, *held = re.split(r"\n\s+CAPITOLO [^\n]*\n", book)
    return [
        written(folder / f"{place:02}.txt", " ".join(each.split()[: count // len(held)]) + "\n")
        for place, each in enumerate(held, 1)
    ]


def documents(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """The opening of every text file, a file each, `count` words together."""
    return [
        written(folder / file.name, " ".join(file.read_text("utf-8", "replace").split()[: count // len(files)]) + "\n")
        for file in files
    ]


def questions(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of jack's form of SQuAD, {instances: [{support: [{text}], questions: [{question, answers: [{text, span}]}]}]}."""
    (file,) = files
    rows = []
    for held in json.loads(file.read_text(encoding="utf-8"))["instances"]:
        for each in held["questions"]:
            texts, starts = [a["text"] for a in each["answers"]], [a["span"][0] for a in each["answers"]]
            rows.append(
                {
                    "question": each["question"]["text"],
                    "context": held["support"][0]["text"],
                    "answers": {"text": texts, "answer_start": starts},
                }
            )
    return [written(folder / "squad.jsonl", "".join(json.dumps(row) + "\n" for row in spread(rows, count)))]


def turns(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of SGD's dialogues, {services, turns: [{speaker, utterance}]}, as messages after a system prompt."""
    (file,) = files
    roles = {"USER": "user", "SYSTEM": "assistant"}
    rows = []
    for each in spread(json.loads(file.read_text(encoding="utf-8")), count):
        system = {"role": "system", "content": f"You help with {', '.join(each['services'])}. Ask for what is missing."}
        said = [{"role": roles[turn["speaker"]], "content": turn["utterance"]} for turn in each["turns"]]
        rows.append({"messages": [system, *said]})
    return [written(folder / "dialogues.jsonl", "".join(json.dumps(row) + "\n" for row in rows))]


def rated_lines(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of lines that begin with a label and a space, as columns label and text."""
    path = folder / f"{files[0].stem}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["label", "text"])
        for file in files:
            held = file.read_text(encoding="utf-8").splitlines()
            table.writerows(line.split(" ", 1) for line in spread(held, count // len(files)))
    return [path]


def sides(files: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Of two files that go together line by line, the same lines of both."""
    return [_lines(file, folder, count, 0) for file in files]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@dataclass(frozen=True)
class Golden:
    """A recipe, its files below the folder of data, and the excerpt that shows on two cores what it is worth."""

    recipe: str
    folder: str
    files: tuple[str, ...]
    """Names, or patterns of names."""
    excerpt: Excerpt
    rows: int
    long: bool = False
    """It takes minutes on two cores: measured by `benchmarks/recipes.py`, in no test."""

    def sources(self, data: Path) -> list[Path]:
        """The real files, in the order of their names where a pattern stands for them."""
        return [path for name in self.files for path in sorted((data / self.folder).glob(name))]

    def small(self, data: Path, folder: Path, seed: int = 0) -> Recipe:
        """The recipe on an excerpt, written into the folder; too short a run to repay a compilation."""
        read = [str(path.resolve()) for path in self.excerpt(self.sources(data), folder, self.rows)]
        changes: dict[str, Any] = {"data.read": read, "train.seed": seed, "train.compute.compile": "off"}
        return Recipe.load(RECIPES / f"{self.recipe}.yaml", changes)


GOLDEN = (
    Golden("sms_spam", "sms_spam", ("sms.tsv",), lines, 500),
    Golden("banking77", "banking77", ("train.csv",), table, 900),
    Golden("snips_intents", "snips_2017_custom_intents", ("validate_*.json",), intents, 350),
    Golden("wnut17", "wnut17", ("wnut17train.conll",), sentences, 3394, long=True),
    Golden("wikineural_it", "wikineural_it_test", ("test.conllu",), sentences, 2000),
    Golden("sentipolc_it", "sentipolc16_it", ("sentipolc16_officialdistrib_train.csv",), headed_lines, 500),
    Golden("bank_marketing", "bank_marketing", ("bank_marketing_train_data.csv",), headed_lines, 800),
    Golden("sparkov", "sparkov_transactions_a", ("adults_*.csv", "young_*.csv"), lines, 720),
    Golden("preference", "raschka_preference", ("instruction-data-with-preference.json",), array, 300),
    Golden("pubmedqa", "pubmedqa_labeled", ("ori_pqal.json",), keyed, 500),
    Golden("promessi_sposi", "promessi_sposi", ("promessi_sposi.txt",), chapters, 15_000),
    Golden("faq_search_it", "qa4faq_it", ("faqs_uft8_QA.csv",), table, 406),
    Golden("bank_age", "bank_marketing", ("bank_marketing_train_data.csv",), headed_lines, 1200),
    Golden("sst2", "sst2_binary", ("stsa.binary.train",), rated_lines, 1200),
    Golden("squad", "squad_sample_jack_format", ("train.json",), questions, 500, long=True),
    Golden("dialogsum", "dialogsum_dev_test", ("dialogsum.dev.jsonl",), lines, 180, long=True),
    Golden("billsum", "billsum_sample", ("billsum-0.csv",), bills, 160, long=True),
    Golden("e2e_nlg", "e2e_nlg", ("devset.csv",), table, 700, long=True),
    Golden("e2e_masked", "e2e_nlg", ("devset.csv",), table, 4672, long=True),
    Golden("e2e_permuted", "e2e_nlg", ("devset.csv",), table, 4672, long=True),
    Golden("qa4faq_it", "qa4faq_it", ("faqs_uft8_QA.csv",), table, 200, long=True),
    Golden("code_alpaca", "code_alpaca_2k", ("code_alpaca_2k.json",), array, 400, long=True),
    Golden("tool_calls", "glaive_toolcall_en_demo", ("glaive_toolcall_en_demo.json",), array, 120, long=True),
    Golden("dialogues", "sgd_dialogues", ("train_dialogues_044_first60.json",), turns, 60, long=True),
    Golden("costituzione", "costituzione_italiana", ("articoli.csv",), table, 160, long=True),
    Golden("sec_contracts", "sec_contracts", ("severance__*.txt",), documents, 30_000, long=True),
    Golden("tatoeba_en_it", "tatoeba_en_it_es", ("eng-ita.eng", "eng-ita.ita"), sides, 6000, long=True),
    Golden("tatoeba_it_en", "tatoeba_en_it_es", ("eng-ita.ita", "eng-ita.eng"), sides, 6000, long=True),
)
