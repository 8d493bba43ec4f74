"""Keys that lie beside one another, as on the keyboards themselves."""

from affina.data.lexicon.slips import CONFUSIONS, neighbours


def test_neighbours_are_the_keys_around() -> None:
    # the six around g on any QWERTY keyboard; ò stands right of l in Italy, ; in the United States
    assert {*neighbours("en")["g"]} & {*"abcdefghijklmnopqrstuvwxyz"} == {*"tyfhvb"}
    assert "ò" in neighbours("it")["l"] and "ò" not in neighbours("en")["l"]
    assert "è" in neighbours("it")["p"]


def test_beside_goes_both_ways_and_never_to_itself() -> None:
    for layout in ("it", "en"):
        keys = neighbours(layout)
        assert all(key in keys[other] and other != key for key, near in keys.items() for other in near)


def test_a_shape_is_never_taken_for_itself() -> None:
    assert all(wrong != right for right, found in CONFUSIONS.items() for wrong in found)
