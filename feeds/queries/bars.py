"""Bars of a chart: what went well below, what failed on top of it."""

from dataclasses import dataclass

WIDTH = 720  # of a chart
WIDEST = 40  # of a bar: a few ones would be blocks
LEAST = 1.5  # however little there is, it is seen


@dataclass(frozen=True, slots=True)
class Bar:
    """One slice of time: its two pieces as heights, each with the edge that it hangs from."""

    x: float
    width: float
    good: float
    good_y: float
    bad: float
    bad_y: float


def bar(index: int, slots: int, good: int, bad: int, *, top: int, height: int) -> Bar:
    """The bar of one of `slots` slices, in a chart of that height whose upper edge stands for `top`."""
    slot = WIDTH / slots
    width = min(slot - 2, WIDEST)
    good_height, bad_height = _height(good, top, height), _height(bad, top, height)
    return Bar(
        x=round(index * slot + (slot - width) / 2, 1),
        width=round(width, 1),
        good=good_height,
        good_y=round(height - good_height, 1),
        bad=bad_height,
        bad_y=round(max(0.0, height - good_height - bad_height), 1),
    )


def _height(count: int, top: int, height: int) -> float:
    return round(max(LEAST, height * count / top), 1) if count else 0.0
