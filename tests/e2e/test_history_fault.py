"""A desk that cannot keep its record says so at every seat, in the seat's language, and calls work all the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from playwright.async_api import expect

from kiosk.desk.history import FILE_NAME
from tests.e2e.conftest import Hospital, SignIn
from tests.waiting import HANG_S

pytestmark = [pytest.mark.browser, pytest.mark.alsa, pytest.mark.promise("R21")]

HANG_MS = HANG_S * 1000


async def test_a_record_that_cannot_be_kept_is_shown_at_the_seats_until_it_can(
    hospital: Hospital, sign_in: SignIn
) -> None:
    await hospital.opens()
    seat, chinese = await sign_in("nurse-1"), await sign_in("nurse-2", locale="zh-CN")
    for each in (seat, chinese):
        await expect(each.by("history-fault")).to_be_hidden()
    path = hospital.ward.folder / hospital.ward.settings.desk.data / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        hospital.bed.press()
        await seat.says("history-fault", "The desk cannot keep its record of the requests.")
        await seat.says("history-fault", "database is locked")
        await chinese.says("history-fault", "服务台目前无法保存呼叫记录，呼叫不受影响。")
        await seat.answers()
    await expect(seat.by("history-fault")).to_be_hidden(timeout=HANG_MS)
    await expect(chinese.by("history-fault")).to_be_hidden(timeout=HANG_MS)
