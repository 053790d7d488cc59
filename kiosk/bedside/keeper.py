"""Keeps the order "on disk before it is sent", without making lamp and media wait for a slow disk.

The disk has a thread of its own. :meth:`Keeper.keep` hands it what must survive; what is to be told to the desk
goes through :meth:`Keeper.after` and is held back until the disk has answered for everything kept before. A disk
that is full, gone or hangs costs the patient at most ``DISK_TIMEOUT_S``, once: then the request goes out from
memory, the fault is reported in words, and the newest state is tried again until the disk takes it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from kiosk.bedside.journal import Kept
from kiosk.bedside.journal_file import JournalFile

log = logging.getLogger(__name__)

DISK_TIMEOUT_S = 1.0
"""An SD card that cleans up may take some hundred milliseconds; beyond this it is at fault."""
RETRY_S = 5.0
CHECK_S = 15.0
"""How often a disk at rest is looked at: a fault is shown within 30 s (promise 7)."""
MAX_HELD_BACK = 256
"""As many as the client's outbox takes."""


class Keeper:
    """Call everything on the loop's thread. *report* takes the fault in words, "" when it is mended; *kept* takes
    what is on disk now and how many seconds ago it came there.
    """

    def __init__(
        self,
        file: JournalFile,
        *,
        report: Callable[[str], None],
        kept: Callable[[Kept, float], None] = lambda kept, ago: None,
        retry_s: float = RETRY_S,
        check_s: float = CHECK_S,
    ) -> None:
        self._file = file
        self._report = report
        self._kept = kept
        self._retry_s = retry_s
        self._check_s = check_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        # Shared with the disk's thread, under the condition.
        self._changed = threading.Condition()
        self._newest = Kept()
        self._asked = 0
        self._answered = 0
        self._closing = False
        # The loop's own.
        self._held_back: deque[tuple[int, Callable[[], None]]] = deque()
        self._too_late: asyncio.TimerHandle | None = None
        self._hangs = False
        self._fault = ""
        self._damage = ""

    def restore(self) -> Kept:
        """What survived; once, before :meth:`start`. Never raises: damage is reported."""
        self._newest, self._damage = self._file.read()
        self._tell(self._damage)
        return self._newest

    def start(self) -> None:
        """Begin to keep."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def keep(self, kept: Kept) -> None:
        """Put *kept* on the disk, in place of all before. Returns at once."""
        with self._changed:
            self._newest = kept
            self._asked += 1
            self._changed.notify_all()
        if self._too_late is None and not self._hangs:
            self._wait_for_the_disk()

    def after(self, act: Callable[[], None]) -> None:
        """Do *act* when all that was kept so far is on the disk, or the disk has failed; in the order of asking."""
        self._held_back.append((self._asked, act))
        if len(self._held_back) > MAX_HELD_BACK:
            self._give_up()
        self._release()

    def settle(self) -> None:
        """Wait for the disk, at most ``DISK_TIMEOUT_S``, and do all that was held back. This blocks the loop.

        For the snapshot after a login, which tells all that the bed knows: a press made in that very moment too.
        """
        with self._changed:
            in_time = self._hangs or self._changed.wait_for(
                lambda: self._answered == self._asked, timeout=DISK_TIMEOUT_S
            )
        if not in_time:
            self._give_up()
        self._release()

    async def close(self) -> None:
        """Let the disk finish, at most ``DISK_TIMEOUT_S``, and end its thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, DISK_TIMEOUT_S)
        self._stop_waiting()

    # -- on the loop

    def _wait_for_the_disk(self) -> None:
        self._too_late = asyncio.get_running_loop().call_later(DISK_TIMEOUT_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None

    def _heard(self, fault: str, kept: Kept | None, at: float) -> None:
        if self._closing:
            return
        self._hangs = False
        if kept is not None and not fault:
            self._damage = ""  # what was damaged is written anew
            self._kept(kept, time.monotonic() - at)
        self._tell(fault or self._damage)
        self._stop_waiting()
        if not self._all_answered():
            self._wait_for_the_disk()
        self._release()

    def _all_answered(self) -> bool:
        with self._changed:
            return self._answered == self._asked

    def _release(self) -> None:
        with self._changed:
            answered = self._answered
        while self._held_back and (self._hangs or self._held_back[0][0] <= answered):
            self._held_back.popleft()[1]()

    def _give_up(self) -> None:
        self._stop_waiting()
        self._hangs = True
        self._tell(f"the disk does not answer within {DISK_TIMEOUT_S:g} s")
        self._release()

    def _tell(self, fault: str) -> None:
        if fault == self._fault:
            return
        self._fault = fault
        if fault:
            log.warning("x journal: %s; requests go out from memory", fault)
        else:
            log.info("- journal: the disk is in order again")
        self._report(fault)

    # -- on the disk's thread

    def _work(self) -> None:
        wait_s, failed = 0.0, False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._asked > self._answered, timeout=wait_s)
                asked, kept, closing = self._asked, self._newest, self._closing
                news = asked > self._answered
            if closing and not news:
                self._file.close()
                return
            fault = self._attempt(kept if news or failed else None)
            at = time.monotonic()
            with self._changed:
                self._answered = asked
                self._changed.notify_all()
            self._say(fault, kept if news or failed else None, at)
            failed = bool(fault)
            wait_s = self._retry_s if failed else self._check_s

    def _attempt(self, kept: Kept | None) -> str:
        try:
            if kept is None:
                self._file.check()
            else:
                self._file.write(kept)
        except OSError as error:
            return f"cannot be written: {error.strerror or error}"
        return ""

    def _say(self, fault: str, kept: Kept | None, at: float) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._heard, fault, kept, at)
        except RuntimeError:  # the loop is closed: the bed has ended
            return
