"""Key frames are made whole: headers before the picture, whatever the encoder leaves out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kiosk.media.h264 import Headers, units

LONG, SHORT = b"\x00\x00\x00\x01", b"\x00\x00\x01"
SPS, PPS, IDR, PICTURE = b"\x67sps", b"\x68pps", b"\x65idr", b"\x41pic"


def test_units_are_found_after_short_and_long_start_codes() -> None:
    assert units(LONG + SPS + LONG + PPS + SHORT + IDR) == [SPS, PPS, IDR]
    assert units(b"") == units(b"no start code") == []
    assert units(LONG + LONG + IDR) == [IDR], "an empty unit is none"


@given(bodies=st.lists(st.binary(min_size=1, max_size=20).map(lambda body: b"\x65" + body.replace(b"\0", b"\1"))))
def test_every_unit_is_found_again(bodies: list[bytes]) -> None:
    assert units(b"".join(LONG + body for body in bodies)) == bodies


def test_a_whole_key_frame_stays_as_it_is() -> None:
    whole = LONG + SPS + LONG + PPS + SHORT + IDR
    assert Headers().before(whole) == whole


def test_headers_that_are_left_out_are_put_before_the_next_key_frame() -> None:
    headers = Headers()
    assert headers.before(LONG + SPS + LONG + PPS) is None, "headers alone are no picture"
    assert headers.before(LONG + IDR) == LONG + SPS + LONG + PPS + LONG + IDR


def test_the_newest_headers_are_put_and_only_those_that_are_missing() -> None:
    headers = Headers()
    headers.before(LONG + b"\x67old" + LONG + PPS + LONG + IDR)
    new = LONG + SPS + LONG + IDR
    assert headers.before(new) == LONG + PPS + new
    assert headers.before(LONG + IDR) == LONG + SPS + LONG + PPS + LONG + IDR


def test_a_key_frame_whose_headers_never_came_is_none_and_so_is_another_picture() -> None:
    headers = Headers()
    assert headers.before(LONG + IDR) is None
    assert headers.before(LONG + PPS + LONG + IDR) is None
    headers.before(LONG + SPS)
    assert headers.before(LONG + PICTURE) is None
