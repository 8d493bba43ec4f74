"""Small inline SVG pictures for pages: curves, histograms, intervals, coloured by the page's style sheet."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from markupsafe import Markup

Point = tuple[float, float]

WIDTH, HEIGHT = 480, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 22, 12, 38
MOST_POINTS = 240
MOST_DIGITS = 6
HIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: its style class, its points (step, value), and whether every point has a dot."""

    style: str
    points: Sequence[Point]
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A point to show on a chart, with a few words beside it."""

    at: Point
    words: str


def displayable(text: str) -> str:
    """What UTF-8 cannot hold or a page cannot show becomes the replacement character."""
    return HIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most this many points: the lowest and the highest of every stretch, so that no spike is lost."""
    points = [point for point in points if math.isfinite(point[1])]
    if len(points) <= most:
        return list(points)
    size = math.ceil(len(points) / (most // 2 - 1))
    kept = {points[0], points[-1]}
    for start in range(0, len(points), size):
        stretch = sorted(points[start : start + size], key=lambda point: point[1])
        kept |= {stretch[0], stretch[-1]}
    return sorted(kept)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) that cover [low, high] in about so many steps."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    size = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9)
    return [tick * size for tick in range(first, last + 1)]


def line_chart(title: str, lines: Sequence[Line], mark: Mark | None = None) -> Markup:
    """Curves over optimizer steps, with axes; nothing is drawn where there are no points."""
    lines = [Line(line.style, thinned(line.points), line.dots) for line in lines]
    points = [point for line in lines for point in line.points]
    root = _root(title, WIDTH, HEIGHT, "chart")
    if points:
        scale = _Scale.around(points)
        _axes(root, scale)
        for line in lines:
            _curve(root, scale, line)
        if mark:
            _mark(root, scale, mark)
    return _written(root)


def histogram(title: str, bins: Sequence[tuple[int, int, int]], marks: Sequence[Mark] = ()) -> Markup:
    """How many texts have which length: bins (start, stop, texts) of equal width, the last one open; `marks` stand at a
    length. Nothing is drawn where there are no bins."""
    root = _root(title, WIDTH, HEIGHT, "chart")
    if not bins:
        return _written(root)
    size = bins[0][1] - bins[0][0]
    open_end = bins[-1][1] - bins[-1][0] > size
    left, right = float(bins[0][0]), float(bins[-1][0] + size)
    scale = _Scale(left, right, 0.0, 1.06 * max(texts for _, _, texts in bins))
    for tick in ticks(0.0, scale.high):
        if tick == int(tick):
            _add(root, "line", "grid", x1=_LEFT, x2=WIDTH - _RIGHT, y1=scale.y(tick), y2=scale.y(tick))
            _add(root, "text", "tick end", x=_LEFT - 7, y=scale.y(tick) + 4).text = f"{tick:,.0f}"
    for start, stop, texts in bins:
        at, width = scale.x(start), scale.x(start + size) - scale.x(start)
        bar = _add(
            root,
            "rect",
            "bin",
            x=at + 0.5,
            y=scale.y(texts),
            width=max(width - 1, 0.5),
            height=scale.y(0) - scale.y(texts),
        )
        ET.SubElement(bar, "title").text = f"{start:,} to {stop - 1:,}: {texts:,}"
    for tick in ticks(left, right, 5):
        if left <= tick <= right and tick == int(tick):
            _add(root, "text", "tick middle", x=scale.x(tick), y=HEIGHT - 18).text = f"{int(tick):,}"
    if open_end:
        _add(root, "text", "tick end", x=WIDTH - _RIGHT, y=HEIGHT - 3).text = f"the last bar: up to {bins[-1][1] - 1:,}"
    for mark in marks:
        _mark(root, scale, Mark((min(mark.at[0], right), mark.at[1]), mark.words))
    return _written(root)


@dataclass(frozen=True, slots=True)
class Spot:
    """A share with its interval at a confidence, both from 0 to 1, and of how many items."""

    confidence: float
    share: float
    low: float
    high: float
    items: int


def reliability_chart(title: str, spots: Sequence[Spot]) -> Markup:
    """The share that is right by confidence, with intervals and the diagonal where the two are equal; the larger a
    spot, the more items."""
    root = _root(title, WIDTH, HEIGHT, "chart")
    scale, most = _Scale(0.0, 1.0, 0.0, 1.0), max((each.items for each in spots), default=1)
    for tick in ticks(0.0, 1.0):
        _add(root, "line", "grid", x1=_LEFT, x2=WIDTH - _RIGHT, y1=scale.y(tick), y2=scale.y(tick))
        _add(root, "text", "tick end", x=_LEFT - 7, y=scale.y(tick) + 4).text = f"{tick:.4g}"
        _add(root, "text", "tick middle", x=scale.x(tick), y=HEIGHT - 18).text = f"{tick:.4g}"
    _add(root, "line", "zero", x1=scale.x(0), x2=scale.x(1), y1=scale.y(0), y2=scale.y(1))
    for each in spots:
        x = scale.x(each.confidence)
        _add(root, "line", "validated", x1=x, x2=x, y1=scale.y(each.low), y2=scale.y(each.high))
        size = 2.5 + 4 * math.sqrt(each.items / most)
        spot = _add(root, "circle", "validated dot", cx=x, cy=scale.y(each.share), r=size)
        told = f"{each.items:,} items: sure {each.confidence:.2f}, right {each.share:.2f}"
        ET.SubElement(spot, "title").text = told
    _add(root, "text", "tick end", x=WIDTH - _RIGHT, y=HEIGHT - 3).text = "confidence"
    return _written(root)


def interval_plot(value: float | None, low: float | None, high: float | None, style: str) -> Markup:
    """A difference with its interval around zero, to its own scale; an open side of the interval runs off the edge."""
    width, height, middle = 200, 26, 13.0
    root = _root("difference with its interval", width, height, "interval")
    reach = 1.08 * max((abs(end) for end in (value, low, high) if end is not None), default=1.0) or 1.0

    def across(number: float) -> float:
        return width / 2 * (1 + number / reach)

    _add(root, "line", "zero", x1=width / 2, x2=width / 2, y1=2.0, y2=height - 2.0)
    if value is not None:
        start, stop = across(-reach if low is None else low), across(reach if high is None else high)
        _add(root, "line", f"{style} reach", x1=start, x2=stop, y1=middle, y2=middle)
        for end, known in ((start, low), (stop, high)):
            if known is not None:
                _add(root, "line", f"{style} reach", x1=end, x2=end, y1=middle - 5, y2=middle + 5)
        _add(root, "circle", f"{style} spot", cx=across(value), cy=middle, r=4.5)
    return _written(root)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Data to picture coordinates."""

    left: float
    right: float
    low: float
    high: float

    @classmethod
    def around(cls, points: Sequence[Point]) -> "_Scale":
        steps, values = [point[0] for point in points], [point[1] for point in points]
        low, high = min(values), max(values)
        # A flat curve still needs a height to stand in the middle of.
        room = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
        floor = 0.0 if 0 <= low < 0.35 * high else low - room
        return cls(0.0, max(1.0, *steps), floor, high + room)

    def x(self, step: float) -> float:
        return _LEFT + (step - self.left) / (self.right - self.left) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - _TOP - _BOTTOM)


def _axes(root: ET.Element, scale: _Scale) -> None:
    for tick in ticks(scale.low, scale.high):
        _add(root, "line", "grid", x1=_LEFT, x2=WIDTH - _RIGHT, y1=scale.y(tick), y2=scale.y(tick))
        shown = f"{tick:.4g}"
        shown = shown if len(shown) <= MOST_DIGITS else f"{tick:.1e}"  # what is longer begins outside the picture
        _add(root, "text", "tick end", x=_LEFT - 7, y=scale.y(tick) + 4).text = shown
    for tick in ticks(scale.left, scale.right, 5):
        if tick == int(tick):
            _add(root, "text", "tick middle", x=scale.x(tick), y=HEIGHT - 18).text = f"{int(tick)}"
    _add(root, "text", "tick end", x=WIDTH - _RIGHT, y=HEIGHT - 5).text = "step"


def _curve(root: ET.Element, scale: _Scale, line: Line) -> None:
    places = [(scale.x(step), scale.y(value)) for step, value in line.points]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    ET.SubElement(root, "polyline", {"class": line.style, "points": drawn})
    if line.dots or len(places) == 1:
        for x, y in places:
            _add(root, "circle", f"{line.style} dot", cx=x, cy=y, r=2.6)


def _mark(root: ET.Element, scale: _Scale, mark: Mark) -> None:
    x, y = scale.x(mark.at[0]), scale.y(mark.at[1])
    _add(root, "line", "best", x1=x, x2=x, y1=_TOP, y2=HEIGHT - _BOTTOM)
    _add(root, "circle", "best spot", cx=x, cy=y, r=4.5)
    side, shift = ("end", -6) if x > WIDTH / 2 else ("start", 6)
    _add(root, "text", f"best {side}", x=x + shift, y=_TOP + 10).text = mark.words


def _root(title: str, width: int, height: int, style: str) -> ET.Element:
    root = ET.Element("svg", {"class": style, "viewBox": f"0 0 {width} {height}", "role": "img"})
    ET.SubElement(root, "title").text = title
    return root


def _add(parent: ET.Element, tag: str, style: str, **places: float) -> ET.Element:
    return ET.SubElement(parent, tag, {"class": style, **{name: f"{at:.1f}" for name, at in places.items()}})


def _written(root: ET.Element) -> Markup:
    return Markup(displayable(ET.tostring(root, encoding="unicode")))
