"""New tasks after the example of a few (Wang et al. 2023, self-instruct): instructions, then an example of each."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from affina.core.errors import Refused
from affina.core.kinds import Made, Maker, Record, Sampling, Workshop
from affina.data.asked import Put, likelihoods, said
from affina.data.likeness import likest, repeats_itself, words
from affina.data.prompt import prompt
from affina.data.seeds import Task, tasks

TOGETHER = 8
"""Lists of tasks that are continued in a round."""
DEMONSTRATIONS = 4
"""Worked tasks that are shown before a new one."""
NOTHING = "none"
"""How an empty input is written in prompts."""
SHORTEST, LONGEST = 3, 150
"""Words of an instruction (the published bounds)."""
CUT = 300
"""Characters of a demonstration's input and output that are shown."""
BEYOND = re.compile(
    r"\b(images?|pictures?|photos?|graphs?|plots?|diagrams?|flowcharts?|files?|maps?|draw|videos?|audio|music|links?|"
    r"immagin[ei]|foto|grafic[oi]|disegna\w*|mapp[ae]|musica)\b",
    re.IGNORECASE,
)
"""What a model of text cannot look at or make."""
_SECOND = re.compile(r"\n\s*(?:Input|Output|Label):")
_END = re.compile(r"\n\s*(?:Task:|\n)")
FILTERS = ("length", "possible in text", "new", "example")


class Drawn(NamedTuple):
    """What a round is about: its number, the seed tasks, and those that demonstrate."""

    number: int
    seeds: Sequence[Task]


class SelfInstruct(Maker):
    """Lists of known tasks, which the model continues; of each new instruction an input and an output (the output
    first where it is a label). Rows are Alpaca's."""

    makes: ClassVar[str] = "alpaca"

    seeds: int = Field(6, ge=1)
    """Seed tasks in a list that is continued."""
    made: int = Field(2, ge=0)
    """Tasks made before in such a list, as soon as there are any."""
    alike: float = Field(0.7, gt=0, le=1)
    """ROUGE-L from which an instruction repeats one that is known."""
    temperature: float = Field(0.7, ge=0)
    """Of sampling instructions and examples."""
    instruction_tokens: int = Field(96, ge=8)
    """What a continued list may take."""
    example_tokens: int = Field(192, ge=8)
    """What an example may take; one that does not end within it is rejected."""

    def material(self, records: Iterable[Record]) -> list[Task]:
        """Seed tasks. Raises Refused where there are too few to list."""
        found = tasks(records)
        if len(found) < self.seeds:
            what, why = f"{self.seeds} seed tasks in a list", f"only {len(found)} can be used"
            raise Refused(what, why, f"give more tasks, or set seeds to {len(found)}")
        return found

    def rounds(self, material: Sequence[Task], workshop: Workshop) -> Iterator[Drawn]:
        """Without end: rows that are kept are listed in later rounds."""
        number = 0
        while True:
            yield Drawn(number, material)
            number += 1

    def round(self, about: Drawn, kept: Sequence[Mapping[str, Any]], workshop: Workshop) -> Iterator[Made]:
        """Every instruction of the continued lists, kept with its example or rejected."""
        draws = random.Random(f"{workshop.seed}\0{about.number}")
        pool = [words(each.instruction) for each in about.seeds] + [words(row["instruction"]) for row in kept]
        new: list[str] = []
        for instruction in self._instructions(about, kept, workshop, draws):
            problem = _flaw(instruction)
            if not problem and likest(words(instruction), pool, self.alike):
                problem = "it repeats a known instruction"
            if problem:
                yield Made({"instruction": instruction}, _origin(about, "instructions"), rejected=problem)
            else:
                pool.append(words(instruction))
                new.append(instruction)
        yield from self._examples(new, about, workshop, draws)

    def known(self) -> dict[str, str]:
        """The prompts with their versions."""
        named = ("instructions", "is_classification", "input_first", "output_first")
        return {name: prompt(name).reference for name in named}

    def _instructions(
        self, about: Drawn, kept: Sequence[Mapping[str, Any]], workshop: Workshop, draws: random.Random
    ) -> Iterator[str]:
        asked = []
        for _ in range(TOGETHER):
            listed = [each.instruction for each in draws.sample(about.seeds, self.seeds)]
            listed += [row["instruction"] for row in draws.sample(kept, min(self.made, len(kept)))]
            draws.shuffle(listed)
            lines = [f"{place}. {' '.join(each.split())[:CUT]}" for place, each in enumerate(listed, 1)]
            asked.append(Put(prompt("instructions"), {"tasks": "\n".join(lines), "next": str(len(lines) + 1)}))
        how = Sampling(self.instruction_tokens, self.temperature, 0.95, draws.randrange(2**31))
        for put, answer in zip(asked, said(workshop.model, asked, how), strict=True):
            yield from _listed(f"{put.given['next']}.{answer.text}", whole=answer.stopped)

    def _examples(self, new: Sequence[str], about: Drawn, workshop: Workshop, draws: random.Random) -> Iterator[Made]:
        choices = _choices(new, about.seeds, workshop, draws)
        asked = [_example_of(each, choice, about.seeds, draws) for each, choice in zip(new, choices, strict=True)]
        how = Sampling(self.example_tokens, self.temperature, 0.95, draws.randrange(2**31))
        for instruction, choice, put, answer in zip(new, choices, asked, said(workshop.model, asked, how), strict=True):
            row = {"instruction": instruction, **_parted(answer.text, choice)}
            problem = _bad(row, choice, answer.stopped or _END.search(answer.text) is not None)
            origin = {**_origin(about, "instructions", put.prompt.name), "choice": choice}
            yield Made(row, origin, () if problem else FILTERS, problem)


