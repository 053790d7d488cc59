"""The camera's port.

A frame is an ``av.VideoFrame`` in yuv420p. Nothing is captured, and no device is held, while a camera is closed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import av

OnFrame = Callable[[av.VideoFrame], None]
OnFault = Callable[[str], None]


class Camera(ABC):
    """A source of pictures.

    Implementations must deliver frames on a thread of their own, must call *on_fault* at most once per opening
    when the device goes away, and must be able to be opened again after :meth:`close`.
    """

    name: str

    @abstractmethod
    def open(self, on_frame: OnFrame, on_fault: OnFault) -> None:
        """Start capturing. Raises :exc:`HardwareFault` if the device cannot be opened."""

    @abstractmethod
    def close(self) -> None:
        """Stop capturing and let the device go. May be called twice."""
