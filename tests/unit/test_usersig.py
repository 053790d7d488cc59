"""A ticket says who is there only while it is whole, ours, for this user, and in its time."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kiosk.errors import CredentialError
from kiosk.signaling.messages import ErrorCode
from kiosk.usersig import CLOCK_SKEW_S, DEFAULT_TTL_S, MAX_TICKET_BYTES, Claims, check_user_id, sign, verify

# facts/tencent.md §2: made with the official code and the sample key published beside it.
APP = 1400000000
ISSUED_AT = 1700000000
KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
XIAOJUN = (
    "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPXFmekgG3zK"
    "HM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpDnA2SMgu0nUxslWoBHdYzUg__"
)
KIOSK_0301 = (
    "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIksjPzi7PjDYwNDGHyxSnZiQUFmSlAWUMTAyiAyqVWFGQWpQJlLMxM4IIlmbkgIUNzNMXFmekg"
    "G1zNC6OiSn2iLAIKDAPCA01SjIoD8-LMPLOdfLJTQ4O8jFKdwl3cIkMtHSNtlWoB3EkylQ__"
)
VECTORS = [
    ("xiaojun", 15552000, "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4="),
    ("kiosk_0301", 86400, "E7qZZuLZ8Pp1PWQ4d2sQnn6IkBLkeURJ2eBWDFYU9AY="),
    ("seat-nurse-1", 604800, "4Jk2r446UtuqxOnrXHEbGrmfXWizuAVJh9pF+AYDQz4="),
]


def fields_of(ticket: str) -> dict[str, Any]:
    packed = base64.b64decode(ticket.translate(str.maketrans("*-_", "+/=")), validate=True)
    fields: dict[str, Any] = json.loads(zlib.decompress(packed))
    return fields


def packed(text: bytes) -> str:
    return base64.b64encode(zlib.compress(text)).translate(bytes.maketrans(b"+/=", b"*-_")).decode()


def ticket(user_id: str = "bed-1", *, ttl_s: int = 3600, issued_at: int = ISSUED_AT) -> str:
    return sign(user_id, sdk_app_id=APP, secret_key=KEY, issued_at=issued_at, ttl_s=ttl_s)


def changed(**fields: Any) -> str:
    """A good ticket with some of its fields written over, and its signature left as it was."""
    named = {f"TLS.{name}": value for name, value in fields.items()}
    return packed(json.dumps(fields_of(ticket()) | named).encode())


def check(user_sig: str, *, user_id: str = "bed-1", app: int = APP, key: str = KEY, now: int = ISSUED_AT) -> Claims:
    return verify(user_sig, user_id=user_id, sdk_app_id=app, secret_key=key, now=now)


def refusal(user_sig: str, **asked: Any) -> CredentialError:
    with pytest.raises(CredentialError) as refused:
        check(user_sig, **asked)
    return refused.value


# -- the official vectors


@pytest.mark.parametrize(("user_id", "ttl_s", "signature"), VECTORS)
def test_a_ticket_has_the_fields_of_the_official_code(user_id: str, ttl_s: int, signature: str) -> None:
    assert fields_of(ticket(user_id, ttl_s=ttl_s)) == {
        "TLS.ver": "2.0",
        "TLS.identifier": user_id,
        "TLS.sdkappid": APP,
        "TLS.expire": ttl_s,
        "TLS.time": ISSUED_AT,
        "TLS.sig": signature,
    }


@pytest.mark.parametrize(
    ("user_id", "ttl_s", "official"), [("xiaojun", 15552000, XIAOJUN), ("kiosk_0301", 86400, KIOSK_0301)]
)
def test_a_ticket_of_the_official_code_is_accepted(user_id: str, ttl_s: int, official: str) -> None:
    assert fields_of(official) == fields_of(ticket(user_id, ttl_s=ttl_s))
    assert check(official, user_id=user_id) == Claims(user_id, APP, ISSUED_AT, ISSUED_AT + ttl_s)


def test_unless_asked_otherwise_a_ticket_lives_180_days() -> None:
    made = sign("bed-1", sdk_app_id=APP, secret_key=KEY, issued_at=ISSUED_AT)
    assert check(made).expires_at == ISSUED_AT + 180 * 24 * 3600 == ISSUED_AT + DEFAULT_TTL_S


def test_a_ticket_can_stand_in_a_url_as_it_is() -> None:
    texts = "".join(ticket(f"bed-{number}") for number in range(50))
    assert set("*-_") & set(texts)
    assert not set("+/=&?%# \n") & set(texts)


# -- the user id


@pytest.mark.parametrize("user_id", ["a", "Z9_-", "a" * 32])
def test_a_well_formed_user_id_is_returned_unchanged(user_id: str) -> None:
    assert check_user_id(user_id) == user_id


@pytest.mark.parametrize(
    "user_id", ["", "a" * 33, "bed-1\n", "\nbed-1", "bed 1", "bed.1", "床-1", "bed-１", "a\x00b", "é"]
)
def test_a_bad_user_id_is_refused_for_signing_and_for_checking(user_id: str) -> None:
    for refused in (lambda: ticket(user_id), lambda: check(ticket(), user_id=user_id)):
        with pytest.raises(CredentialError, match="use 1 to 32 of A-Z a-z 0-9 _ -") as error:
            refused()
        assert error.value.code == ErrorCode.BAD_USER_ID


# -- a ticket that cannot be read

DEEP = b'{"x":' + b"[" * 1900 + b"]" * 1900 + b"}"

UNREADABLE = {
    "empty": "",
    "not base64": "!" * 40,
    "not ASCII": "床" * 40,
    "a lone surrogate": "\ud800",
    "base64 with a line break": ticket()[:40] + "\n" + ticket()[40:],
    "not zlib": base64.b64encode(b"hello").decode().replace("=", "_"),
    "cut short": ticket()[:-8],
    "something after its end": packed(b"{}") + packed(b"{}"),
    "a zip bomb": packed(b" " * 3_000_000 + b"{}"),
    "a good ticket with a zip bomb behind it": packed(json.dumps(fields_of(ticket())).encode() + b" " * 3_000_000),
    "not JSON": packed(b"TLS"),
    "not an object": packed(b"[1]"),
    "not UTF-8": packed(b'{"TLS.ver":"\xff"}'),
    "a broken escape": packed(b'{"TLS.ver":"\\ud800"}'),
    "nested too deep": packed(DEEP),
    "a field missing": packed(b'{"TLS.ver":"2.0"}'),
    "time as text": changed(time="1700000000"),
    "time as a fraction": changed(time=1700000000.5),
    "expire missing": changed(expire=None),
    "signature as a number": changed(sig=1),
    "user id as a list": changed(identifier=["bed-1"]),
    "too long": "A" * (MAX_TICKET_BYTES + 1),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_an_unreadable_ticket_is_malformed(what: str) -> None:
    error = refusal(UNREADABLE[what])
    assert error.code == ErrorCode.SIG_MALFORMED
    assert "copy it whole" in str(error)


def test_a_zip_bomb_is_not_unpacked() -> None:
    bomb = UNREADABLE["a zip bomb"]
    assert len(bomb) <= MAX_TICKET_BYTES  # it is refused for what it holds, not for its own length
    assert refusal(bomb).code == ErrorCode.SIG_MALFORMED


def test_json_of_another_order_and_spacing_is_the_same_ticket() -> None:
    fields = fields_of(ticket())
    loose = json.dumps(dict(reversed(fields.items())), indent=2).encode()
    assert check(packed(loose)) == check(ticket())


def test_unknown_fields_of_a_ticket_are_ignored() -> None:
    assert check(changed(userbuf="AAAA")).user_id == "bed-1"


# -- a ticket that is not ours


def test_a_ticket_made_with_another_key_is_foreign() -> None:
    error = refusal(ticket(), key="f" * 64)
    assert error.code == ErrorCode.SIG_FOREIGN
    assert "SecretKey" in str(error)


def test_the_key_is_its_text_and_not_its_bytes() -> None:
    assert refusal(ticket(), key=bytes.fromhex(KEY).decode("latin-1")).code == ErrorCode.SIG_FOREIGN


def test_a_ticket_for_another_application_is_foreign() -> None:
    error = refusal(ticket(), app=APP + 1)
    assert error.code == ErrorCode.SIG_FOREIGN
    assert str(APP) in str(error)
    assert str(APP + 1) in str(error)


def test_a_ticket_of_another_user_is_foreign() -> None:
    error = refusal(ticket("bed-2"))
    assert error.code == ErrorCode.SIG_FOREIGN
    assert "'bed-2', not 'bed-1'" in str(error)


@pytest.mark.parametrize(
    "fields",
    [
        {"identifier": "bed-2"},
        {"sdkappid": APP + 1},
        {"time": ISSUED_AT - 1},
        {"expire": 2**31},
        {"sig": ""},
        {"sig": "é"},
        {"sig": "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4="},
    ],
)
def test_a_ticket_changed_in_any_signed_field_is_foreign(fields: dict[str, Any]) -> None:
    error = refusal(changed(**fields), user_id=str(fields.get("identifier", "bed-1")), app=APP)
    assert error.code == ErrorCode.SIG_FOREIGN
    assert "SecretKey" in str(error)


@pytest.mark.parametrize(
    "fields",
    [{"identifier": "nurse-1"}, {"sdkappid": 7}, {"time": ISSUED_AT + 10**6}, {"expire": -1}, {"expire": 0}],
)
def test_nothing_in_a_ticket_is_believed_before_its_signature(fields: dict[str, Any]) -> None:
    """A forged field must not choose which refusal is heard, nor be repeated in its words."""
    error = refusal(changed(**fields))
    assert str(error) == str(refusal(ticket(), key="f" * 64))


# -- a ticket and its time


def test_a_ticket_is_good_until_the_second_it_expires() -> None:
    assert check(ticket(ttl_s=60), now=ISSUED_AT + 59).expires_at == ISSUED_AT + 60
    error = refusal(ticket(ttl_s=60), now=ISSUED_AT + 60)
    assert error.code == ErrorCode.SIG_EXPIRED
    assert "expired 0 s ago" in str(error)


def test_an_expired_ticket_is_refused_with_how_long_ago() -> None:
    error = refusal(ticket(ttl_s=60), now=ISSUED_AT + 100)
    assert error.code == ErrorCode.SIG_EXPIRED
    assert "40 s ago" in str(error)


def test_a_ticket_may_be_a_little_from_the_future_but_no_more() -> None:
    assert check(ticket(), now=ISSUED_AT - CLOCK_SKEW_S).issued_at == ISSUED_AT
    error = refusal(ticket(), now=ISSUED_AT - CLOCK_SKEW_S - 1)
    assert error.code == ErrorCode.SIG_NOT_YET_VALID
    assert f"{CLOCK_SKEW_S + 1} s in the future" in str(error)
    assert "clocks" in str(error)


@pytest.mark.parametrize("ttl_s", [0, -60])
def test_a_ticket_without_any_life_is_expired_at_once(ttl_s: int) -> None:
    assert refusal(ticket(ttl_s=ttl_s)).code == ErrorCode.SIG_EXPIRED


# -- nothing secret is told


def test_claims_tell_no_signature() -> None:
    claims = check(ticket())
    assert claims.signature == fields_of(ticket())["TLS.sig"]
    assert claims.signature not in f"{claims!r} {claims}"


@pytest.mark.parametrize(
    ("user_sig", "asked"),
    [
        (ticket(), {"key": "f" * 64}),
        (ticket(), {"app": 7}),
        (ticket("bed-2"), {}),
        (ticket(), {"now": ISSUED_AT + 10**9}),
        (ticket(), {"now": 0}),
        (ticket()[:-8], {}),
        (ticket(), {"user_id": "床"}),
    ],
)
def test_no_refusal_tells_ticket_signature_or_key(user_sig: str, asked: dict[str, Any]) -> None:
    error = refusal(user_sig, **asked)
    told = f"{error} {error!r} {error.args}"
    assert user_sig[:16] not in told
    assert fields_of(ticket())["TLS.sig"] not in told
    assert KEY not in told
    assert "f" * 64 not in told


# -- any ticket, any text

USER_IDS = st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True)


@given(
    user_id=USER_IDS,
    app=st.integers(1, 2**32 - 1),
    key=st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
    issued_at=st.integers(0, 2**33),
    ttl_s=st.integers(1, 2**33),
    age=st.integers(0, 2**33),
)
def test_what_is_signed_is_what_is_claimed(
    user_id: str, app: int, key: str, issued_at: int, ttl_s: int, age: int
) -> None:
    made = sign(user_id, sdk_app_id=app, secret_key=key, issued_at=issued_at, ttl_s=ttl_s)
    now = issued_at + age % ttl_s
    assert verify(made, user_id=user_id, sdk_app_id=app, secret_key=key, now=now) == Claims(
        user_id, app, issued_at, issued_at + ttl_s
    )


@given(
    user_sig=st.text(max_size=300)
    | st.binary(max_size=300).map(lambda raw: base64.b64encode(raw).decode())
    | st.binary(max_size=300).map(packed),
    user_id=st.text(max_size=40) | USER_IDS,
)
def test_any_text_is_answered_by_a_refusal_and_nothing_else(user_sig: str, user_id: str) -> None:
    with pytest.raises(CredentialError) as refused:
        check(user_sig, user_id=user_id)
    assert refused.value.code in (ErrorCode.BAD_USER_ID, ErrorCode.SIG_MALFORMED)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(name=st.sampled_from(["identifier", "sdkappid", "expire", "time", "sig"]), value=JSON)
def test_any_other_value_in_a_signed_field_is_refused_and_nothing_else(name: str, value: Any) -> None:
    assume(value != fields_of(ticket())[f"TLS.{name}"])
    assert refusal(changed(**{name: value})).code in (ErrorCode.SIG_MALFORMED, ErrorCode.SIG_FOREIGN)
