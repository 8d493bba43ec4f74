import pytest

from affina.data.speakers import learnt, role_of


@pytest.mark.parametrize(
    ("speaker", "role"),
    [
        ("USER", "user"),
        (" Human ", "user"),
        ("prompter", "user"),
        ("gpt", "assistant"),
        ("Assistente", "assistant"),
        ("system", "system"),
        ("observation", "tool"),
        ("Anna", ""),
        (None, ""),
        (3, ""),
    ],
)
def test_a_speakers_name_means_a_role_or_none(speaker: object, role: str) -> None:
    assert role_of(speaker) == role


@pytest.mark.parametrize(
    ("speakers", "two"),
    [
        (["USER", "SYSTEM"], ("USER", "SYSTEM")),
        (["system", "user", "bot"], ("user", "bot")),
        (["customer", "agent", "customer"], ("customer", "agent")),
        (["Anna", "Bruno"], None),
        (["user", "Bruno"], None),
        (["user"], None),
        ([], None),
    ],
)
def test_who_asks_and_who_answers_is_told_by_their_names_or_left_open(
    speakers: list[str], two: tuple[str, str] | None
) -> None:
    assert learnt(speakers) == two
