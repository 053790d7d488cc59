"""A stranger's flood fills no disk, and still leaves its trace."""

from __future__ import annotations

import pytest

from kiosk import settings
from kiosk.desk.audit import MAX_DETAIL, REFUSED_EACH, REFUSED_IN_ALL, WINDOW_S, Act, Audited, Limit
from kiosk.desk.auditor import changed_keys, fingerprint

pytestmark = pytest.mark.promise("R21")

REFUSED = Act(Audited.SIGN_IN_REFUSED, address="10.0.0.9", reason="not_allowed")


def strangers() -> Limit:
    return Limit(each=REFUSED_EACH, in_all=REFUSED_IN_ALL)


def test_of_one_address_the_first_are_told_and_the_rest_is_counted() -> None:
    limit = strangers()
    assert sum(limit.passes(REFUSED, key="10.0.0.9", now=float(n) / 1000) for n in range(10_000)) == REFUSED_EACH
    assert limit.over(now=11.0) == ()
    assert limit.over(now=WINDOW_S) == [
        Act(Audited.MORE, reason="sign_in_refused", count=10_000 - REFUSED_EACH),
    ]
    assert limit.over(now=WINDOW_S) == [], "once"


def test_ten_thousand_addresses_are_no_way_around_it() -> None:
    limit = strangers()
    assert sum(limit.passes(REFUSED, key=str(n), now=0.0) for n in range(10_000)) == REFUSED_IN_ALL
    assert limit.rest() == [Act(Audited.MORE, reason="sign_in_refused", count=10_000 - REFUSED_IN_ALL)]


def test_who_floods_does_not_hide_another_address() -> None:
    limit = strangers()
    for _ in range(10_000):
        limit.passes(REFUSED, key="10.0.0.9", now=0.0)
    assert limit.passes(REFUSED, key="10.0.0.10", now=0.0)


def test_a_new_window_begins_anew() -> None:
    limit = Limit(each=1, in_all=1, window_s=10.0)
    assert [limit.passes(REFUSED, key="a", now=now) for now in (0.0, 9.0, 10.0, 19.0, 20.0)] == [
        *(True, False, True, False, True)
    ]


def test_the_fingerprint_differs_with_the_settings_and_tells_none_of_them() -> None:
    made = settings.Desk(port=9443, data="/srv/very-secret-place")
    assert fingerprint(made) == fingerprint(settings.Desk(port=9443, data="/srv/very-secret-place"))
    assert fingerprint(made) != fingerprint(settings.Desk())
    assert changed_keys(made) == "desk.port desk.data"
    assert len(changed_keys(made)) < MAX_DETAIL
