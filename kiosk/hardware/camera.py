"""The camera's port, and that of a camera which encodes by itself.

A frame is an ``av.VideoFrame`` in yuv420p. Nothing is captured, and no device is held, while a camera is closed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import av

OnFrame = Callable[[av.VideoFrame], None]
OnFault = Callable[[str], None]
Rotation = Literal[0, 90, 180, 270]
"""Degrees clockwise."""


class Camera(ABC):
    """A source of pictures.

    Implementations must deliver frames on a thread of their own, must call *on_fault* at most once per opening
    when the device goes away, and must be able to be opened again after :meth:`close`.
    """

    name: str
    turns: Rotation = 0
    """How far it turns its pictures by itself; what else is to be turned is the caller's part."""

    @abstractmethod
    def open(self, on_frame: OnFrame, on_fault: OnFault) -> None:
        """Start capturing. Raises :exc:`HardwareFault` if the device cannot be opened."""

    @abstractmethod
    def close(self) -> None:
        """Stop capturing and let the device go. May be called twice."""


@dataclass(frozen=True)
class Coding:
    """What a camera's encoder is to make: *bps*, of the whole picture or *half* its size, of *every* n-th picture.

    Another *run* than before begins anew, with a key frame.
    """

    bps: int
    half: bool
    every: int
    run: int


@dataclass(frozen=True)
class Coded:
    """One picture in H.264 (Annex B), taken at *taken_s* (monotonic seconds)."""

    data: bytes
    keyframe: bool
    taken_s: float


OnCoded = Callable[[Coded], None]


class CodingCamera(Camera):
    """A camera with an H.264 encoder of its own.

    What is asked of it here may be asked at any time, on any thread, and holds through closing and opening: while
    the camera is closed nothing is made, and when it is opened again (a plug has been put back) it goes on with
    what was asked last. Frames and coded pictures come on threads of its own.
    """

    size: tuple[int, int]
    """Width and height of the whole picture, exact once the camera is open."""

    @abstractmethod
    def try_encoder(self) -> str:
        """Start the encoder and stop it again, without a picture being taken. Returns its name.

        To be called once, before the first opening. Raises :exc:`HardwareFault` where there is none, or where it
        cannot make these pictures. May take half a second.
        """

    @abstractmethod
    def code(self, coding: Coding | None, on_coded: OnCoded, on_fault: OnFault) -> None:
        """Make *coding* from now on; None: nothing. Does not wait.

        A *coding* begins with a key frame. *on_fault* is called at most once: the encoder fails though the camera
        does not, and nothing is made until this is called anew.
        """

    @abstractmethod
    def request_keyframe(self) -> None:
        """Make the next picture a key frame, if pictures are made. Does not wait."""

    @abstractmethod
    def want_frames(self, wanted: bool) -> None:
        """Give frames, as any camera does (so at first), or none: each costs a copy. Does not wait."""
