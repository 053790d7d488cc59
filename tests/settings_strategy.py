"""Hypothesis strategies for valid settings."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from kiosk import settings
from kiosk.settings import Settings

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)
FOLDERS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=64)
NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
USER_IDS = st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True)
GROUPS = st.lists(NAMES, max_size=3).map(tuple)
APPS = st.integers(1, 2**32 - 1)
PORTS = st.just("") | st.integers(0, 65535).map(":{}".format)
HOSTS = st.sampled_from(["10.1.2.3", "desk", "desk.ward-3.example"])
ICE_SERVERS = st.builds("stun:{}{}".format, HOSTS, PORTS) | st.builds(
    "{}:{}{}{}".format,
    st.sampled_from(["turn", "turns"]),
    HOSTS,
    PORTS,
    st.sampled_from(["", "?transport=udp", "?transport=tcp"]),
)
URLS = st.builds("wss://{}{}/ws".format, HOSTS | st.just("[2001:db8::1]"), PORTS) | st.builds(
    "ws://{}{}/ws".format, st.sampled_from(["localhost", "127.0.0.1", "[::1]"]), PORTS
)
SEATS = st.lists(
    st.builds(settings.Seat, user_id=USER_IDS, name=TEXT, groups=GROUPS),
    max_size=3,
    unique_by=lambda seat: seat.user_id,
).map(tuple)


BEDS = st.builds(
    settings.Bed,
    group=NAMES,
    ward=TEXT,
    room=TEXT,
    bed=TEXT,
    language=st.sampled_from(["zh", "en"]),
    priority=st.sampled_from(["normal", "urgent", "emergency"]),
)
SIGNALING = st.builds(
    settings.Signaling, url=URLS, ca_file=TEXT, sdk_app_id=APPS, user_id=USER_IDS, user_sig_file=TEXT
)
CALLS = st.builds(
    settings.Call,
    type=st.sampled_from(["audio", "video"]),
    seat=st.none() | USER_IDS,
    urgent_after_presses=st.integers(0, 100),
)
NIGHTS = st.just("none") | st.builds(
    "{:02}:{:02}-{:02}:{:02}".format,
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(0, 23),
    st.integers(0, 59),
)
AUDIO = st.builds(
    settings.Audio,
    microphone=TEXT,
    speaker=TEXT,
    echo=st.sampled_from(["auto", "none"]),
    volume=st.integers(0, 100),
    night_volume=st.integers(0, 100),
    night=NIGHTS,
)
VIDEO = st.builds(
    settings.Video,
    camera=TEXT,
    width=st.integers(10, 120).map(lambda blocks: blocks * 16),
    height=st.integers(45, 544).map(lambda pairs: pairs * 2),
    fps=st.integers(5, 60),
    rotation=st.sampled_from([0, 90, 180, 270]),
)
MEDIA = st.builds(
    settings.Media,
    ice_servers=st.lists(ICE_SERVERS, max_size=2).map(tuple),
    interfaces=st.lists(TEXT, max_size=2).map(tuple),
    relay_only=st.booleans(),
)
WAITS = st.lists(st.floats(0, 86_400, exclude_min=True), min_size=3, max_size=3).map(sorted)
BACKUPS = st.dictionaries(NAMES, NAMES, max_size=3).map(
    lambda groups: {group: backup for group, backup in groups.items() if group != backup}
)


def _with_waits(desk: settings.Desk, waits: list[float]) -> settings.Desk:
    overdue, backup_after, local_alarm_after = waits
    return msgspec.structs.replace(
        desk, overdue=overdue, backup_after=backup_after, local_alarm_after=local_alarm_after
    )


DESKS = st.builds(
    settings.Desk,
    host=st.sampled_from(["127.0.0.1", "10.1.2.3", "::", "desk"]),
    port=st.integers(0, 65535),
    tls=st.sampled_from(["auto", "on"]),
    sdk_app_id=APPS,
    ring_timeout=st.floats(0, 600, exclude_min=True),
    wrap_up=st.floats(0, 86_400),
    next_round=st.floats(0, 600, exclude_min=True),
    on_all_busy=st.sampled_from(["queue", "retry_later"]),
    close_from_seat=st.booleans(),
    realert=st.floats(5, 86_400),
    backup_groups=BACKUPS,
    history_days=st.integers(1, 36_500),
    seats=SEATS,
    ice_servers=st.lists(ICE_SERVERS, max_size=2).map(tuple),
    turn_secret_file=st.just("turn_secret"),
    turn_lifetime=st.floats(600, 604_800),
)


@st.composite
def _settings(draw: st.DrawFn) -> Settings:
    call, cancel, attend, lamp, relay = draw(st.permutations(range(28)))[:5]
    return Settings(
        bed=draw(BEDS),
        signaling=draw(SIGNALING),
        call=draw(CALLS),
        buttons=settings.Buttons(
            call_pin=call,
            call_wiring=draw(st.sampled_from(["normally_open", "normally_closed"])),
            cancel_pin=draw(st.sampled_from([cancel, "none"])),
            attend_pin=draw(st.sampled_from([attend, "none"])),
            cancel_hold=draw(st.floats(0, 10)),
            bounce=draw(st.floats(0.005, 0.2)),
            simulated=draw(st.booleans()),
        ),
        lamp=settings.Lamp(pin=lamp),
        relay=settings.Relay(pin=draw(st.sampled_from([relay, "none"])), active_high=draw(st.booleans())),
        audio=draw(AUDIO),
        video=draw(VIDEO),
        media=draw(MEDIA),
        state=settings.State(folder=draw(FOLDERS)),
        control=settings.Control(socket=draw(st.just("") | FOLDERS), group=draw(NAMES)),
        desk=_with_waits(draw(DESKS), draw(WAITS)),
    )


SETTINGS = _settings()
