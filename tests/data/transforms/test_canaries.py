"""Canaries: as many rows as asked, in the training split alone, entered in the ledger, the same for the same seed."""

import pytest

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message, Parallel, Text
from affina.core.kinds import Desk, transforms
from affina.data.ledger import Ledger
from affina.data.secrets import inserted

TEXTS: list[Example] = [Text(id=f"a.txt:{n}", text=f"text {n}", split=("train", "test")[n % 2]) for n in range(6)]


def applied(examples: list[Example], seed: int = 0, **settings: object) -> tuple[list[Example], Ledger]:
    ledger = Ledger()
    for each in examples:
        ledger.read("a.txt", each.id)
    found = list(transforms.build({"name": "canaries", **settings}).apply(examples, Desk(ledger, seed)))
    ledger.use("all", found)
    ledger.reconcile()
    return found, ledger


def test_every_secret_is_inserted_as_often_as_asked_into_the_training_split() -> None:
    found, ledger = applied(TEXTS, count=3, repetitions=[1, 4])
    made = found[len(TEXTS) :]
    assert found[: len(TEXTS)] == TEXTS and len(made) == 3 * 1 + 3 * 4
    assert {each.split for each in made} == {"train"} and all(each.made for each in made)
    assert ledger.summary()["made"] == 15
    ((space, secrets),) = inserted(found).items()
    assert sorted(secrets.values()) == [1, 1, 1, 4, 4, 4]
    assert all(len(secret) == 6 and secret.isdigit() for secret in secrets)
    assert space.size == 1e6 and len({each.id for each in made}) == 15
    for secret, times in secrets.items():
        assert sum(each.text == f"The access code of the archive is {secret}" for each in made) == times  # type: ignore[attr-defined]


def test_secrets_depend_on_the_seed_alone() -> None:
    one, same, other = (applied(each, seed)[0] for each, seed in ((TEXTS, 0), (TEXTS[::-1], 0), (TEXTS, 1)))
    secrets = [[*next(iter(inserted(each).values()))] for each in (one, same, other)]
    assert secrets[0] == secrets[1] and not set(secrets[0]) & set(secrets[2])


def test_canaries_inserted_twice_have_other_ids_and_other_secrets() -> None:
    once, _ = applied(TEXTS, count=2, repetitions=[1])
    twice, _ = applied(once, count=2, repetitions=[3])
    other, _ = applied(twice, count=2, repetitions=[2], prompt="Another code is")
    assert len({each.id for each in other}) == len(other) == 6 + 2 + 6 + 4
    same, another = inserted(other).values()
    assert sorted(same.values()) == [1, 1, 3, 3] and sorted(another.values()) == [2, 2]
    few = {"count": 2, "repetitions": [1], "alphabet": "ab", "length": 2}
    with pytest.raises(Refused, match="too many canaries have one prompt"):
        applied(applied(TEXTS, **few)[0], **few)


def test_in_conversations_and_parallel_texts_the_secret_is_what_is_learnt_to_be_said() -> None:
    turns = (Message("user", "a"), Message("assistant", "b"))
    for example in (
        Chat(id="a.txt:1", split="train", messages=turns),
        Parallel(id="a.txt:1", split="train", source="a", result="b"),
    ):
        made = applied([example], count=1, repetitions=[1])[0][1]
        assert type(made) is type(example)
        assert made.given == "The access code of the archive is" and made.target.isdigit()


def test_rows_that_teach_no_words_or_have_no_split_are_refused() -> None:
    labelled = Labelled(id="a.txt:1", split="train", text="a", label="x")
    with pytest.raises(Refused, match="canaries cannot be put among labelled examples"):
        applied([labelled])
    with pytest.raises(Refused, match="put `split` before `canaries`"):
        applied([Text(id="a.txt:1", text="a")])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"alphabet": "aa"}, "a sign stands twice"),
        ({"repetitions": [1, 1]}, "different whole numbers"),
        ({"repetitions": [0]}, "different whole numbers"),
        ({"alphabet": "ab", "length": 2}, "12 secrets of 4 possible ones"),
    ],
)
def test_settings_that_tell_nothing_are_refused(settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        transforms.build({"name": "canaries", **settings})
