"""What we use of picamera2, libcamera and V4L2, by the names they have there.

All of it is imported when first used and never elsewhere: the bindings come with Raspberry Pi OS and not from a
package index. :mod:`kiosk.hardware.simulated_picamera2` is the same without a Pi.
"""

from __future__ import annotations

import fcntl
import importlib
from typing import Any

from kiosk.errors import HardwareFault


class Library:
    """The real one. Each attribute raises :exc:`HardwareFault` where its module is missing."""

    name = "picamera2"

    @property
    def camera(self) -> Any:
        """The class ``Picamera2``."""
        return _module("picamera2").Picamera2

    @property
    def encoder(self) -> Any:
        """The class ``H264Encoder`` of the VideoCore.

        ``picamera2.encoders`` names another one so where there is none: libx264, which we run ourselves.
        """
        if _module("picamera2.platform").get_platform().name != "VC4":
            raise HardwareFault("this Raspberry Pi has no H.264 encoder")
        return _module("picamera2.encoders.h264_encoder").H264Encoder

    @property
    def output(self) -> Any:
        """The class ``Output``: an encoder takes no other."""
        return _module("picamera2.outputs").Output

    @property
    def transform(self) -> Any:
        """libcamera's class ``Transform``."""
        return _module("libcamera").Transform

    def ioctl(self, node: Any, request: int, argument: bytes) -> None:
        """Control the V4L2 *node*, an open file. Raises :exc:`OSError`."""
        fcntl.ioctl(node, request, argument)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise HardwareFault(
            f"camera picamera2: the library is missing ({error}); on Raspberry Pi OS: apt install"
            " python3-picamera2, and a virtual environment with --system-site-packages"
        ) from None
