from collections.abc import Sequence

import numpy as np
from tiny_models import Scribe, text_of

from affina.core.kinds import Row, Scored
from affina.data.trip import EMPTY, Asked, trips

PASSAGE = "The barge left the northern quay on 3 March 1950 with salt for Harbour Office."


def asked(question: str, *rivals: str) -> Asked:
    return Asked("en", PASSAGE, question, "3 March 1950", rivals)


class Table(Scribe):
    """Log-probabilities by question and answer, as written."""

    numbers = {  # noqa: RUF012  (a table of the test)
        ("When?", "3 March 1950"): -2.0, (EMPTY["en"], "3 March 1950"): -5.0, ("unread", "3 March 1950"): -11.0,
        ("When?", "Harbour Office"): -4.0, (EMPTY["en"], "Harbour Office"): -6.0,
        ("When?", "salt"): -3.0, (EMPTY["en"], "salt"): -3.5,
    }  # fmt: skip

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        self.calls += 1
        found = []
        for row in rows:
            text = text_of(row.tokens.tolist())
            answer = text_of(row.tokens[row.weights > 0].tolist())
            assert text.endswith(answer) and answer.startswith(" "), "the answer's tokens are what is scored"
            last = text.split("\n\n")[-1]
            question = "unread" if "Passage" not in last else last.split("Question: ")[1].split("\n")[0]
            found.append(Scored(np.array([self.numbers[question, answer.strip()] / 2] * 2)))
        return found


def test_the_lead_is_over_the_rival_that_the_question_raises_most() -> None:
    # raised: the answer -2 - (-5) = 3; Harbour Office -4 - (-6) = 2; salt -3 - (-3.5) = 0.5. Needed: -2 - (-11) = 9
    model = Table()
    (trip,) = trips(model, [asked("When?", "Harbour Office", "salt")])
    assert (trip.lead, trip.needed) == (1.0, 9.0)
    assert model.calls == 1


def test_without_rivals_there_is_no_lead() -> None:
    (trip,) = trips(Table(), [asked("When?")])
    assert (trip.lead, trip.needed) == (None, 9.0)
    assert trip.plain() == {"lead": None, "needed": 9.0}


def test_each_question_has_its_own_trip_and_none_asks_nothing() -> None:
    both = trips(Table(), [asked("When?", "salt"), asked("When?", "Harbour Office")])
    assert [each.lead for each in both] == [2.5, 1.0]
    assert trips(Table(), []) == []
