"""Seats of one talk reach each other by the desk when they have accepted, and nobody else does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kiosk.signaling import messages as wire
from kiosk.signaling.messages import (
    ErrorCode,
)
from tests.unit.desk_model import Ward
from tests.unit.group_ward import (
    asks,
    busy,
    call,
    invited,
    joins,
    refused,
)

pytestmark = pytest.mark.usefixtures("anna_talks")


def test_members_pass_each_other_what_a_connection_needs(ward: Ward) -> None:
    joins(ward, "bert")
    anna, bert = call(ward, "anna").call_id, call(ward, "bert").call_id
    ward.says("bert", wire.MemberOffer(id="1", call_id=bert, user_id="anna", sdp="offer"))
    assert ward.last("anna") == wire.MemberOffer(call_id=anna, user_id="bert", sdp="offer")
    ward.says("anna", wire.MemberAnswer(call_id=anna, user_id="bert", sdp="answer"))
    assert ward.last("bert") == wire.MemberAnswer(call_id=bert, user_id="anna", sdp="answer")
    ward.says("anna", wire.MemberCandidate(call_id=anna, user_id="bert", candidate="candidate:1", sdp_mid="0"))
    assert ward.last("bert") == wire.MemberCandidate(
        call_id=bert, user_id="anna", candidate="candidate:1", sdp_mid="0"
    )


@pytest.mark.parametrize("sender", ["anna", "bert"])
@pytest.mark.parametrize(
    ("happens", "to"),
    [
        (lambda ward: invited(ward, "bert"), "bert"),
        (lambda ward: busy(ward, "carl"), "carl"),
        (lambda ward: None, "nobody"),
        (lambda ward: None, "anna"),
    ],
)
def test_nothing_passes_but_between_two_seats_of_one_talk_that_have_accepted(
    ward: Ward, happens: Callable[[Ward], object], to: str, sender: str
) -> None:
    asks(ward, "bert")
    happens(ward)
    heard = {user: len(messages) for user, messages in ward.heard.items()}
    own = call(ward, sender).call_id
    to = "anna" if sender == to == "bert" else to
    ward.says(sender, wire.MemberCandidate(call_id=own, user_id=to, candidate="candidate:1"))
    assert {user: len(messages) for user, messages in ward.heard.items()} == heard, "no mistake of its sender"
    for message in (
        wire.MemberOffer(call_id=own, user_id=to, sdp="offer"),
        wire.MemberAnswer(call_id=own, user_id=to, sdp="answer"),
    ):
        ward.says(sender, message)
        assert refused(ward, sender)[:2] == (ErrorCode.NOT_ALLOWED, "user_id")
        fault = ward.last(sender)
        assert isinstance(fault, wire.Fault)
        assert fault.call_id is None, "its call with the bed goes on"
        heard[sender] = len(ward.heard[sender])
        assert {user: len(messages) for user, messages in ward.heard.items()} == heard


def test_a_desk_that_does_not_know_the_talk_yet_does_not_end_it() -> None:
    ward = Ward()
    ward.seat("bert", free=False, call_id="cb")
    for early in (
        wire.MemberOffer(call_id="cb", user_id="anna", sdp="offer"),
        wire.AddSeat(call_id="cb", user_id="anna"),
    ):
        ward.says("bert", early)
        fault = ward.last("bert")
        assert isinstance(fault, wire.Fault)
        assert fault.call_id is None