def _listed(text: str, whole: bool) -> Iterator[str]:
    """The instructions of a continued list, a numbered line each; the last is none where it was cut off."""
    lines = text.split("\n")
    for place, line in enumerate(lines):
        found = re.match(r"\s*\d+[.)]\s*(.*\S)", line)
        if found is None:
            return
        if place + 1 < len(lines) or whole:
            yield " ".join(found[1].split())


def _flaw(instruction: str) -> str:
    """What is wrong with an instruction by itself; empty where nothing is."""
    count = len(instruction.split())
    if not SHORTEST < count <= LONGEST:
        return "it is too short or too long"
    if BEYOND.search(instruction):
        return "it asks for what text alone cannot do"
    if not instruction[0].isalpha():
        return "it does not begin with a letter"
    if re.match(r"write a program\b", instruction, re.IGNORECASE):
        return "it asks for a program, of what kind is not said"
    return ""


def _choices(new: Sequence[str], seeds: Sequence[Task], workshop: Workshop, draws: random.Random) -> list[bool]:
    """Whether each instruction has a closed set of answers: which of yes and no is likelier after examples of both."""
    both = {kind: [each for each in seeds if each.choice is kind] for kind in (True, False)}
    if not new or not all(both.values()):
        return [bool(both[True])] * len(new)
    shown = [each for kind in (True, False) for each in draws.sample(both[kind], min(DEMONSTRATIONS, len(both[kind])))]
    draws.shuffle(shown)
    lines = "\n\n".join(f"Task: {_short(each.instruction)}\nLabels: {'yes' if each.choice else 'no'}" for each in shown)
    pairs = [
        (Put(prompt("is_classification"), {"examples": f"{lines}\n", "instruction": each}), answer)
        for each in new
        for answer in (" yes", " no")
    ]
    found = likelihoods(workshop.model, pairs)
    return [bool(yes > no) for yes, no in zip(found[::2], found[1::2], strict=True)]


def _example_of(instruction: str, choice: bool, seeds: Sequence[Task], draws: random.Random) -> Put:
    """The prompt for an example, after worked tasks of the same kind where there are any."""
    alike = [each for each in seeds if each.choice is choice] or [*seeds]
    shown = draws.sample(alike, min(DEMONSTRATIONS, len(alike)))
    given, answer = ("Input", "Output") if not choice else ("Input", "Label")
    parts = []
    for each in shown:
        told = f"{given}: {_short(each.input) or NOTHING}"
        right = f"{answer}: {_short(each.output)}"
        both = (right, told) if choice else (told, right)
        parts.append("\n".join((f"Task: {_short(each.instruction)}", *both)))
    name = "output_first" if choice else "input_first"
    return Put(prompt(name), {"examples": "\n\n".join(parts) + "\n", "instruction": instruction})


def _parted(text: str, choice: bool) -> dict[str, str]:
    """The input and the output of an example as the model wrote it, up to where it begins another task."""
    first, *rest = (part.strip() for part in _SECOND.split(_END.split(text, maxsplit=1)[0], maxsplit=1))
    given, output = ("".join(rest), first) if choice else (first, "".join(rest))
    return {"input": "" if given.casefold().strip(".") == NOTHING else given, "output": output}


def _bad(row: Mapping[str, str], choice: bool, ended: bool) -> str:
    """What is wrong with an example; empty where nothing is."""
    given, output = row["input"], row["output"]
    if not output:
        return "its example has no output"
    if choice and not given:
        return "its example has no input"
    if not ended:
        return "its example did not come to an end"
    if words(output) == words(given) or words(output) == words(row["instruction"]):
        return "its output repeats what was given"
    return "its output repeats itself" if repeats_itself(output) else ""


def _short(text: str) -> str:
    return " ".join(text.split())[:CUT]


def _origin(about: Drawn, *prompts: str) -> dict[str, Any]:
    return {"round": about.number, "prompts": [prompt(name).reference for name in prompts]}
