"""The robot seat answers a rebuilt connection as the page does, and goes on talking on it."""

from __future__ import annotations

import asyncio
import time

from kiosk.demo.robot import Robot
from kiosk.hardware.microphone import ToneMicrophone
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.media.call_devices import CallDevices
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.session import MediaConnected, MediaEvent, MediaSession
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType
from tests.desks import RunningDesk, help_wanted, invitation
from tests.waiting import HANG_S, until


async def test_a_robot_answers_a_rebuilt_connection_and_is_heard_on_it(desk: RunningDesk) -> None:
    prepare_media([LOOPBACK])
    events: list[MediaEvent] = []
    microphone = ToneMicrophone(440.0)
    devices = CallDevices(camera=None, microphone=microphone, speaker=SimulatedSpeaker(), tell=lambda event: None)
    devices.open(video=False)

    def session() -> MediaSession:
        return MediaSession(
            call_type=CallType.AUDIO, devices=devices, ice_servers=(), on_event=events.append, log_id="test"
        )

    code = await asyncio.to_thread(desk.server.registry.make_code, "nurse-1", now=int(time.time()))
    first, second = session(), session()
    async with Robot(desk.server.url, code) as robot:
        bed = await desk.bed()
        await bed.says(wire.Request(request=help_wanted(call_type=CallType.AUDIO)))
        allocated = await bed.hears(wire.Allocated)
        await bed.says(invitation(allocated, call_type=CallType.AUDIO, sdp=await first.offer()))
        ringing = asyncio.create_task(robot.rings())
        await first.answer((await bed.hears(wire.Answer)).sdp)
        incoming, _ = await ringing
        await robot.accept(incoming, CallType.AUDIO)
        before = robot.peer
        events.clear()
        await bed.says(wire.Rebuild(call_id=incoming.call_id, connection=1, sdp=await second.offer()))
        again = await bed.hears(wire.Answer, connection=1)
        await second.answer(again.sdp)
        await until(lambda: MediaConnected() in events, "the new connection carries media")
        second.open_gate()
        assert robot.peer is not None
        assert robot.peer is not before
        await asyncio.wait_for(robot.peer.audible.wait(), HANG_S)
    await asyncio.gather(first.close(), second.close(), devices.close())
