"""Pictures: valid, thinned without losing a spike, and to scale."""

import math
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from affina.evaluation.svg import (
    HEIGHT,
    WIDTH,
    Line,
    Mark,
    Spot,
    histogram,
    interval_plot,
    line_chart,
    reliability_chart,
    thinned,
    ticks,
)


def test_thinning_keeps_the_ends_and_every_extreme() -> None:
    draws = np.random.default_rng(0)
    points = [(float(step), float(value)) for step, value in enumerate(draws.normal(size=50_000))]
    points[31_234] = (31_234.0, 99.0)
    kept = thinned(points)
    assert len(kept) <= 240 and set(kept) <= set(points) and kept == sorted(kept)
    assert {points[0], points[-1], points[31_234], min(points, key=lambda at: at[1])} <= set(kept)


def test_few_points_are_kept_as_they_are_and_broken_ones_left_out() -> None:
    assert thinned([(1, 2.0), (2, math.nan), (3, math.inf), (4, 1.0)]) == [(1, 2.0), (4, 1.0)]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.5, 1]), (0, 4, [0, 1, 2, 3, 4]), (0.13, 0.92, [0.2, 0.4, 0.6, 0.8]), (-3, 3, [-2, 0, 2])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def drawn(picture: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(picture).iter(tag))


def test_curves_stay_inside_the_picture_and_go_up_when_values_do() -> None:
    picture = line_chart("t", [Line("learned", [(1, 5.0), (2, -3.0), (100, 2.0)])], Mark((2, -3.0), "best"))
    places = [tuple(map(float, place.split(","))) for place in drawn(picture, "polyline")[0].attrib["points"].split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    (x1, y1), (x2, y2), (x3, y3) = places
    assert x1 < x2 < x3 and y1 < y3 < y2
    assert drawn(picture, "circle")[0].attrib["cy"] == f"{y2:.1f}"


@pytest.mark.parametrize("points", [[], [(1, 2.0)], [(1, 0.0), (2, 0.0)], [(5, -1.0), (6, -1.0)], [(1, math.nan)]])
def test_odd_curves_draw_without_failing(points: list[tuple[float, float]]) -> None:
    picture = ET.fromstring(line_chart("<odd & title>", [Line("learned", points)]))
    assert "<odd & title>" in "".join(picture.itertext()) and "nan" not in ET.tostring(picture, encoding="unicode")


def test_an_interval_is_drawn_to_scale_around_zero() -> None:
    lines = drawn(interval_plot(0.2, 0.1, 0.3, "good"), "line")
    zero, interval = float(lines[0].attrib["x1"]), lines[1]
    start, stop = float(interval.attrib["x1"]), float(interval.attrib["x2"])
    assert zero < start < stop
    assert (stop - zero) / (start - zero) == pytest.approx(3, abs=0.02)


def test_an_open_interval_runs_to_the_edges_without_an_end() -> None:
    picture = interval_plot(0.2, None, None, "open")
    lines = drawn(picture, "line")
    assert len(lines) == 2 and (lines[1].attrib["x1"], lines[1].attrib["x2"]) == ("0.0", "200.0")
    assert len(drawn(interval_plot(None, None, None, "open"), "line")) == 1


def test_a_histogram_has_a_bar_for_each_bin_as_high_as_its_texts() -> None:
    bins = [(0, 10, 4), (10, 20, 8), (20, 500, 2)]
    root = ET.fromstring(histogram("lengths", bins, [Mark((12.0, 0.0), "half: 12")]))
    bars = list(root.iter("rect"))
    heights = [float(bar.attrib["height"]) for bar in bars]
    assert len(bars) == 3
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2) and heights[0] == pytest.approx(2 * heights[2], abs=0.2)
    assert len({bar.attrib["width"] for bar in bars}) == 1  # the open end is as wide as the others
    texts = [each.text for each in root.iter("text")]
    assert "half: 12" in texts and "the last bar: up to 499" in texts


@pytest.mark.parametrize("bins", [[], [(0, 1, 1)], [(5, 6, 3)]])
def test_a_histogram_of_nothing_and_of_one_length_is_drawn_without_complaint(bins: list[tuple[int, int, int]]) -> None:
    root = ET.fromstring(histogram("lengths", bins))
    assert len([*root.iter("rect")]) == len(bins)


def test_a_reliable_models_spots_stand_on_the_diagonal_and_more_items_are_larger() -> None:
    spots = [Spot(0.25, 0.25, 0.1, 0.5, 10), Spot(0.75, 0.75, 0.6, 0.9, 90)]
    picture = reliability_chart("</svg><script>", spots)
    (diagonal,) = [line for line in drawn(picture, "line") if line.attrib["class"] == "zero"]
    start, end = ((float(diagonal.attrib[f"x{n}"]), float(diagonal.attrib[f"y{n}"])) for n in (1, 2))
    for spot, circle in zip(spots, drawn(picture, "circle"), strict=True):
        x, y = float(circle.attrib["cx"]), float(circle.attrib["cy"])
        assert x == pytest.approx(start[0] + spot.confidence * (end[0] - start[0]), abs=0.1)
        assert y == pytest.approx(start[1] + spot.share * (end[1] - start[1]), abs=0.1)
    small, large = (float(circle.attrib["r"]) for circle in drawn(picture, "circle"))
    assert small < large and "<script" not in picture
    assert drawn(reliability_chart("none", []), "circle") == []
