"""The control socket: who may speak, what is answered, and that nobody there can hold up the bed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import os
import pwd
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kiosk.check.examiner import Examiner
from kiosk.check.findings import Finding, Part, Report, fine
from kiosk.control import client as control_client
from kiosk.control import messages, peers, server
from kiosk.control.address import connected_to, listening_at
from kiosk.control.client import ControlClient, NoAnswer, bed_at
from kiosk.control.messages import Refusal
from kiosk.control.server import ControlServer, SelfTestRefused, Served
from kiosk.signaling.messages import BedInfo, Devices
from tests.waiting import HANG_S, until

STATE = messages.State(
    version="1", user_id="bed-1", bed=BedInfo(group="ward"), up=5, link="up", shown="…", devices=Devices()
)
FINDING = fine(Part.DISK, "disk_ok", free_mb=1, sync_ms=2)
REPORT = Report(at=1, version="1", findings=(FINDING,))


class Bed(Served):
    """A bed that is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.wanted: list[messages.RunSelfTest] = []
        self.looked: list[bool | None] = []
        self.ended: list[str] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.refuses: SelfTestRefused | None = None

    def state(self) -> messages.State:
        self.asked += 1
        return STATE

    async def self_test(self, wanted: messages.RunSelfTest, examiner: Examiner) -> Report:
        self.wanted.append(wanted)
        if self.refuses is not None:
            raise self.refuses
        try:
            await examiner.found(FINDING)
            if wanted.ask:
                self.looked.append(await examiner.looks(Part.LAMP))
            if wanted.press:
                await examiner.press_now()
            await self.goes_on.wait()
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        return REPORT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Longer than a socket's name may be."""
    folder = tmp_path / ("a-long-name-" * 8)
    folder.mkdir()
    return folder / "control"


@contextlib.asynccontextmanager
async def serving(path: Path, bed: Bed, *, group: str = "none") -> AsyncIterator[asyncio.Task[None]]:
    running = asyncio.create_task(ControlServer(path, group=group, served=bed).run())
    try:
        await until(lambda: running.done() or _listens(path), "the socket is there")
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _listens(path: Path) -> bool:
    with contextlib.suppress(OSError):
        connected_to(path).close()
        return True
    return False


@contextlib.asynccontextmanager
async def asking(path: Path) -> AsyncIterator[ControlClient]:
    async with bed_at(path) as client:
        assert client is not None
        yield client


