"""Examples → rows of weighted tokens: the one place that knows chat templates and masks.

A supervised span is what rendering adds for an assistant turn, up to and with its stop token: found by rendering the
conversation with and without the turn, never by searching for marker strings.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affina.core.errors import Refused
from affina.core.example import (
    Chat,
    Example,
    Gapped,
    Labelled,
    Message,
    MultiLabelled,
    Pair,
    Parallel,
    Question,
    Rated,
    Related,
    Tagged,
    Text,
)  # fmt: skip
from affina.core.kinds import Row
from affina.data import encoded, gaps
from affina.data.passages import passages, windows
from affina.data.template import PLAIN, Template
from affina.data.tokens import Vocabulary

Pieces = list[tuple[str, bool]]
TOGETHER = 1024
"""Examples tokenised at once: enough to use every core, few enough that what a tokenizer tells of them is small."""
ENCODED: dict[type[Example], Callable[[Vocabulary, Sequence[Any], int], list[list[Row]]]] = {
    Labelled: encoded.labelled,
    MultiLabelled: encoded.multi_labelled,
    Parallel: encoded.parallel,
    Rated: encoded.rated,
    Related: encoded.related,
    Tagged: encoded.tagged,
}
PROBE = Chat(id="probe", messages=(Message("user", "a"), Message("assistant", "b")))


class Renderer:
    """Renders with one base's tokenizer and template. Rows longer than `max_tokens` are cut at the end and say so."""

    def __init__(self, vocabulary: Vocabulary, template: Template, max_tokens: int) -> None:
        self.vocabulary, self.template, self.max_tokens = vocabulary, template, max_tokens
        self.notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: Path, template: str | None = None, max_tokens: int = 1024) -> "Renderer":
        """From a model folder. `template`: as in a recipe; None: own where there is one. Raises Refused."""
        vocabulary = Vocabulary(folder)
        notes = []
        if template == "tools":
            own: Template | None = Template.with_tools(vocabulary.special)
        else:
            own = Template.find(folder, vocabulary.named) if template != "plain" else None
        if own is None and template == "own":
            raise Refused(f"{folder} has no chat template", instead="set data.template: plain")
        if own is not None and own.folds:
            notes.append("the base's chat template has no place for a system message: it is put before the user's")
        if own is None and template is None:
            notes.append("the base has no chat template: plain text is used (data.template: plain)")
        if max_tokens > vocabulary.limit:
            notes.append(f"max_tokens {max_tokens} is lowered to {vocabulary.limit}, the base's own limit")
        chosen = own or Template(PLAIN, {**vocabulary.named, "opening": vocabulary.opening}, own=False)
        renderer = cls(vocabulary, chosen, min(max_tokens, vocabulary.limit))
        renderer.notes = tuple(notes)
        return renderer

    # ── examples → rows ──
    def rows(self, examples: Sequence[Example]) -> list[Row]:
        """One row per example, in order; raw text gives as many rows as its length needs. Raises Refused."""
        made: list[Row] = []
        for start in range(0, len(examples), TOGETHER):
            part = examples[start : start + TOGETHER]
            kinds = {
                kind: iter(self._of(kind, [each for each in part if type(each) is kind]))
                for kind in {type(each) for each in part}
            }
            made += [row for example in part for row in next(kinds[type(example)])]
        return made

    def _of(self, kind: type[Example], examples: Sequence[Any]) -> list[list[Row]]:
        """The rows of each of some examples of one kind."""
        if kind in ENCODED:
            return ENCODED[kind](self.vocabulary, examples, self.max_tokens)
        own: dict[type[Example], Callable[[Sequence[Any]], list[list[Row]]]] = {
            Chat: self._chats, Text: self._texts, Gapped: self._gapped, Pair: self._pairs,
        }  # fmt: skip
        if kind is Question:
            return [windows(self.vocabulary, each, self.max_tokens) for each in examples]
        return own[kind](examples)

    def drawn(self, row: Row, draws: np.random.Generator) -> Row:
        """The row with its gaps elsewhere; a row without gaps is itself."""
        return gaps.drawn(self.vocabulary, row, draws)

    def passages(self, question: Question) -> list[list[tuple[int, int]]]:
        """Of each row of a question, where its supervised places stand in the context: characters [start, stop)."""
        return passages(self.vocabulary, question, self.max_tokens)

    def _chats(self, chats: Sequence[Chat]) -> list[list[Row]]:
        pieces = [self.turns(chat) for chat in chats]
        encodings = self.vocabulary.encode(["".join(text for text, _ in each) for each in pieces])
        return [
            [self._cut(chat.id, *self._weigh(each, encoding.ids, encoding.offsets))]
            for chat, each, encoding in zip(chats, pieces, encodings, strict=True)
        ]

    def _weigh(
        self, pieces: Pieces, ids: list[int], offsets: list[tuple[int, int]]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        edges = np.cumsum([0] + [len(text) for text, _ in pieces])
        stops = np.array([stop for _, stop in offsets])
        # Some tokenizers report a token without its leading space: it begins where the one before it ends.
        starts = np.minimum([start for start, _ in offsets], np.r_[0, stops[:-1]])
        inside = np.searchsorted(edges, starts, side="right") - 1
        crossed = np.any(stops > edges[np.minimum(inside + 1, len(pieces))])  # a token stands across an edge
        if crossed or self._looks_ahead(pieces, ids[: np.searchsorted(inside, 1)]):
            parts = [encoding.ids for encoding in self.vocabulary.encode([text for text, _ in pieces])]
            ids = [token for part in parts for token in part]
            inside = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        supervised = np.array([target for _, target in pieces], dtype=np.float32)
        return np.array(ids, dtype=np.int32), supervised[inside]

    def _looks_ahead(self, pieces: Pieces, ids: list[int]) -> bool:
        """Whether the text before the first answer is not `ids` when it stands alone, as generation has it.

        GPT-2's pattern makes one token of two line ends, but two before a word.
        """
        given = pieces[0][0]
        return len(given) > 1 and given[-2:].isspace() and ids != self.vocabulary.encode([given])[0].ids

    def _gapped(self, texts: Sequence[Gapped]) -> list[list[Row]]:
        encodings = self.vocabulary.encode([text.text for text in texts])
        return [
            gaps.gapped(self.vocabulary, text, encoding, self.max_tokens)
            for text, encoding in zip(texts, encodings, strict=True)
        ]

    def _pairs(self, pairs: Sequence[Pair]) -> list[list[Row]]:
        """Tied rows: the conversation with the chosen answer (label 1) and with the rejected one (0), no targets."""
        said = [
            Chat(id=f"{pair.id}#{n}", messages=(*pair.messages, Message("assistant", answer)))
            for pair in pairs
            for n, answer in enumerate((pair.chosen, pair.rejected))
        ]
        rows = [row for group in self._chats(said) for row in group]
        bare = [replace(row, weights=np.zeros_like(row.weights)) for row in rows]
        return [
            [replace(chosen, label=1), replace(rejected, label=0, tied=True)]
            for chosen, rejected in zip(bare[::2], bare[1::2], strict=True)
        ]

    def _texts(self, texts: Sequence[Text]) -> list[list[Row]]:
        encodings = self.vocabulary.encode([text.text for text in texts], special=True)
        stop = self.vocabulary.tokenizer.token_to_id(self.vocabulary.named.get("eos_token", ""))
        made = []
        for text, encoding in zip(texts, encodings, strict=True):
            ids = encoding.ids if stop is None or encoding.ids[-1:] == [stop] else [*encoding.ids, stop]
            tokens = np.array(ids, dtype=np.int32)
            windows = []
            # Windows overlap by one token: each token but the text's first is a target exactly once.
            for number, start in enumerate(range(0, max(len(tokens) - 1, 1), self.max_tokens - 1), 1):
                window = tokens[start : start + self.max_tokens]
                weights = np.ones(len(window), dtype=np.float32)
                weights[0] = 0
                windows.append(Row(f"{text.id}#{number}", window, weights))
            made.append(windows)
        return made

    def _cut(self, name: str, tokens: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> Row:
        kept, lost = slice(None, self.max_tokens), slice(self.max_tokens, None)
        missed = int(np.count_nonzero(weights[lost]))
        return Row(name, tokens[kept], weights[kept], cut=len(tokens[lost]), cut_targets=missed)

    # ── conversations → pieces of text ──
    def turns(self, chat: Chat) -> Pieces:
        """The conversation's text in consecutive pieces, (text, supervised), up to the last target. Raises Refused."""
        if (chat.tools or any(message.role == "tool" for message in chat.messages)) and not self.template.sees_tools(
            chat
        ):
            raise Refused(
                f"{chat.id}: the {'base' if self.template.own else 'plain'} chat template leaves out tools",
                why="the conversation has tools or tool calls, and the rendered text does not show them",
                instead="set data.template: tools, or choose a base whose template renders them",
            )
        whole, done, pieces = self.template.render(chat.messages, chat.tools), 0, []
        for place, message in enumerate(chat.messages):
            if message.role == "assistant":
                before = self.template.render(chat.messages[:place], chat.tools, opening=True)
                last = place + 1 == len(chat.messages)
                after = whole if last else self.template.render(chat.messages[: place + 1], chat.tools)
                if not (after.startswith(before) and whole.startswith(after)):
                    raise self._unstable(chat, place)
                answer = self._stopped(chat, after[len(before) :])
                pieces += [(whole[done : len(before)], False), (answer, True)]
                done = len(before) + len(answer)
        if not pieces:
            raise Refused(f"{chat.id}: no assistant turn to learn from")
        return pieces

    def _unstable(self, chat: Chat, place: int) -> Refused:
        return Refused(
            f"{chat.id}: the base's chat template is not prefix-stable",
            why=f"turn {place + 1} renders differently once later turns follow, or not as generation would open it, "
            "so training and serving would disagree",
            instead="set data.template: plain, or choose another base",
        )

    def _stopped(self, chat: Chat, answer: str) -> str:
        """The answer up to and with its stop token, without the template's white space after it."""
        bare = answer.rstrip()
        stop = next((token for token in self.vocabulary.special if bare.endswith(token)), "")
        if not stop:
            raise Refused(
                f"{chat.id}: the chat template ends an answer without a stop token",
                why="a model trained on it would never learn to stop",
                instead="set data.template: plain" if self.template.own else "choose a base that has an end token",
            )
        return bare

    # ── what generation and people read ──
    @cached_property
    def stops(self) -> frozenset[int]:
        """The ids that end an answer: those the base declares, and the one its template ends a turn with."""
        answer, _ = self.turns(PROBE)[-1]
        return frozenset({*self.vocabulary.stops, self.vocabulary.encode([answer])[0].ids[-1]})

    def prompt(self, chat: Chat | Parallel) -> list[int]:
        """The tokens generation starts from: all before the last assistant turn, and the template's opening; or what
        an encoder reads."""
        if isinstance(chat, Parallel):
            encoding = self.vocabulary.encode([chat.source], special=True)[0]
            kept: list[int] = encoded.source(encoding, self.max_tokens).tolist()
            return kept
        roles = [message.role for message in chat.messages]
        end = len(roles) - 1 - roles[::-1].index("assistant") if roles[-1:] == ["assistant"] else len(roles)
        return self.opening(chat.messages[:end], chat.tools)

    def opening(self, messages: Sequence[Message], tools: Sequence[object] = ()) -> list[int]:
        """A conversation that awaits an answer, as tokens."""
        return list(self.vocabulary.encode([self.template.render(messages, tools, opening=True)])[0].ids)

    def continued(self, text: str) -> list[int]:
        """Raw text as the tokens of an unfinished text: opened as the tokenizer opens one, not closed."""
        return list(self.vocabulary.encode([self.vocabulary.opening + text])[0].ids)

    def objection(self, example: Example) -> str:
        """Why this example cannot be rendered faithfully, in a sentence; empty when it can."""
        texts = [message.content for message in example.messages] if isinstance(example, Chat) else [example.given]
        token = next((token for text in texts if (token := self.vocabulary.injected(text))), "")
        if token:
            return f"its text spells out the special token {token}, which the model would obey"
        return encoded.wordless(self.vocabulary, example) if isinstance(example, Tagged) else ""

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens as text, special tokens left out."""
        return self.vocabulary.decode(tokens)

    def pieces(self, row: Row) -> Pieces:
        """The row decoded in consecutive pieces, (text with special tokens, supervised)."""
        edges = [0, *(np.flatnonzero(np.diff(row.weights != 0)) + 1).tolist(), len(row.tokens)]
        return [
            (self.vocabulary.decode(row.tokens[start:stop].tolist(), special=True), bool(row.weights[start]))
            for start, stop in pairwise(edges)
            if stop > start
        ]
