from collections import Counter
from itertools import islice
from math import ceil, sqrt

from affina.core.example import Chat, Message
from affina.core.kinds import objectives, regimes
from affina.core.recipe import Train
from affina.engine.toy import Toy

ROWS = Toy().renderer.rows(
    objectives.build("cross_entropy").expand(
        [Chat(id=f"r:{n:03}", messages=(Message("user", f"q{n}"), Message("assistant", "a"))) for n in range(100)]
    )
)


def shown(steps: int, first: int = 0, **fields: object) -> list[list[int]]:
    """The rows of each step."""
    regime = regimes.build({"name": "ordered", **fields})
    made = islice(regime.batches(ROWS, Toy(), Train(batch=10, steps=40), first), steps)
    return [sorted(int(id.split(":")[1]) for id in batch.ids) for batch in made]


def test_as_given_every_epoch_goes_through_the_rows_as_they_stand() -> None:
    found = shown(20, pace="given")
    assert found[:10] == [list(range(first, first + 10)) for first in range(0, 100, 10)] and found[10:] == found[:10]


def test_the_share_in_play_grows_as_the_square_root() -> None:
    found = shown(40, start=0.2, until=0.5)
    for step, batch in enumerate(found[:20]):
        assert max(batch) < ceil(sqrt(step / 20 * (1 - 0.04) + 0.04) * 100) and len(set(batch)) == 10
    assert max(found[0]) < 20 and max(max(batch) for batch in found[15:20]) > 80
    # steps 20 to 29 and 30 to 39 are whole epochs
    for first in (20, 30):
        assert Counter(row for batch in found[first : first + 10] for row in batch) == Counter(range(100))


def test_a_batch_is_never_smaller_than_asked_for_because_few_rows_are_in_play() -> None:
    assert len(shown(1, start=0.01)[0]) == 10


def test_starting_anywhere_is_the_same_run() -> None:
    whole = shown(40)
    assert [shown(1, k)[0] for k in range(40)] == whole
