"""Turns a camera's picture the way up that its mounting needs, and scales it."""

from __future__ import annotations

import fractions
import itertools

import av
import av.filter

from kiosk.errors import MediaError
from kiosk.hardware.camera import Rotation

TIME_BASE = fractions.Fraction(1, 90_000)
TURNS: dict[Rotation, tuple[tuple[str, str], ...]] = {
    0: (),
    90: (("transpose", "clock"),),
    180: (("hflip", ""), ("vflip", "")),
    270: (("transpose", "cclock"),),
}

ROTATIONS: tuple[Rotation, ...] = (0, 90, 180, 270)


def left_to_turn(rotation: Rotation, *, turned: Rotation) -> Rotation:
    """What is missing to *rotation* where *turned* of it is done."""
    return ROTATIONS[(rotation - turned) % 360 // 90]


def even(points: float) -> int:
    """The nearest even number: chroma has half the points."""
    return max(2, 2 * round(points / 2))


def scaled(frame: av.VideoFrame, scale: float) -> av.VideoFrame:
    """*frame* in yuv420p, both sides times *scale* and even; itself where nothing is to be done."""
    width, height = even(frame.width * scale), even(frame.height * scale)
    if (width, height, "yuv420p") == (frame.width, frame.height, frame.format.name):
        return frame
    return frame.reformat(width=width, height=height, format="yuv420p", interpolation="FAST_BILINEAR")


class Turning:
    """Turns pictures clockwise. One thread."""

    def __init__(self, rotation: Rotation) -> None:
        self._rotation = rotation
        self._graph: av.filter.Graph | None = None
        self._takes: tuple[int, int] = (0, 0)

    def turned(self, frame: av.VideoFrame) -> av.VideoFrame:
        """*frame* turned, in yuv420p; itself where there is nothing to turn. Raises :exc:`MediaError`."""
        if self._rotation == 0:
            return frame
        frame = scaled(frame, 1.0)
        try:
            if self._graph is None or self._takes != (frame.width, frame.height):
                self._graph, self._takes = self._made(frame), (frame.width, frame.height)
            self._graph.push(frame)
            turned = self._graph.pull()
        except (av.FFmpegError, ValueError) as error:
            self._graph = None
            raise MediaError(f"the picture cannot be turned: {error}") from None
        assert isinstance(turned, av.VideoFrame)
        return turned

    def _made(self, frame: av.VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        chain = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TIME_BASE)]
        chain += [graph.add(name, arguments) for name, arguments in TURNS[self._rotation]]
        chain.append(graph.add("buffersink"))
        for one, following in itertools.pairwise(chain):
            one.link_to(following)
        graph.configure()
        return graph
