"""What a report of a run is made of, as plain JSON data."""

from typing import Any, NotRequired, TypedDict


class VerdictSummary(TypedDict):
    """As `gate.Verdict.as_dict` writes it."""

    decision: str
    reasons: list[str]
    metric: str
    difference: float | None
    low: float | None
    high: float | None
    n_needed: int | None


class Measured(TypedDict):
    """As `measure.Estimate.as_dict` writes it."""

    value: float | None
    low: float | None
    high: float | None


class Differs(TypedDict):
    """As `compare.Difference.as_dict` writes it."""

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    better: NotRequired[float | None]
    detectable: NotRequired[float | None]
    n: NotRequired[int]


class MetricSummary(TypedDict):
    base: Measured
    tuned: Measured
    difference: Differs
    p_adjusted: NotRequired[float | None]
    """Corrected for all that stand beside it (Holm)."""


class Bin(TypedDict):
    """As `detail.calibration` writes it: `n` items of about one confidence, and the share of them that is right."""

    n: int
    confidence: float
    accuracy: Measured


class SliceSummary(TypedDict):
    """As `regressions.Slice.as_dict` writes it."""

    by: str
    group: str
    a: float | None
    b: float | None
    difference: Differs
    p_adjusted: float | None
    found: str


class SuiteSlice(TypedDict):
    """As `task_slices.judged` writes it."""

    statistic: str
    by: str
    group: str
    base: Measured
    tuned: Measured
    difference: Differs
    p_adjusted: float | None
    found: str


class SuiteSummary(TypedDict):
    """As `before_after.moved` writes it."""

    about: str
    items: int
    statistics: dict[str, MetricSummary]
    slices: NotRequired[list[SuiteSlice]]
    """Of the statistic that decides and of those that are means of items, those that got worse first."""
    notes: list[str]


class ProofSummary(TypedDict):
    name: str
    passed: bool
    seconds: float
    detail: str


class LeftOut(TypedDict):
    """How many records went, and why."""

    total: int
    reasons: dict[str, int]


class LedgerSummary(TypedDict):
    """As `data.ledger.Ledger.summary` writes it; `cut` is what `max_tokens` took from the used records."""

    files: dict[str, int]
    read: int
    used: dict[str, int]
    dropped: LeftOut
    quarantined: LeftOut
    cut: dict[str, int]


class Stopped(TypedDict):
    """Whether an answer ended by itself; False: it was cut off."""

    base: bool
    tuned: bool


class SampleSummary(TypedDict):
    id: str
    given: str
    expected: str
    base: str
    tuned: str
    stopped: NotRequired[Stopped]


class ConfusionSummary(TypedDict):
    """`counts[i][j]`: items of label i that the tuned model gave label j."""

    labels: list[str]
    counts: list[list[int]]


class Summary(TypedDict, total=False):
    """What a report is made of, as plain JSON data; a section that is missing or empty is left out of the page."""

    name: str
    created: str
    verdict: VerdictSummary
    metrics: dict[str, MetricSummary]
    power: float
    """With which `detectable` differences are found."""
    slices: list[SliceSummary]
    """Of the first metric, those that got worse first."""
    suites: dict[str, SuiteSummary]
    calibration: dict[str, list[Bin]]
    """By whose answers, base and tuned."""
    base_is: str
    """What answers in the base's place where the base itself cannot, such as "the majority class"."""
    proofs: list[ProofSummary]
    events: list[dict[str, Any]]
    """`learn` events have step, loss, learning_rate, tokens_per_s; `validate` events step, loss and other metrics."""
    best_step: int | None
    ledger: LedgerSummary
    samples: list[SampleSummary]
    confusion: ConfusionSummary | None
    diagnosis: dict[str, str]
    settings: dict[str, Any]
    versions: dict[str, str]
