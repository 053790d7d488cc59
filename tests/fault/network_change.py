"""In a network of its own: a bed with two addresses loses the one in use in a talk, and talks on by the other.

Run by ``test_network_change.py`` as ``unshare --net``, so that addresses can come and go.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from kiosk import settings
from kiosk.demo.robot import Robot
from kiosk.demo.run import FIRST_SEAT, demo_settings
from kiosk.demo.ward import Ward
from kiosk.media.answering_peer import AnsweringPeer
from kiosk.media.interfaces import prepare_media
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType
from tests.waiting import HANG_S, until

BED, SEAT = ("10.99.0.1", "10.99.0.2"), "10.99.0.9"


def ip(*words: str) -> None:
    """The program of this name."""
    subprocess.run(["ip", *words], check=True)


async def talks(peer: AnsweringPeer) -> None:
    """The seat sees and hears the bed."""
    async with asyncio.timeout(HANG_S):
        await peer.coded.wait()
        await peer.audible.wait()


def bed_address(peer: AnsweringPeer) -> str:
    """Which of the bed's addresses the connection uses."""
    pc: Any = vars(peer)["_pc"]
    (pair,) = pc.getReceivers()[0].transport.transport._connection._nominated.values()
    return str(pair.remote_addr[0])


async def main(folder: Path) -> None:
    """Everything; raises when something is not as it must be."""
    ip("link", "set", "lo", "up")
    for address in (*BED, SEAT):
        ip("address", "add", f"{address}/32", "dev", "lo")
    made = demo_settings(port=0, auto=True)
    ward = Ward(folder, msgspec.structs.replace(made, media=settings.Media(interfaces=BED)))
    ward.prepare()
    prepare_media([SEAT])
    desk = await ward.start_desk()
    try:
        ward.bed_settings(desk.url)
        bed = await ward.start_bed()

        def told(event: str) -> int:
            return sum(moment.event == event for moment in bed.moments())

        try:
            async with Robot(desk.url, ward.seat_link(desk.url, FIRST_SEAT).partition("#code=")[2]) as robot:
                await until(lambda: told("shows ready") > 0, "the bed is ready")
                bed.hand("call tap")
                incoming, _ = await robot.rings()
                await robot.accept(incoming, CallType.VIDEO)
                # So that the bed knows at once that silence is a dead path.
                await robot.send(wire.MediaState(call_id=incoming.call_id, audio=True, video=True, steady=True))
                before = robot.peer
                assert before is not None
                await talks(before)
                used = bed_address(before)
                assert used in BED
                ip("address", "delete", f"{used}/32", "dev", "lo")
                await until(lambda: told("onConnectionRecovery") == 1, "the connection is rebuilt")
                assert robot.peer is not None
                assert robot.peer is not before
                await talks(robot.peer)
                assert bed_address(robot.peer) in {*BED} - {used}
                assert told("onUserInviting") == 1, "nobody had to press or to answer again"
                print("talked on")
        finally:
            await bed.stop()
    finally:
        await desk.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
