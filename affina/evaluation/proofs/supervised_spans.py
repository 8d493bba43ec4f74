"""Every row has targets, and a conversation's targets are its assistant turns, word for word."""

from affina.core.example import (
    Chat,
    Example,
    Gapped,
    MultiLabelled,
    Pair,
    Parallel,
    Question,
    Rated,
    Related,
    Tagged,
    Text,
)  # fmt: skip
from affina.core.kinds import Bench, Finding, Proof, Renderer, Row
from affina.evaluation.probe import sampled, spans

READ = 200  # conversations compared word for word
SHOWN = 160  # characters
TARGETS: dict[type[Example], str] = {
    Text: "every token of the text",
    Gapped: "the tokens behind the gaps, drawn anew each time",
    MultiLabelled: "the set of labels of every text",
    Rated: "the number of every text",
    Tagged: "the tag of every word, at its first token",
    Question: "the first and the last token of the answer, or the first place where a window has none",
    Parallel: "every token of the result, after the source was read",
    Pair: "which of two answers is the better",
    Related: "which text belongs to the first",
}


class SupervisedSpans(Proof):
    """No row without a target; decoded, the targets of a conversation are what its assistant says."""

    def examine(self, bench: Bench) -> Finding:
        empty = [row.id for row in bench.rows if not row.taught]
        if empty:
            return Finding(
                False,
                f"{len(empty)} rows have nothing to learn, {empty[0]} first: give them an answer, "
                "raise data.max_tokens, or take them out",
            )
        if len(bench.rows) != len(bench.examples) or not isinstance(bench.examples[0], Chat):
            told = TARGETS.get(type(bench.examples[0]), "the label of every text")
            return Finding(True, f"{len(bench.rows)} rows; the target is {told}")
        renderer, read = bench.engine.renderer, sampled(bench.rows, READ, bench.seed)
        for place in read:
            wrong = _difference(renderer, bench.examples[place], bench.rows[place])
            if wrong:
                return Finding(False, wrong)
        row = bench.rows[read[0]]
        said = " … ".join(renderer.text(row.tokens[start:stop].tolist()) for start, stop in spans(row))
        return Finding(
            True, f"{len(bench.rows)} rows, {len(read)} read word for word; {row.id} learns “{said[:SHOWN]}”"
        )


def _difference(renderer: Renderer, example: Example, row: Row) -> str:
    """How the decoded targets differ from the assistant's turns; empty when they do not."""
    assert isinstance(example, Chat)
    answers = [message.content for message in example.messages if message.role == "assistant"]
    learnt = [renderer.text(row.tokens[start:stop].tolist()) for start, stop in spans(row)]
    if row.cut:
        return ""  # what truncation takes is the truncation proof's matter
    for number, answer in enumerate(answers):
        found = learnt[number] if number < len(learnt) else ""
        if _squeezed(answer) not in _squeezed(found):
            return (
                f"{row.id}: assistant turn {number + 1} is “{answer[:SHOWN]}” but the targets there are "
                f"“{found[:SHOWN]}”: the chat template changes answers; set data.template: plain"
            )
    return ""


def _squeezed(text: str) -> str:
    return "".join(text.split())
