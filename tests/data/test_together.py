"""Groups that may not be parted: held to a union made pair by pair."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.example import Labelled
from affina.data.together import Groups

WORDS = ["a first sentence of some length", "quite another one about boats", "numbers, letters and a long road"]


def example(number: int, word: int, customer: int, origin: int) -> Labelled:
    return Labelled(
        id=f"rows:{number}",
        text=WORDS[word],
        label="x",
        facts={"customer": f"c{customer}" if customer else ""},
        origin=f"rows:{origin}" if origin and origin <= number else "",
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 9)), max_size=12), st.booleans())
def test_what_says_the_same_has_one_customer_or_one_origin_is_together_and_nothing_else(
    drawn: list[tuple[int, int, int]], by_customer: bool
) -> None:
    examples = [example(number, *each) for number, each in enumerate(drawn, 1)]
    group = {each.id: {each.id} for each in examples}
    for one, two in combinations(examples, 2):
        same = one.text == two.text or (one.origin or one.id) == (two.origin or two.id)
        same = same or (by_customer and one.facts == two.facts and bool(one.facts["customer"]))
        if same and group[one.id] is not group[two.id]:
            group[one.id] |= group[two.id]
            for id in group[two.id]:
                group[id] = group[one.id]
    found = Groups.of(examples, 0.8, 0, "customer" if by_customer else None)
    for (first, one), (second, two) in combinations(enumerate(examples), 2):
        assert (found.which_N[first] == found.which_N[second]) == (group[one.id] is group[two.id])
    assert found.size_G.sum() == len(examples)
