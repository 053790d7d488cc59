"""What a media connection tells the call (:mod:`kiosk.media.session`). Pure: plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MediaConnected:
    """ICE and DTLS are done."""


@dataclass(frozen=True)
class MediaFailed:
    """The connection cannot be made, or the seat closed it."""

    why: str


@dataclass(frozen=True)
class MediaStalled:
    """Connected once, and nothing comes any more (:mod:`kiosk.media.liveness`), or it cannot be played."""

    why: str


@dataclass(frozen=True)
class RemoteAudioStarted:
    """The first audible sound of the seat has arrived."""


@dataclass(frozen=True)
class RemoteVideoStarted:
    """The first picture of the seat has come, and has been decoded where somebody looks."""


@dataclass(frozen=True)
class SpokenBothWays:
    """Speech has flowed in both directions (see :mod:`kiosk.media.speech`). Told once."""


@dataclass(frozen=True)
class PicturesShed:
    """The path carries no pictures: the seat gets sound alone (*shed*), or pictures again."""

    shed: bool


MediaEvent = (
    MediaConnected
    | MediaFailed
    | MediaStalled
    | RemoteAudioStarted
    | RemoteVideoStarted
    | SpokenBothWays
    | PicturesShed
)
