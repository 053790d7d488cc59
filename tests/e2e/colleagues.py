"""Several nurses in one talk, each with her own tone and colour, so that a test knows whom it hears and sees."""

from __future__ import annotations

import asyncio
from itertools import permutations

import numpy as np
from playwright.async_api import expect

from kiosk import settings
from kiosk.bench.chromium import hear_tone
from kiosk.hardware.sound import SAMPLE_RATE
from tests.e2e.conftest import Hospital, Seat, SignIn
from tests.waiting import HANG_S

HANG_MS = HANG_S * 1000
TONES_HZ = {"nurse-1": 610, "nurse-2": 730, "nurse-3": 850, "nurse-4": 970}
COLOURS = {"nurse-1": (200, 40, 40), "nurse-2": (40, 60, 200)}
NURSES = (*TONES_HZ, "nurse-5")
NAMED = tuple(
    settings.Seat(user_id=user_id, name=f"Nurse {name}", groups=("ward-3",))
    for user_id, name in zip(NURSES, ("Lin", "Zhou", "Meyer", "Okoro", "Silva"), strict=True)
)
NAMES = {seat.user_id: seat.name for seat in NAMED}


def own_media(user_id: str) -> str:
    """In the page: the microphone and the camera of *user_id*.

    ``connections`` are all that it has made. While ``held`` is a list, offers to colleagues wait there; while
    ``walled_in``, no path leads to a connection that is new.
    """
    hz, colour = TONES_HZ.get(user_id, 0), COLOURS.get(user_id, (90, 90, 90))
    return f"""
navigator.mediaDevices.getUserMedia = async ({{ audio }}) => {{
  if (audio) {{
    const context = new AudioContext();
    const voice = new OscillatorNode(context, {{ frequency: {hz} }});
    const out = new MediaStreamAudioDestinationNode(context);
    voice.connect(new GainNode(context, {{ gain: 0.25 }})).connect(out);
    voice.start();
    return out.stream;
  }}
  const canvas = Object.assign(document.createElement('canvas'), {{ width: 320, height: 180 }});
  const pen = canvas.getContext('2d');
  setInterval(() => {{ pen.fillStyle = 'rgb{colour}'; pen.fillRect(0, 0, 320, 180); }}, 50);
  return canvas.captureStream(15);
}};
window.walled_in = false;
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {{
  constructor(configuration) {{
    super(walled_in ? {{ ...configuration, iceTransportPolicy: 'relay' }} : configuration);
    connections.push(this);
  }}
}};
window.held = null;
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) {{
  if (held && JSON.parse(text).type === 'member_offer') held.push(() => send.call(this, text));
  else send.call(this, text);
}};
"""


READ_COLOUR = """(video) => {
  if (!video.videoWidth) return [0, 0, 0];
  const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
  pen.drawImage(video, 0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""


class Colleague(Seat):
    """A page whose nurse is known by her tone and her colour."""

    def __init__(self, seat: Seat, user_id: str) -> None:
        super().__init__(seat.page)
        self.user_id = user_id

    def tile(self, other: str) -> str:
        """A selector of what this page has of *other*."""
        return f'[data-testid=member][data-user-id="{other}"]'

    async def has(self, other: str, state: str = "talking") -> None:
        await expect(self.page.locator(self.tile(other))).to_have_attribute("data-state", state, timeout=HANG_MS)

    async def has_not(self, other: str) -> None:
        await expect(self.page.locator(self.tile(other))).to_have_count(0, timeout=HANG_MS)

    async def hears_colleague(self, other: str) -> None:
        await self.has(other)
        await self.hears(TONES_HZ[other], hear_tone(f"{self.tile(other)} video"))

    async def hears_nothing_of(self, other: str) -> None:
        """All that comes is far below any tone."""
        how = hear_tone(f"{self.tile(other)} video")
        async with asyncio.timeout(HANG_S):
            while (await self.page.evaluate(how, 400))[1] > -90:
                pass

    async def sees_colleague(self, other: str) -> None:
        video = self.page.locator(f"{self.tile(other)}[data-picture=true] video")
        async with asyncio.timeout(HANG_S):
            seen = (0, 0, 0)
            while np.abs(np.subtract(seen, COLOURS[other])).max() > 30:
                seen = await video.evaluate(READ_COLOUR, timeout=HANG_MS)

    async def looks_for(self, other: str) -> None:
        """Search for *other*, who is found."""
        if await self.by("add").get_attribute("open") is None:
            await self.by("find-seats").click()
        await self.by("add-text").fill(NAMES[other])
        await expect(self.by("found-seat")).to_have_count(1, timeout=HANG_MS)

    async def asks(self, other: str) -> None:
        """Ask *other* to join."""
        await self.looks_for(other)
        await self.by("ask-to-join").click()

    async def adds(self, other: Colleague) -> None:
        """*other* is asked, rings, accepts, and is in."""
        await self.asks(other.user_id)
        await other.answers()
        await self.has(other.user_id)


class Colleagues:
    """The nurses of a test, in the order in which they joined."""

    def __init__(self, hospital: Hospital, sign_in: SignIn) -> None:
        self._hospital = hospital
        self._sign_in = sign_in

    async def arrives(self, user_id: str) -> Colleague:
        return Colleague(await self._sign_in(user_id, before=own_media(user_id)), user_id)

    async def talk(self, *user_ids: str) -> list[Colleague]:
        """The patient presses; the first answers and adds the others, one by one."""
        first, *others = [await self.arrives(user_id) for user_id in user_ids]
        for other in others:
            await other.by("not-ready").click()
        self._hospital.bed.press()
        await first.answers()
        for other in others:
            await other.by("ready").click()
            await other.is_("free")
            await first.adds(other)
        return [first, *others]


async def all_hear_each_other(*colleagues: Colleague) -> None:
    for one, other in permutations(colleagues, 2):
        await one.hears_colleague(other.user_id)


async def bed_hears(hospital: Hospital, *colleagues: Colleague) -> None:
    """Every one of the *colleagues*, and none of the others, sounds at the bed's speaker."""
    wanted = {TONES_HZ[colleague.user_id] for colleague in colleagues}
    async with asyncio.timeout(HANG_S):
        heard: set[int] = set()
        while heard != wanted:
            sound = await asyncio.to_thread(hospital.pulse.record_speaker, 0.5)
            heard = {hz for hz in TONES_HZ.values() if loudness(sound, hz) > -40}


def loudness(sound: np.typing.NDArray[np.int16], hz: float) -> float:
    """How loud the tone of *hz* is, in dB of full scale."""
    turns = np.exp(-2j * np.pi * hz * np.arange(len(sound)) / SAMPLE_RATE) * np.hanning(len(sound))
    return float(20 * np.log10(np.abs(np.dot(sound / 32768, turns)) * 4 / len(sound) + 1e-9))
