"""What an Opus packet says of itself (RFC 6716): its length, and whether it mends the one before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.media.opus_packet import MAX_SAMPLES, OpusPacket, inspect

SILK_20, SILK_40, HYBRID_20, CELT_20, CELT_2_5 = 1, 2, 13, 31, 28
STEREO = 4


def toc(configuration: int, code: int = 0, *, stereo: bool = False) -> int:
    return configuration << 3 | (STEREO if stereo else 0) | code


def said(*octets: int) -> OpusPacket:
    found = inspect(bytes(octets))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("configuration", "samples"),
    [(0, 480), (1, 960), (2, 1920), (3, 2880), (12, 480), (15, 960), (28, 120), (31, 960)],
)
def test_the_first_byte_tells_the_length(configuration: int, samples: int) -> None:
    assert said(toc(configuration), 0, 0).samples == samples


@pytest.mark.parametrize(
    ("octets", "frames"),
    [
        ((toc(CELT_20, 0), 0, 0), 1),
        ((toc(CELT_20, 1), 0, 0), 2),
        ((toc(CELT_20, 2), 1, 0, 0), 2),
        ((toc(CELT_20, 2), 252, 0, 0, 0), 2),
        ((toc(CELT_20, 3), 3, 0, 0, 0), 3),
        ((toc(CELT_20, 3), 0x80 | 3, 1, 1, 0, 0, 0), 3),
        ((toc(CELT_20, 3), 0x80 | 2, 252, 0, 0, 0), 2),
        ((toc(CELT_20, 3), 0x40 | 2, 255, 0, 0, 0), 2),
    ],
)
def test_a_packet_may_hold_several_frames(octets: tuple[int, ...], frames: int) -> None:
    assert said(*octets).samples == frames * 960


@pytest.mark.parametrize(
    "octets",
    [
        (),
        (toc(CELT_20, 1), 0),  # two frames of one length
        (toc(CELT_20, 2),),  # no length
        (toc(CELT_20, 3),),  # no count
        (toc(CELT_20, 3), 0),  # no frames
        (toc(CELT_20, 3), 7),  # 140 ms
        (toc(CELT_20, 3), 0x80 | 3, 1),  # a length is missing
    ],
)
def test_what_is_malformed_is_no_packet(octets: tuple[int, ...]) -> None:
    assert inspect(bytes(octets)) is None


@pytest.mark.parametrize(
    ("octets", "mends"),
    [
        ((toc(SILK_20), 0x40, 0), True),
        ((toc(SILK_20), 0x80, 0), False),  # voice, and no copy
        ((toc(HYBRID_20), 0x40, 0), True),
        ((toc(CELT_20), 0x40, 0), False),
        ((toc(SILK_40), 0x20, 0), True),
        ((toc(SILK_40), 0x40, 0), False),
        ((toc(SILK_20, stereo=True), 0x10, 0), True),  # of the side channel
        ((toc(SILK_20, stereo=True), 0x20, 0), False),
        ((toc(SILK_20, 3), 0x40 | 1, 0, 0x40), True),
        ((toc(SILK_20, 3), 0x40 | 1, 200), False),  # all padding
    ],
)
def test_a_copy_of_the_packet_before_is_seen(octets: tuple[int, ...], mends: bool) -> None:
    assert said(*octets).mends is mends


def test_a_packet_of_no_more_than_two_bytes_is_the_senders_silence() -> None:
    assert said(toc(SILK_20)).quiet
    assert said(toc(SILK_20), 0x40) == OpusPacket(samples=960, mends=False, quiet=True)
    assert not said(toc(SILK_20), 0x40, 0).quiet


@given(payload=st.binary(max_size=40))
def test_whatever_comes_is_looked_at_without_an_error(payload: bytes) -> None:
    found = inspect(payload)
    assert found is None or 120 <= found.samples <= MAX_SAMPLES
