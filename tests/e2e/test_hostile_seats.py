"""A seat, or somebody on the way, says what no honest one would: refused in words, and the next seat rings."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Hospital, SignIn

pytestmark = [pytest.mark.browser, pytest.mark.alsa]

OTHER_KEY = "sdp.replace(/(a=fingerprint:\\S+ )\\S+/g, '$1' + Array(32).fill('AB').join(':'))"
NO_COMMON_CODEC = "sdp.replace(/(a=rtpmap:\\d+) \\S+/g, '$1 telepathy/90000')"
HUGE = "sdp + 'a=x\\r\\n'.repeat(200_000)"


def answers(sdp: str) -> str:
    """In the page: what it answers is changed on its way to the desk."""
    return f"""
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) {{
  const message = JSON.parse(text);
  if (message.type === "answer") {{
    const {{ sdp }} = message;
    text = JSON.stringify({{ ...message, sdp: {sdp} }});
  }}
  send.call(this, text);
}};
"""


OFFER_WITH_OTHER_KEY = f"""
const take = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function ({{ type, sdp }}) {{
  return take.call(this, {{ type, sdp: {OTHER_KEY} }});
}};
"""
"""In the page: the bed's offer was changed on its way."""


@pytest.mark.parametrize(
    ("before", "bed_says"),
    [
        pytest.param(
            answers(OTHER_KEY),
            "the seat's key is not the one",
            id="answer with another key",
            marks=pytest.mark.promise("R17"),
        ),
        pytest.param(OFFER_WITH_OTHER_KEY, "failed", id="offer with another key", marks=pytest.mark.promise("R17")),
        pytest.param(answers(NO_COMMON_CODEC), "no codec in common", id="no common codec"),
        pytest.param(answers(HUGE), "seat_lost", id="an answer of 1 MB"),
    ],
)
async def test_it_is_refused_in_words_and_the_next_seat_rings(
    hospital: Hospital, sign_in: SignIn, before: str, bed_says: str
) -> None:
    await hospital.opens()
    odd = await sign_in("nurse-1", before=before)
    honest = await sign_in("nurse-2")
    hospital.bed.press()
    await honest.answers()
    await hospital.bed.shows("talking")
    await honest.sees_the_bed()
    if "repeat" not in before:  # the desk cuts who sends so much; that page signs in again
        await odd.says("status", "The connection failed")
    assert bed_says in (hospital.ward.folder / "bed.log").read_text()
    assert hospital.bed.told().count("onUserInviting") == 2
