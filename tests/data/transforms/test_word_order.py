"""Rules keep sentences; swaps and deletions keep words; both keep labels and what must stay."""

from collections import Counter

from affina.core.example import Labelled, Tagged
from affina.core.kinds import Desk, transforms
from affina.data.ledger import Ledger


def ordered(text: str, **fields: object) -> list[str]:
    part = transforms.build({"name": "word_order", **fields})
    row = Labelled(id="a:1", text=text, label="x", split="train")
    return [each.given for each in part.apply([row], Desk(Ledger())) if each.made]


def test_rules_act_in_the_text_s_own_language() -> None:
    assert ordered("How do I pay the bill?") == ["How can I pay the bill?"]
    assert ordered("Come posso pagare la bolletta?") == ["In che modo posso pagare la bolletta?"]
    assert ordered("Wie kann ich bezahlen?") == []


def test_a_swap_keeps_every_word_and_stays_in_its_window() -> None:
    text = "one two three four five six seven eight"
    for each in ordered(text, forms=["swap"], count=20, window=2):
        assert Counter(each.split()) == Counter(text.split()) and each != text
        moved = [at for at, (a, b) in enumerate(zip(text.split(), each.split(), strict=True)) if a != b]
        assert len(moved) == 2 and moved[1] - moved[0] <= 2, "one pair at the default rate"


def test_a_deletion_keeps_the_order_of_what_is_left() -> None:
    text = "one two three four five six seven eight nine ten"
    for each in ordered(text, forms=["delete"], count=20, rate=0.3):
        left = iter(text.split())
        assert len(each.split()) == 7 and all(word in left for word in each.split()), "three of ten are gone"


def test_not_every_word_is_deleted_and_a_lone_word_stays() -> None:
    assert all(each.strip() for each in ordered("one two", forms=["delete"], rate=1.0, count=9))
    assert ordered("one", forms=["delete", "swap"], rate=1.0) == [] == ordered("", forms=["swap"])


def test_addresses_stay_and_words_with_tags_do_not_move() -> None:
    for each in ordered("write to a@b.it or see https://x.it now", forms=["swap", "delete"], rate=1.0, count=20):
        assert "a@b.it" in each and "https://x.it" in each
    row = Tagged(
        id="a:1", words=("How", "do", "I", "pay", "Anna", "?"), tags=("O",) * 4 + ("B-PER", "O"), split="train"
    )
    part = transforms.build("word_order")
    assert list(part.apply([row], Desk(Ledger()))) == [row]
