"""No dead end: what happens to a request that nobody has answered for too long.

Pure. The clock of a request runs while nobody speaks with the patient: from the press (by the age its bed told), or
from the press that asked again; a talk that broke off does not count as waiting, and does not start the clock anew.
The rules are those of ``allocation.py``; the times are the facility's (:class:`~kiosk.desk.ledger.Rules`).

=========  ====================  ================================================================
stage      after                 what it adds
=========  ====================  ================================================================
usual      \\-                    one seat rings after the other
overdue    ``overdue_s``         it sounds at all seats of its group, busy ones too, and again every
                                 ``realert_s``; any of them may take it
backup     ``backup_after_s``    the backup group's seats see it, may be allocated, and sound too
alarm      ``local_alarm_s``     the bed shows and closes its own alarm: "use the other bell"
=========  ====================  ================================================================

The alarm is not the end: seats go on ringing and sounding. An answer or a close undoes all of it, and an answer
that breaks off brings back at once what was due.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kiosk.desk.allocation_events import Effect, StartTimer, StopTimer, Tell, Timer
from kiosk.desk.ledger import Request, RequestState, Rules, Stage
from kiosk.signaling import messages as wire

UNANSWERED = frozenset({RequestState.WAITING, RequestState.RINGING, RequestState.DEFERRED})


def stages(request: Request, rules: Rules) -> list[tuple[Stage, float]]:
    """The stages *request* may reach, and after how many seconds."""
    backup = [(Stage.BACKUP, rules.backup_after_s)] if request.group in rules.backup_groups else []
    return [(Stage.OVERDUE, rules.overdue_s), *backup, (Stage.ALARM, rules.local_alarm_s)]


def settled(before: Request | None, request: Request, *, now: float) -> Request:
    """*request* with its clock and its stage as its state demands."""
    unanswered = request.state in UNANSWERED
    was_unanswered = before is not None and before.state in UNANSWERED
    if before is not None and was_unanswered and not unanswered:
        return replace(request, stage=Stage.USUAL, backup="", alerts=0, answered_at=now)
    if before is not None and unanswered and not was_unanswered:
        asked_anew = before.state is RequestState.ANSWERED
        waited_since = now if asked_anew else request.waited_since + now - request.answered_at
        return replace(request, waited_since=waited_since)
    return request


def effects(before: Request | None, after: Request | None, *, rules: Rules, now: float) -> Iterator[Effect]:
    """Timers and alarm for a request that changed from *before* to *after* (None: it is new, it is gone)."""
    old = before.stage if before is not None else Stage.USUAL
    new = after.stage if after is not None else Stage.USUAL
    known = after or before
    assert known is not None
    if known.external or known.by_seat:
        return
    request_id = known.told.request_id
    waits = after is not None and after.state in UNANSWERED
    waited = before is not None and before.state in UNANSWERED
    if after is not None and waits and (not waited or new is not old):
        yield _next_stage(after, rules, now)
    elif waited and not waits:
        yield StopTimer(Timer("escalate", request_id))
    alerts = (before.alerts if before is not None else 0, after.alerts if after is not None else 0)
    if alerts[1] > alerts[0]:
        yield StartTimer(Timer("alert", request_id), rules.realert_s)
    elif old > Stage.USUAL and new is Stage.USUAL:
        yield StopTimer(Timer("alert", request_id))
    if (new is Stage.ALARM) is not (old is Stage.ALARM):
        yield Tell(known.bed, wire.LocalAlarm(request_id=request_id, on=new is Stage.ALARM))


def alerted(request: Request) -> Request:
    """*request* sounding once more; unchanged when it is not overdue any more."""
    return request if request.stage is Stage.USUAL else replace(request, alerts=request.alerts + 1)


def escalated(request: Request, *, rules: Rules) -> Request:
    """*request* one stage on; unchanged when it does not wait or has reached the last."""
    further = [stage for stage, _ in stages(request, rules) if stage > request.stage]
    return _at(request, further[0], rules) if further and request.state in UNANSWERED else request


def caught_up(request: Request, *, rules: Rules, now: float) -> Request:
    """A waiting *request* at the stage it has earned: a desk that was just started hears of it late."""
    for stage, after in stages(request, rules):
        if stage > request.stage and after <= now - request.waited_since:
            request = _at(request, stage, rules)
    return request


def _at(request: Request, stage: Stage, rules: Rules) -> Request:
    backup = rules.backup_groups.get(request.group, "") if stage >= Stage.BACKUP else ""
    return replace(request, stage=stage, backup=backup, alerts=max(1, request.alerts))


def _next_stage(request: Request, rules: Rules, now: float) -> Effect:
    timer = Timer("escalate", request.told.request_id)
    further = [after for stage, after in stages(request, rules) if stage > request.stage]
    if not further:
        return StopTimer(timer)
    return StartTimer(timer, max(0.0, further[0] - (now - request.waited_since)))