@contextlib.asynccontextmanager
async def raw(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(sock=connected_to(path))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def said(reader: asyncio.StreamReader) -> messages.AnyTold:
    async with asyncio.timeout(HANG_S):
        return messages.decode_told(await reader.readline())


async def is_dropped(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(HANG_S):
            while await reader.read(65536):
                continue


# -- what is answered


async def test_the_state_is_told_as_often_as_it_is_asked_for(path: Path) -> None:
    bed = Bed()
    async with serving(path, bed), asking(path) as client:
        assert [await client.state() for _ in range(3)] == [STATE] * 3
        assert bed.asked == 3


async def test_a_self_test_is_told_line_by_line(path: Path) -> None:
    bed = Bed()
    wanted = messages.RunSelfTest(parts=(Part.DISK,), ask=True, press=True)
    async with serving(path, bed), asking(path) as client:
        await client.say(wanted)
        assert await client.hear() == messages.Found(finding=FINDING)
        assert await client.hear() == messages.Question(part=Part.LAMP)
        await client.say(messages.Looked(yes=True))
        assert await client.hear() == messages.PressNow()
        assert await client.hear() == messages.SelfTested(report=REPORT)
        assert (bed.wanted, bed.looked) == ([wanted], [True])
        assert await client.state() == STATE, "and the connection goes on"


async def test_a_refusal_is_told_with_its_reason(path: Path) -> None:
    bed = Bed()
    bed.refuses = SelfTestRefused(Refusal.IN_USE, "somebody needs this bed")
    async with serving(path, bed), asking(path) as client:
        await client.say(messages.RunSelfTest())
        assert await client.hear() == messages.Refused(code=Refusal.IN_USE, message="somebody needs this bed")
        assert await client.state() == STATE


async def test_whoever_leaves_takes_the_self_test_along(path: Path) -> None:
    bed = Bed()
    bed.goes_on.clear()
    async with serving(path, bed):
        async with asking(path) as client:
            await client.say(messages.RunSelfTest())
            assert await client.hear() == messages.Found(finding=FINDING)
        await until(lambda: bed.ended == ["CancelledError"], "the test has ended")


async def test_a_question_that_nobody_answers_is_left_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ANSWER_TIMEOUT_S", 0.05)
    bed = Bed()
    async with serving(path, bed), asking(path) as client:
        await client.say(messages.RunSelfTest(ask=True))
        while not isinstance(await client.hear(), messages.SelfTested):
            continue
        assert bed.looked == [None]


async def test_while_a_question_is_open_only_its_answer_counts(path: Path) -> None:
    bed = Bed()
    async with serving(path, bed), asking(path) as client:
        await client.say(messages.RunSelfTest(ask=True))
        assert isinstance(await client.hear(), messages.Found)
        assert isinstance(await client.hear(), messages.Question)
        await client.say(messages.AskState())
        refused = await client.hear()
        assert isinstance(refused, messages.Refused)
        assert refused.code is Refusal.BUSY
        await client.say(messages.Looked(yes=False))
        assert isinstance(await client.hear(), messages.SelfTested)
        assert bed.looked == [False]


async def test_an_answer_that_nobody_asked_for_is_refused(path: Path) -> None:
    async with serving(path, Bed()), asking(path) as client:
        await client.say(messages.Looked(yes=True))
        refused = await client.hear()
        assert isinstance(refused, messages.Refused)
        assert (refused.code, refused.field) == (Refusal.BAD_MESSAGE, "type")


async def test_one_that_asks_and_shuts_its_half_still_gets_its_answer(path: Path) -> None:
    async with serving(path, Bed()), raw(path) as (reader, writer):
        writer.write(messages.encode(messages.AskState()))
        writer.write_eof()
        assert await said(reader) == STATE
        await is_dropped(reader)


# -- what is wrong, slow or hostile


async def test_a_wrong_line_is_refused_and_the_connection_goes_on(path: Path) -> None:
    async with serving(path, Bed()), raw(path) as (reader, writer):
        writer.write(b'{"type":"run_self_test","relay":7}\n')
        refused = await said(reader)
        assert isinstance(refused, messages.Refused)
        assert (refused.code, refused.field) == (Refusal.BAD_MESSAGE, "relay")
        writer.write(messages.encode(messages.AskState()))
        assert await said(reader) == STATE


async def test_one_that_says_nothing_but_nonsense_is_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PACE_S", 0.0)
    async with serving(path, Bed()), raw(path) as (reader, writer):
        for _ in range(server.MAX_BAD_LINES):
            writer.write(b"nonsense\n")
            assert isinstance(await said(reader), messages.Refused)
        await is_dropped(reader)


@pytest.mark.parametrize("flood", [b"x" * 100_000, b"x" * 100_000 + b"\n", b'{"type":"ask_state"}\n' * 500])
async def test_a_flood_is_told_so_and_dropped(path: Path, flood: bytes) -> None:
    bed = Bed()
    async with serving(path, bed), raw(path) as (reader, writer):
        writer.write(flood)
        told = messages.encode(STATE)
        while told == messages.encode(STATE):
            async with asyncio.timeout(HANG_S):
                told = await reader.readline()
        refused = messages.decode_told(told)
        assert isinstance(refused, messages.Refused)
        assert "at most" in refused.message
        await is_dropped(reader)
        assert bed.asked <= 2 * server.MAX_UNREAD


async def test_one_that_reads_no_answers_is_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PACE_S", 0.0)
    monkeypatch.setattr(server, "WRITE_TIMEOUT_S", 0.1)
    bed = Bed()

    class Talkative(Bed):
        async def self_test(self, wanted: messages.RunSelfTest, examiner: Examiner) -> Report:
            try:
                while True:
                    await examiner.found(Finding(part=Part.DISK, verdict=FINDING.verdict, code="c" * 60))
            finally:
                bed.ended.append("talked")

    async with serving(path, Talkative()):
        mute = connected_to(path)
        mute.sendall(messages.encode(messages.RunSelfTest()))
        await until(lambda: bed.ended == ["talked"], "it is dropped")
        async with asking(path) as other:
            assert await other.state() == STATE
        mute.close()


async def test_one_that_says_nothing_is_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_TIMEOUT_S", 0.05)
    async with serving(path, Bed()), raw(path) as (reader, _):
        await is_dropped(reader)


async def test_more_than_so_many_are_sent_away_and_come_in_when_others_leave(path: Path) -> None:
    async with serving(path, Bed()):
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(server.MAX_CLIENTS):
                assert await (await stack.enter_async_context(asking(path))).state() == STATE
            async with asking(path) as one_more:
                with pytest.raises(NoAnswer):
                    await one_more.state()
        tried = 0
        while True:
            tried += 1
            assert tried < 1000
            try:
                async with asking(path) as again:
                    assert await again.state() == STATE
                    break
            except NoAnswer:
                continue


async def test_a_crowd_before_the_door_is_told_to_try_again(path: Path) -> None:
    """A bed that stands still lets nobody in; those who come must not wait for it in the system."""
    with listening_at(path, group=None) as listening, contextlib.ExitStack() as crowd:
        listening.listen(1)
        with contextlib.suppress(BlockingIOError):
            while True:
                crowd.enter_context(connected_to(path))
        with pytest.raises(NoAnswer, match="too many ask this kiosk at once: try again"):
            await asyncio.wait_for(bed_at(path).__aenter__(), HANG_S)


# -- who may speak


async def test_nobody_else_can_reach_the_socket(path: Path) -> None:
    async with serving(path, Bed()):
        made = os.stat(path)
        assert stat.S_IMODE(made.st_mode) == 0o600
        assert made.st_uid == os.geteuid()


async def test_the_group_of_the_settings_can(path: Path) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    async with serving(path, Bed(), group=group):
        made = os.stat(path)
        assert stat.S_IMODE(made.st_mode) == 0o660
        assert made.st_gid == os.getegid()


async def test_a_group_that_there_is_not_is_said_and_changes_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(path, Bed(), group="no-such-group"):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert "control.group = 'no-such-group': there is no such group" in caplog.text


async def test_one_who_may_not_is_told_so_whatever_the_files_mode(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "peer_of", lambda connection: peers.Peer(pid=1, uid=54321, gid=54321))
    bed = Bed()
    async with serving(path, bed), asking(path) as client:
        told = await client.hear()
        assert isinstance(told, messages.Refused)
        assert told.code is Refusal.NOT_ALLOWED
        assert bed.asked == 0


def test_the_kernel_tells_who_is_at_the_other_end() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        assert peers.peer_of(here) == peers.Peer(os.getpid(), os.geteuid(), os.getegid())


@pytest.mark.parametrize(
    ("uid", "gid", "group", "may"),
    [
        (0, 0, None, True),
        (54321, 54321, None, False),
        (54321, 54321, 54321, True),
        (54321, 54321, 777, False),
    ],
)
def test_root_and_the_group_may_speak(uid: int, gid: int, group: int | None, may: bool) -> None:
    assert peers.may_speak(peers.Peer(pid=1, uid=uid, gid=gid), group=group) is may


def test_a_user_may_by_any_of_its_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = pwd.getpwall()[-1]

    def groups(name: str, gid: int) -> list[int]:
        return [gid, 777] if name == somebody.pw_name else [gid]

    monkeypatch.setattr(os, "getgrouplist", groups)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    peer = peers.Peer(pid=1, uid=somebody.pw_uid, gid=somebody.pw_gid)
    assert peers.may_speak(peer, group=777)
    assert not peers.may_speak(peer, group=778)


def test_the_beds_own_user_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert peers.may_speak(peers.Peer(pid=1, uid=4242, gid=1), group=None)


# -- the socket in the file system


async def test_a_socket_left_by_a_crash_makes_room_and_is_gone_after_an_orderly_end(path: Path) -> None:
    with contextlib.ExitStack() as stack:
        folder = os.open(path.parent, os.O_PATH)
        stack.callback(os.close, folder)
        left = stack.enter_context(socket.socket(socket.AF_UNIX))
        left.bind(f"/proc/self/fd/{folder}/{path.name}")
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    async with serving(path, Bed()), asking(path) as client:
        assert await client.state() == STATE
    with pytest.raises(FileNotFoundError):
        os.stat(path)


@pytest.mark.parametrize("taken", ["file", "kiosk"])
async def test_what_is_there_already_is_left_alone_and_the_bed_goes_on(
    path: Path, caplog: pytest.LogCaptureFixture, taken: str
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if taken == "kiosk":
            await stack.enter_async_context(serving(path, Bed()))
        else:
            await asyncio.to_thread(path.write_text, "somebody's")
        second = asyncio.create_task(ControlServer(path, group="none", served=Bed()).run())
        try:
            await until(lambda: "the bed goes on without" in caplog.text)
            assert not second.done()
        finally:
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
        if taken == "kiosk":
            async with asking(path) as client:
                assert await client.state() == STATE
        else:
            assert await asyncio.to_thread(path.read_text) == "somebody's"


async def test_a_folder_that_comes_later_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "state" / "control"
    running = asyncio.create_task(ControlServer(path, group="none", served=Bed()).run())
    try:
        async with bed_at(path) as client:
            assert client is None
        path.parent.mkdir()
        await until(lambda: _listens(path))
        assert not [record for record in caplog.records if record.levelname == "WARNING"]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_whatever_goes_wrong_with_it_does_not_end_the_bed(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "RETRY_FIRST_S", 0.01)
    failures = iter([RuntimeError("what nobody thought of")])

    def fails_once(*arguments: Any, **options: Any) -> Any:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        return listening_at(*arguments, **options)

    monkeypatch.setattr(server, "listening_at", fails_once)
    async with serving(path, Bed()), asking(path) as client:
        assert await client.state() == STATE
    assert "what nobody thought of" in caplog.text


async def test_no_bed_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nowhere" / "control", tmp_path / "file", tmp_path / "file" / "control"):
        async with bed_at(path) as client:
            assert client is None


async def test_one_that_may_not_be_asked_is_said_to_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> socket.socket:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(control_client, "connected_to", refused)
    with pytest.raises(NoAnswer, match="Permission denied: a kiosk runs here; only root, its own user"):
        async with bed_at(path):
            pytest.fail("it was let in")


async def test_a_bed_that_ends_in_the_middle_is_said_to_have(path: Path) -> None:
    bed = Bed()
    bed.goes_on.clear()
    async with serving(path, bed) as running, asking(path) as client:
        await client.say(messages.RunSelfTest())
        assert isinstance(await client.hear(), messages.Found)
        running.cancel()
        with pytest.raises(NoAnswer, match="has ended the connection"):
            await client.hear()
        assert bed.ended == ["CancelledError"]
