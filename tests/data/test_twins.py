from affina.data.twins import Twins


def met(*pairs: tuple[str, str]) -> Twins:
    twins = Twins()
    for place, (shown, taught) in enumerate(pairs, 1):
        twins.add(shown, taught, place)
    return twins


def test_what_shows_and_teaches_the_same_is_a_repetition_white_space_aside() -> None:
    twins = met(("a b", "x"), (" a  b\n", "x"), ("a b", "y"), ("c", "x"), ("c", "x"))
    assert (twins.repeated(), twins.contradicted(), twins.compared) == ((2, 2), (1, 3), 5)


def test_what_is_shown_and_what_is_taught_do_not_run_together() -> None:
    assert met(("a b", "c"), ("a", "b c")).repeated() == (0, -1)


def test_half_characters_and_nothing_at_all_are_compared_too() -> None:
    assert met(("\ud800", ""), ("\ud800", "")).repeated() == (1, 2)
    assert met().repeated() == met().contradicted() == (0, -1)
