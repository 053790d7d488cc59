"""A bed in a talk with up to four seats, between real aiortc peers on loopback: all hear and see, none disturbs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aioice.ice
import pytest

from kiosk.bedside import bed_events, call_events, media_effects
from kiosk.bench.counted_bed import count
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.signaling.messages import CallType
from tests.datagrams import kind
from tests.group_beds import BED_HZ, GroupBed, part_of, ports
from tests.waiting import HANG_S, until

TONES = {"one": 600.0, "two": 800.0, "three": 1000.0, "four": 1250.0}
HEARD = 0.08
"""Of the power: a quarter is due to each of four; on a busy machine sound stumbles."""
SETTLED = 5
PICTURES = 10


@pytest.fixture
async def bed() -> AsyncIterator[GroupBed]:
    prepare_media([LOOPBACK])
    bed = GroupBed()
    yield bed
    await bed.closes()


async def sees_and_hears(bed: GroupBed, call_id: str) -> None:
    """From now on."""
    seat = bed.seats[call_id]
    seen = len(seat.codes)
    await until(lambda: len(seat.codes) > seen + PICTURES, f"{call_id} sees the bed")
    await until(lambda: part_of(seat.sound(), BED_HZ) > 0.5, f"{call_id} hears the bed")


async def is_heard(bed: GroupBed, *call_ids: str) -> None:
    """The speaker sounds each of them, at once."""
    tones = [TONES[call_id] for call_id in call_ids]
    await until(lambda: all(part_of(bed.speaker.recent(), hz) > HEARD for hz in tones), f"the bed hears {call_ids}")


async def test_up_to_four_seats_join_and_leave_and_each_is_heard_and_sees(bed: GroupBed) -> None:
    present: list[str] = []
    for call_id, hz in TONES.items():
        await bed.joins(call_id, hz=hz)
        present.append(call_id)
        await is_heard(bed, *present)
    for call_id in present:
        await sees_and_hears(bed, call_id)
    await until(lambda: len(bed.pictures) > PICTURES, "the patient sees a seat")

    for call_id in ("one", "three"):
        await bed.leaves(call_id)
        present.remove(call_id)
        gone = TONES[call_id]
        await until(lambda gone=gone: part_of(bed.speaker.recent(), gone) < HEARD / 4, f"{call_id} is not heard")  # type: ignore[misc]
    await is_heard(bed, *present)
    for call_id in present:
        await sees_and_hears(bed, call_id)

    assert (bed.microphone.opened, bed.camera.opened) == (1, 1), "one opening for all"
    for call_id in present:
        assert bed.camera.is_open
        await bed.leaves(call_id)
    await until(lambda: not bed.camera.is_open, "the devices are let go with the last")


async def test_the_next_seats_face_is_shown_when_the_first_leaves(bed: GroupBed) -> None:
    await bed.joins("one", hz=TONES["one"])
    await until(lambda: len(bed.pictures) > PICTURES, "the first is seen")
    await bed.joins("two", hz=TONES["two"])
    await is_heard(bed, "one", "two")
    await bed.leaves("one")
    bed.pictures.clear()  # the second one's stream is decoded from the middle on
    await until(lambda: len(bed.pictures) > PICTURES, "the second is seen")


async def test_a_seat_whose_camera_is_off_gives_its_place_to_one_that_shows_pictures(bed: GroupBed) -> None:
    first = await bed.joins("one", hz=TONES["one"])
    await bed.joins("two", hz=TONES["two"])
    await until(lambda: len(bed.pictures) > PICTURES, "the first is seen")
    assert bed.media._shown == "one"
    await first.films_no_more()
    await until(lambda: bed.media._shown == "two", "the other takes its place")
    bed.pictures.clear()
    await until(lambda: len(bed.pictures) > PICTURES, "and is seen")


async def test_a_bed_without_a_panel_counts_the_pictures_of_each_seat() -> None:
    prepare_media([LOOPBACK])
    bed = GroupBed(panel=False)
    await bed.joins("one", hz=TONES["one"])
    await bed.joins("two", hz=TONES["two"])

    def counted() -> set[str]:
        measured = [one.quality for one in bed.reports if isinstance(one, bed_events.Measured)]
        return {quality.call_id for quality in measured if quality.fps}

    await until(lambda: counted() == {"one", "two"}, "pictures a second, though none is decoded")
    await bed.closes()


# -- the gate of each seat


class CaptureByPort:
    """Counts what leaves for each port, by what it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: dict[int, Counter[str]] = {}
        protocol = aioice.ice.StunProtocol
        sends = protocol.send_data

        async def send_data(own: Any, data: bytes, addr: tuple[str, int]) -> None:
            self.sent.setdefault(addr[1], Counter())[kind(data)] += 1
            await sends(own, data, addr)

        monkeypatch.setattr(protocol, "send_data", send_data)

    def towards(self, sdp: str) -> Counter[str]:
        """What left for who described themselves so."""
        return sum((self.sent.get(port, Counter()) for port in ports(sdp)), Counter())


