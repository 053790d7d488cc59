"""The commands: ``kiosk demo``, ``run``, ``check``, ``desk``, ``bench``.

Each imports what it needs when it runs, so that a desk needs no camera library and a bed no web server. Errors that
a person can mend are printed in one line, without a traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec

from kiosk import __version__
from kiosk.check.findings import Part
from kiosk.errors import BudgetMissed, KioskError, SettingsError
from kiosk.settings import Settings, load, read_secret

DEFAULT_SETTINGS = "/etc/kiosk/kiosk.toml"
EXIT_ERROR = 2
WRONG_SETTINGS_S = 45.0
"""A service with wrong settings ends only after so long: restarting cures nothing, and the start limit of its unit
(10 in 300 s) would reboot the machine for ever. Whoever mends the file still sees it come up by itself."""
EXIT_BUDGET = 1
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells have it: what was to be verified or measured is not."""
HIGHEST_DEMO_PORT = 65534
"""The bedside view takes the next."""
MOST_PRESSES = 1_000_000
PARTS = tuple(part.value for part in Part)
MOST_MINUTES = 600
BENCHES = (
    "call: how quick; faults: is anything lost; group: four seats in one talk; leaks: does anything grow;"
    " media: how clear, all of it; playout, video, echo: one part of that"
)
MAX_DAYS = 3650
"""A UserSig's longest life."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    arguments = _parser().parse_args(argv)
    _log_to_stderr(arguments.verbose)
    try:
        status: int = arguments.run(arguments)
    except BudgetMissed as error:
        print(f"kiosk: {error}", file=sys.stderr)
        return EXIT_BUDGET
    except KioskError as error:
        print(f"kiosk: {error}", file=sys.stderr)
        if isinstance(error, SettingsError) and "NOTIFY_SOCKET" in os.environ:
            time.sleep(WRONG_SETTINGS_S)
        return EXIT_ERROR
    except OSError as error:
        if error.filename is None:
            raise
        print(f"kiosk: {error.filename}: cannot be used: {error.strerror}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kiosk", description="Bedside call kiosk.")
    parser.add_argument("--version", action="version", version=f"kiosk {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log every message on the wire")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="a desk and one simulated bed, with a page for each")
    demo.add_argument("--auto", action="store_true", help="a robot answers; verifies both directions and exits")
    demo.add_argument("--no-browser", action="store_true", help="print the addresses, open no browser")
    demo.add_argument(
        "--port", type=_demo_port, default=8080, help="the desk's port; the bedside view takes the next; 0 = any"
    )
    demo.add_argument("--audio-call", action="store_true", help="the bed asks for audio calls")
    demo.set_defaults(run=_demo)

    run = commands.add_parser("run", help="the bedside device")
    _add_settings(run)
    run.add_argument("--trace", type=Path, help="append the moments of each call to this file, as JSON lines")
    run.add_argument("--latency-trace", action="store_true", help="print how long each stage of a call took")
    run.add_argument("--hand", action="store_true", help="press simulated buttons by lines on stdin: call tap")
    run.set_defaults(run=_run)

    check = commands.add_parser("check", help="test the bed's parts and what they need; the exit status tells")
    _add_settings(check)
    check.add_argument("--only", type=_parts, metavar="PART,…", help=f"of {', '.join(PARTS)}")
    check.add_argument("--press", action="store_true", help="wait for the call button to be pressed")
    check.add_argument("--relay", action="store_true", help="switch the relay: calls in the other nurse call")
    check.add_argument("--running", action="store_true", help="only ask a kiosk that runs; open no device")
    check.add_argument("--yes", action="store_true", help="ask nobody whether the lamp gives light")
    check.add_argument("--json", action="store_true", help="print one JSON object; asks nobody")
    check.add_argument("--history", action="store_true", help="print the results that are kept, and test nothing")
    check.add_argument(
        "--broken", action="append", default=[], metavar="PART=HOW", help="simulated devices: lamp=shorted-low …"
    )
    check.set_defaults(run=_check)

    desk = commands.add_parser("desk", help="the desk; with an action: manage its users")
    _add_settings(desk)
    desk.set_defaults(run=_desk)
    actions = desk.add_subparsers(metavar="ACTION")
    passphrase = actions.add_parser("passphrase", help="set a seat's passphrase (asked for, or from stdin)")
    passphrase.add_argument("user_id")
    passphrase.set_defaults(run=_desk_passphrase)
    code = actions.add_parser("code", help="print a one-time sign-in code for a seat")
    code.add_argument("user_id")
    code.set_defaults(run=_desk_code)
    usersig = actions.add_parser("usersig", help="print a UserSig for a kiosk or a seat")
    usersig.add_argument("user_id")
    usersig.add_argument("--days", type=int, default=180)
    usersig.set_defaults(run=_desk_usersig)
    history = actions.add_parser("history", help="print the requests' timelines")
    audit = actions.add_parser("audit", help="print the audit log: sign-ins, tickets, exports …")
    for export in (history, audit):
        example = "a date or time, for example 2026-03-01T07:30+08:00"
        export.add_argument("--since", default="1970-01-01", help=example)
        export.add_argument("--format", choices=["csv", "json"], default="csv")
        export.set_defaults(run=_desk_export, what="audit" if export is audit else "history")
    for action in (passphrase, code, usersig, history, audit):
        _add_settings(action, again=True)

    bench = commands.add_parser("bench", help="measure, beside a baseline; fails when a budget is missed")
    names = ["call", "faults", "group", "leaks", "media", "playout", "video", "echo"]
    bench.add_argument("name", choices=names, help=BENCHES)
    bench.add_argument("--quick", action="store_true", help="less of it, under a minute")
    bench.add_argument("--presses", type=_presses, help="faults: how many (default: 10000, 300 with --quick)")
    bench.add_argument("--seed", type=int, help="faults: repeat the faults of an earlier run")
    bench.add_argument("--minutes", type=_minutes, help="leaks: of the one long call (default: 4)")
    bench.set_defaults(run=_bench)
    return parser


def _add_settings(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    if again:  # also accepted after the action; without it, what stands before the action holds
        parser.add_argument("--settings", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return
    default = os.environ.get("KIOSK_SETTINGS", DEFAULT_SETTINGS)
    parser.add_argument("--settings", type=Path, default=Path(default), help="default: %(default)s")


def _demo_port(text: str) -> int:
    if text.isdecimal() and int(text) <= HIGHEST_DEMO_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: allowed is 0 to {HIGHEST_DEMO_PORT}")


def _presses(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= MOST_PRESSES:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: allowed is 1 to {MOST_PRESSES}")


def _parts(text: str) -> tuple[Part, ...]:
    try:
        return tuple(Part(name) for name in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed are {', '.join(PARTS)}") from None


def _minutes(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= MOST_MINUTES:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: allowed is 1 to {MOST_MINUTES}")


def _log_to_stderr(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname).1s %(name)s %(message)s"
    )
    logging.getLogger("kiosk").setLevel(logging.DEBUG if verbose else logging.INFO)
    for chatty in ("aioice", "aiortc", "websockets", "uvicorn", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _demo(arguments: argparse.Namespace) -> int:
    demo: Any = _with_extra("kiosk.demo.run", "desk")
    return _until_told_to_stop(
        demo.run_demo(
            auto=arguments.auto,
            browser=not arguments.no_browser,
            port=arguments.port,
            audio_call=arguments.audio_call,
        ),
        stopped=EXIT_INTERRUPTED if arguments.auto else 0,
    )


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.name == "faults":
        faults: Any = _with_extra("kiosk.bench.faults", "desk")
        measuring = faults.run(quick=arguments.quick, presses=arguments.presses, seed=arguments.seed)
        return _until_told_to_stop(measuring, stopped=EXIT_INTERRUPTED)
    if (arguments.presses, arguments.seed) != (None, None):
        raise KioskError("--presses and --seed belong to kiosk bench faults")
    if arguments.name == "playout":
        return int(importlib.import_module("kiosk.bench.playout").run(quick=arguments.quick))
    if arguments.name == "leaks":
        leaks: Any = _with_extra("kiosk.bench.leaks", "desk")
        measuring = leaks.run(quick=arguments.quick, minutes=arguments.minutes)
        return _until_told_to_stop(measuring, stopped=EXIT_INTERRUPTED)
    if arguments.minutes is not None:
        raise KioskError("--minutes belongs to kiosk bench leaks")
    if arguments.name == "echo":
        return int(importlib.import_module("kiosk.bench.echo").run(quick=arguments.quick))
    bench: Any = _with_extra(f"kiosk.bench.{arguments.name}", "dev")
    return int(asyncio.run(bench.run(quick=arguments.quick)))


def _check(arguments: argparse.Namespace) -> int:
    from kiosk.bedside import check_command
    from kiosk.bedside.self_test import Wanted

    if not arguments.verbose:  # what it finds is printed
        logging.getLogger("kiosk").setLevel(logging.WARNING)
    settings = load(arguments.settings)
    folder: Path = arguments.settings.resolve().parent
    if arguments.history:
        return check_command.show_history(settings, folder, as_json=arguments.json)
    wishes = check_command.Wishes(
        Wanted(
            frozenset(arguments.only or Part),
            relay=arguments.relay,
            ask=sys.stdin.isatty() and not (arguments.yes or arguments.json),
            press=arguments.press,
        ),
        as_json=arguments.json,
        only_running=arguments.running,
        broken=tuple(text.partition("=")[::2] for text in arguments.broken),
    )
    return _until_told_to_stop(check_command.check(settings, folder, wishes), stopped=EXIT_INTERRUPTED)


def _run(arguments: argparse.Namespace) -> int:
    from kiosk.bedside.devices import choose_devices
    from kiosk.bedside.hand import follow_hand
    from kiosk.bedside.journal_file import JournalFile
    from kiosk.bedside.service import Bedside
    from kiosk.bedside.trace import LatencyTable, TraceFile, both
    from kiosk.bedside.watchers import Watchers
    from kiosk.hardware.pins import simulated_pins
    from kiosk.media.heap import keep_heaps_few, leave_out_what_is_there
    from kiosk.media.interfaces import prepare_media
    from kiosk.media.simulated_loss import SimulatedLoss

    settings = load(arguments.settings)
    folder: Path = arguments.settings.resolve().parent
    keep_heaps_few()
    ca_file = folder / settings.signaling.ca_file if settings.signaling.ca_file else None
    prepare_media(settings.media.interfaces, ca_file=ca_file)

    async def serve() -> int:
        with contextlib.ExitStack() as stack:
            watchers = Watchers()
            if arguments.trace is not None:
                trace = stack.enter_context(TraceFile(arguments.trace))
                watchers = Watchers(trace=trace.note, view=trace.shown)
            if arguments.latency_trace:
                table = stack.enter_context(LatencyTable())
                watchers.trace = both(watchers.trace, table.note)
                watchers.took = table.took
            pins = None
            if arguments.hand:
                if not settings.buttons.simulated:
                    raise SettingsError("--hand presses simulated buttons only: set buttons.simulated = true")
                pins = simulated_pins()
            devices = choose_devices(settings, factory=pins)
            if pins is not None:
                loss = SimulatedLoss()
                loss.install()
                stack.enter_context(follow_hand(settings, devices, pins, loss))
            bedside = Bedside(
                settings,
                devices,
                journal=JournalFile(folder / settings.state.folder),
                user_sig=lambda: read_secret(folder / settings.signaling.user_sig_file),
                folder=folder,
                ca_file=ca_file,
                watchers=watchers,
            )
            leave_out_what_is_there()
            await bedside.run()
        return 0

    return _until_told_to_stop(serve())


def _until_told_to_stop(work: Coroutine[Any, Any, int], *, stopped: int = 0) -> int:
    """Do *work*; its exit status is what it returns, or *stopped* when a signal ends it.

    Its cleaning up is not disturbed by a second signal.
    """

    async def run() -> int:
        task = asyncio.create_task(work)
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if not task.cancelling():
                task.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        try:
            return await task
        except asyncio.CancelledError:
            return stopped

    return asyncio.run(run())


def _desk(arguments: argparse.Namespace) -> int:
    server: Any = _with_extra("kiosk.desk.server", "desk")
    settings, data = _desk_settings(arguments)
    importlib.import_module("kiosk.desk.listening").allow_many_connections()
    desk = server.DeskServer(settings.desk, data)
    asyncio.run(desk.run(lambda url: print(f"ready {url}", flush=True)))
    return 0


def _desk_passphrase(arguments: argparse.Namespace) -> int:
    registry, _, data = _registry(arguments)
    if sys.stdin.isatty():
        passphrase = getpass.getpass(f"New passphrase of {arguments.user_id}: ")
    else:
        passphrase = sys.stdin.readline().rstrip("\n")
    registry.set_passphrase(arguments.user_id, passphrase)
    _audit(data, "passphrase_set", arguments.user_id)
    print(f"{arguments.user_id} can sign in now")
    return 0


def _desk_code(arguments: argparse.Namespace) -> int:
    registry, settings, data = _registry(arguments)
    code = registry.make_code(arguments.user_id, now=int(time.time()))
    _audit(data, "code_made", arguments.user_id)
    address: Any = importlib.import_module("kiosk.desk.address")
    print(f"{address.page_url(settings.desk, port=settings.desk.port)}#code={code}")
    return 0


def _desk_usersig(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.days <= MAX_DAYS:
        raise SettingsError(f"--days = {arguments.days}: allowed are 1 to {MAX_DAYS}")
    registry, _, data = _registry(arguments)
    ticket = registry.issue(arguments.user_id, now=int(time.time()), ttl_s=arguments.days * 24 * 3600)
    _audit(data, "usersig_issued", arguments.user_id, reason="command", detail=f"{arguments.days} days")
    print(ticket)
    return 0


def _desk_export(arguments: argparse.Namespace) -> int:
    export: Any = _with_extra("kiosk.desk.history_export", "desk")
    history: Any = importlib.import_module("kiosk.desk.history")
    _, data = _desk_settings(arguments)
    table = history.AUDIT if arguments.what == "audit" else history.TIMELINE
    lines = history.entries(data / history.FILE_NAME, since=export.since_of(arguments.since), table=table)
    if (data / history.FILE_NAME).exists():
        detail = f"since {arguments.since} as {arguments.format}"
        _audit(data, "exported", reason=arguments.what, detail=detail)
    try:
        export.WRITERS[arguments.format](lines, sys.stdout, table)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _audit(data: Path, what: str, user_id: str = "", *, reason: str = "", detail: str = "") -> None:
    """What this command did is for the audit log, also while a desk runs."""
    audit: Any = importlib.import_module("kiosk.desk.audit")
    auditor: Any = _with_extra("kiosk.desk.auditor", "desk")
    auditor.note_command(data, audit.Act(audit.Audited(what), user_id, reason=reason, detail=detail))


def _registry(arguments: argparse.Namespace) -> tuple[Any, Settings, Path]:
    registry: Any = importlib.import_module("kiosk.desk.registry")
    settings, data = _desk_settings(arguments)
    return registry.Registry(settings.desk, data), settings, data


def _desk_settings(arguments: argparse.Namespace) -> tuple[Settings, Path]:
    settings = load(arguments.settings)
    folder: Path = arguments.settings.resolve().parent
    if settings.desk.certificate:
        settings = msgspec.structs.replace(
            settings,
            desk=msgspec.structs.replace(
                settings.desk,
                certificate=str(folder / settings.desk.certificate),
                private_key=str(folder / settings.desk.private_key),
            ),
        )
    if settings.desk.turn_secret_file:
        secret_file = str(folder / settings.desk.turn_secret_file)
        settings = msgspec.structs.replace(
            settings, desk=msgspec.structs.replace(settings.desk, turn_secret_file=secret_file)
        )
    return settings, folder / settings.desk.data


def _with_extra(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("kiosk"):
            raise
        package = error.name.partition(".")[0]
        raise KioskError(f"the package {package!r} is missing: pip install 'bedside-kiosk[{extra}]'") from None
