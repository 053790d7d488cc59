"""Who watches a self-test: the port between the test and a screen, a socket, or nobody."""

from __future__ import annotations

from abc import ABC, abstractmethod

from kiosk.check.findings import Finding, Part


class Examiner(ABC):
    """Implementations may raise OSError or TimeoutError when nobody is there any more: that ends the test."""

    @abstractmethod
    async def found(self, finding: Finding) -> None:
        """Something was found out."""

    @abstractmethod
    async def looks(self, part: Part) -> bool | None:
        """Whether a person sees the lamp blink, or hears the other nurse call; None: nobody says."""

    @abstractmethod
    async def press_now(self) -> None:
        """The call button is to be pressed now, and is waited for."""