@pytest.mark.promise("R06")
async def test_a_seat_that_still_rings_gets_nothing_while_others_talk(
    bed: GroupBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = CaptureByPort(monkeypatch)
    await bed.joins("one", hz=TONES["one"])
    await bed.rings("two", hz=TONES["two"])
    await bed.joins("three", hz=TONES["three"])
    spoken = bed.microphone.blocks
    await sees_and_hears(bed, "one")
    await sees_and_hears(bed, "three")
    await until(lambda: bed.microphone.blocks > spoken + 50, "a second of the patient's voice could have leaked")

    ringing = capture.towards(bed.answers["two"])
    assert set(ringing) <= {"stun", "dtls", "rtcp"}
    assert ringing["dtls"], "it is connected, and the capture sees it"
    assert capture.towards(bed.answers["one"])["rtp"] > 50
    assert not bed.seats["two"].heard_anything.is_set()

    bed.accepts("two")
    await sees_and_hears(bed, "two")
    assert capture.towards(bed.answers["two"])["rtp"]


async def test_a_seat_that_leaves_while_another_rings_opens_no_gate(
    bed: GroupBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = CaptureByPort(monkeypatch)
    await bed.joins("one", hz=TONES["one"])
    await bed.rings("two", hz=TONES["two"])
    await bed.leaves("one")
    spoken = bed.microphone.blocks
    await until(lambda: bed.microphone.blocks > spoken + 50, "the devices stay open for the one that rings")
    assert not capture.towards(bed.answers["two"])["rtp"]
    bed.accepts("two")
    await sees_and_hears(bed, "two")


# -- one path fails


class DeadPath:
    """Loses all that comes from some ports."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ports: frozenset[int] = frozenset()
        protocol = aioice.ice.StunProtocol
        received = protocol.datagram_received

        def datagram_received(own: Any, data: bytes, addr: tuple[Any, ...]) -> None:
            if addr[1] not in self.ports:
                received(own, data, addr)

        monkeypatch.setattr(protocol, "datagram_received", datagram_received)


async def test_one_seats_dead_path_is_rebuilt_and_the_others_notice_nothing(
    bed: GroupBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = DeadPath(monkeypatch)
    await bed.joins("one", hz=TONES["one"])
    await bed.joins("two", hz=TONES["two"])
    await is_heard(bed, "one", "two")
    dead.ports = ports(bed.answers["two"]) | ports(bed.offers["two"])
    await bed.tells(call_events.MediaStalled, "two")
    await sees_and_hears(bed, "one")

    gone = bed.seats["two"]
    await bed.rings("two", hz=TONES["two"], connection=1)
    bed.accepts("two")
    await sees_and_hears(bed, "two")
    await sees_and_hears(bed, "one")
    await is_heard(bed, "one", "two")
    told = {(one.call_id, type(one).__name__) for one in bed.reports if hasattr(one, "connection")}
    assert ("one", "MediaStalled") not in told
    assert ("one", "MediaDown") not in told
    assert (bed.microphone.opened, bed.camera.opened) == (1, 1)
    await gone.close()


async def test_an_offer_that_is_answered_with_garbage_is_no_fault_of_another_call(bed: GroupBed) -> None:
    await bed.joins("one", hz=TONES["one"])
    bed.media.perform(media_effects.OpenMedia("two", CallType.VIDEO))
    await bed.tells(call_events.Offered, "two")
    bed.media.perform(media_effects.ApplyAnswer("two", "v=0\r\n"))
    down = await bed.tells(call_events.MediaDown, "two")
    assert "names no key" in down.why
    bed.media.perform(media_effects.CloseMedia("two"))
    await sees_and_hears(bed, "one")


# -- sound alone


async def test_the_camera_goes_on_until_the_last_seat_that_sees_it_has_sound_alone(bed: GroupBed) -> None:
    await bed.joins("one", hz=TONES["one"])
    await bed.joins("two", hz=TONES["two"])
    await bed.joins("three", hz=TONES["three"], call_type=CallType.AUDIO)
    bed.media.perform(media_effects.StopVideo("one"))
    await sees_and_hears(bed, "two")
    assert bed.camera.is_open
    bed.media.perform(media_effects.StopVideo("two"))
    await until(lambda: not bed.camera.is_open, "the camera is let go")
    await is_heard(bed, "one", "two", "three")


# -- timers, the ring, the figures: each of its own call


async def test_the_wait_of_one_call_is_not_that_of_another(bed: GroupBed) -> None:
    bed.media.perform(media_effects.StartTimer("one", media_effects.Timer.RING, 0.01))
    bed.media.perform(media_effects.StartTimer("two", media_effects.Timer.RING, HANG_S))
    bed.media.perform(media_effects.StopTimer("two"))
    bed.media.perform(media_effects.StartTimer("two", media_effects.Timer.CONNECT, 0.01))
    bed.media.perform(media_effects.StartTimer("three", media_effects.Timer.RING, HANG_S))
    await until(lambda: len(bed.reports) == 2, "two ran out")
    assert {(one.call_id, one.timer) for one in bed.reports} == {
        ("one", media_effects.Timer.RING),
        ("two", media_effects.Timer.CONNECT),
    }


async def test_another_calls_end_does_not_end_the_ring(bed: GroupBed) -> None:
    bed.media.perform(media_effects.StartRing("one"))
    await until(lambda: bool(bed.speaker.recent().any()), "it rings")
    bed.media.perform(media_effects.CloseMedia("refused"))
    assert bed.media._ringer._ringing is not None
    bed.media.perform(media_effects.CloseMedia("one"))
    assert bed.media._ringer._ringing is None


async def test_each_seats_quality_is_told_under_its_call(bed: GroupBed) -> None:
    await bed.joins("one", hz=TONES["one"])
    await bed.joins("two", hz=TONES["two"])

    def told() -> set[str]:
        return {
            one.quality.call_id
            for one in bed.reports
            if isinstance(one, bed_events.Measured) and one.quality.kbps_out
        }

    await until(lambda: told() == {"one", "two"}, "both are measured")


async def test_fifty_seats_that_join_and_leave_leave_nothing_behind(bed: GroupBed) -> None:
    await bed.joins("one", hz=TONES["one"])
    await joins_and_leaves(bed, SETTLED)
    before = count()
    await joins_and_leaves(bed, 50)
    await until(lambda: not count().more_than(before), "nothing is left")
    await sees_and_hears(bed, "one")


async def joins_and_leaves(bed: GroupBed, many: int) -> None:
    for number in range(many):
        seat = await bed.joins(f"guest {number}", hz=TONES["two"])
        async with asyncio.timeout(HANG_S):
            await seat.heard_anything.wait()
        await bed.leaves(f"guest {number}")
