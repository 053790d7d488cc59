"""Cameras: which node is one, what is told when one fails, and a coded picture that survives the codecs."""

from __future__ import annotations

import errno
import queue
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kiosk.errors import HardwareFault
from kiosk.hardware.camera_picamera2 import Picamera2Camera, has_pi_camera
from kiosk.hardware.camera_v4l2 import CAPABILITY, V4l2Camera, find_v4l2_camera
from kiosk.hardware.moving_picture import MovingPicture, read_code
from tests.threads import no_thread_left

HANG_S = 20.0
CAPTURE, MULTIPLANAR_CODEC, METADATA = 0x1, 0x4000, 0x800000
STREAMING = 0x4000000


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    with no_thread_left():
        yield


def luma_of(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return frame.to_ndarray()[: frame.height].astype(np.uint8)


# -- the coded picture


@given(
    width=st.integers(10, 120).map(lambda n: n * 16),
    height=st.integers(45, 544).map(lambda n: n * 2),
    counter=st.integers(0, 65535),
)
def test_every_size_that_can_be_set_carries_the_code_and_the_disc(width: int, height: int, counter: int) -> None:
    film = MovingPicture(width=width, height=height, fps=30)
    first, second = film.frame(counter), film.frame(counter + 30)
    assert (second.width, second.height) == (width, height)
    assert read_code(luma_of(first)) == counter
    below = slice(height // 8, None)
    assert (luma_of(first)[below] != luma_of(second)[below]).any()
    again = film.frame(counter)
    assert (luma_of(again) == luma_of(first)).all(), "the disc leaves no trace behind"


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
def test_the_code_survives_half_the_size_at_a_low_bitrate(codec: str) -> None:
    film = MovingPicture(width=640, height=360, fps=30)
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.framerate, encoder.bit_rate = Fraction(30), 150_000
    encoder.options = {"tune": "zerolatency"} if codec == "libx264" else {"deadline": "realtime", "cpu-used": "8"}
    decoder = av.CodecContext.create("h264" if codec == "libx264" else "vp8", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    sent = list(range(0xFFF8, 0x10000)) + list(range(0x5550, 0x5558))
    packets = [
        packet for at, counter in enumerate(sent) for packet in encoder.encode(_small(film.frame(counter), at))
    ] + encoder.encode(None)
    seen = [read_code(luma_of(frame)) for packet in [*packets, None] for frame in decoder.decode(packet)]
    assert seen == sent


def _small(frame: av.VideoFrame, pts: int) -> av.VideoFrame:
    small = frame.reformat(width=320, height=180)
    small.pts = pts
    return small


def test_a_camera_opened_twice_delivers_once() -> None:
    film = MovingPicture(width=160, height=90, fps=60)
    early: queue.Queue[Any] = queue.Queue()
    late: queue.Queue[Any] = queue.Queue()
    film.open(early.put, lambda why: None)
    early.get(timeout=HANG_S)
    film.open(late.put, lambda why: None)
    left = early.qsize()
    late.get(timeout=HANG_S)
    film.close()
    assert early.qsize() == left


# -- V4L2


def node(driver: str, abilities: int) -> bytes:
    return CAPABILITY.pack(
        driver.encode(), b"card", b"bus", 0x060C00, 0x80000000 | abilities, abilities | STREAMING
    )


def nodes_of(folder: Path, answers: dict[str, bytes | OSError]) -> Any:
    for name in answers:
        (folder / name).touch()

    def ask(path: Path) -> bytes:
        answer = answers[path.name]
        if isinstance(answer, OSError):
            raise answer
        return answer

    return ask


def test_a_pi_without_a_camera_has_none_among_its_dozen_nodes(tmp_path: Path) -> None:
    ask = nodes_of(
        tmp_path,
        {
            "video0": node("unicam", CAPTURE),
            "video1": node("rp1-cfe", CAPTURE),
            "video2": node("uvcvideo", METADATA),
            "video10": node("bcm2835-codec", MULTIPLANAR_CODEC),
            "video14": node("bcm2835-isp", CAPTURE),
            "video20": node("pispbe", CAPTURE),
            "video-notes.txt": node("uvcvideo", CAPTURE),
        },
    )
    assert find_v4l2_camera(tmp_path, ask=ask) is None


def test_the_usb_camera_with_the_lowest_number_is_taken(tmp_path: Path) -> None:
    ask = nodes_of(
        tmp_path,
        {
            "video0": OSError(errno.EBUSY, "busy"),
            "video10": node("uvcvideo", CAPTURE),
            "video9": node("uvcvideo", CAPTURE),
            "video8": node("uvcvideo", METADATA),
        },
    )
    assert find_v4l2_camera(tmp_path, ask=ask) == str(tmp_path / "video9")


def test_a_file_that_only_looks_like_a_node_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    assert find_v4l2_camera(tmp_path) is None


@pytest.fixture
def film_on_disk(tmp_path: Path) -> Path:
    """Three pictures, after which there are no more: for FFmpeg, a camera that is unplugged looks like that."""
    path = tmp_path / "film.mkv"
    film = MovingPicture(width=320, height=192, fps=30)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv422p"
        for counter in range(3):
            container.mux(stream.encode(film.frame(counter)))
        container.mux(stream.encode(None))
    return path


def test_a_v4l2_camera_delivers_and_says_once_when_it_is_unplugged(
    film_on_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Any]] = []
    container = av.open(str(film_on_disk))

    def open_device(name: str, *, format: str, options: dict[str, str]) -> Any:
        asked.append((format, options))
        return container

    monkeypatch.setattr(av, "open", open_device)
    camera = V4l2Camera("/dev/video0", width=320, height=192, fps=30)
    frames: queue.Queue[av.VideoFrame] = queue.Queue()
    faults: queue.Queue[str] = queue.Queue()
    camera.open(frames.put, faults.put)
    assert "/dev/video0 delivers no more pictures" in faults.get(timeout=HANG_S)
    camera.close()
    camera.close()
    assert asked == [("v4l2", {"video_size": "320x192", "framerate": "30"})]
    taken = [frames.get_nowait() for _ in range(frames.qsize())]
    assert [read_code(luma_of(frame)) for frame in taken] == [0, 1, 2]
    assert {frame.format.name for frame in taken} == {"yuv420p"}
    assert faults.empty()


def test_a_v4l2_camera_that_is_no_camera_is_told() -> None:
    with pytest.raises(HardwareFault, match=r"camera /etc/hostname: cannot be opened: .*is it plugged in"):
        V4l2Camera("/etc/hostname", width=640, height=360, fps=30).open(lambda frame: None, lambda why: None)


# -- picamera2


class Broken:
    """A picamera2 whose sensor takes no configuration, or stops answering."""

    acquired = 0
    configures = True

    def __init__(self) -> None:
        type(self).acquired += 1

    def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
        return wanted

    def align_configuration(self, wanted: dict[str, Any]) -> None:
        return

    def configure(self, wanted: dict[str, Any]) -> None:
        if not self.configures:
            raise RuntimeError("Sensor mode not supported")

    def start(self) -> None:
        return

    def capture_metadata(self, *, wait: float) -> dict[str, Any]:
        return {}

    def capture_array(self, stream: str, *, wait: float) -> NDArray[np.uint8]:
        raise RuntimeError("Camera frontend has timed out")

    def cancel_all_and_flush(self) -> None:
        return

    def close(self) -> None:
        type(self).acquired -= 1


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> type[Broken]:
    module = ModuleType("picamera2")
    monkeypatch.setattr(module, "Picamera2", Broken, raising=False)
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setattr(Broken, "acquired", 0)
    return Broken


def test_a_pis_camera_that_takes_no_configuration_is_let_go(
    broken: type[Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken, "configures", False)
    with pytest.raises(HardwareFault, match="Sensor mode not supported"):
        Picamera2Camera(width=640, height=360, fps=30).open(lambda frame: None, lambda why: None)
    assert broken.acquired == 0


def test_a_pis_camera_that_will_not_close_is_said_and_harms_nobody(
    broken: type[Broken], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stuck(self: Broken) -> None:
        raise RuntimeError("Unable to stop preview.")

    monkeypatch.setattr(broken, "close", stuck)
    camera = Picamera2Camera(width=640, height=360, fps=30)
    camera.open(lambda frame: None, lambda why: None)
    camera.close()
    assert "does not close: Unable to stop preview." in caplog.text


def test_without_picamera2_it_is_said_what_to_install() -> None:
    camera = Picamera2Camera(width=640, height=360, fps=30)
    for act in (camera.try_encoder, has_pi_camera, lambda: camera.open(lambda frame: None, lambda why: None)):
        with pytest.raises(HardwareFault, match="apt install python3-picamera2"):
            act()


def test_a_pi_5_has_no_encoder_and_its_software_one_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (
        ("picamera2", {}),
        ("picamera2.platform", {"get_platform": lambda: SimpleNamespace(name="PISP")}),
    ):
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(HardwareFault, match=r"this Raspberry Pi has no H\.264 encoder"):
        Picamera2Camera(width=640, height=360, fps=30).try_encoder()


def test_a_pis_camera_that_stops_answering_is_told_once_and_let_go(broken: type[Broken]) -> None:
    camera = Picamera2Camera(width=640, height=360, fps=30)
    faults: queue.Queue[str] = queue.Queue()
    camera.open(lambda frame: None, faults.put)
    assert "frontend has timed out" in faults.get(timeout=HANG_S)
    camera.close()
    assert broken.acquired == 0
    assert faults.empty()
