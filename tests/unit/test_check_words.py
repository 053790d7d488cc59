"""Every finding has its sentence in both languages, with the same figures in it."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

import kiosk
from kiosk.check import screen_words, words
from kiosk.check.findings import Finding, Part, Verdict, doubtful, faulty, fine, skipped
from kiosk.control.messages import Refusal
from kiosk.signaling.messages import Quality, QualityLevel

LANGUAGES = ("en", "zh")
MAKERS = {maker.__name__ for maker in (fine, doubtful, faulty, skipped)}
ROOM = Path(kiosk.__file__).parent


def figures_in(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def codes_in_the_program() -> set[str]:
    """Every text in the judges and in the shell around them that is written like a code of theirs."""
    found: set[str] = set()
    prefixes = (*(f"{part.value}_" for part in Part), "device_", "pins_", "certificate_", "user_sig_")
    sources = [*(ROOM / "check").glob("*.py"), ROOM / "bedside" / "self_test.py"]
    for path in sources:
        if path.name.endswith("words.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            arguments: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                arguments = node.args[1:2] if node.func.id in MAKERS else []
            elif isinstance(node, ast.Assign | ast.IfExp | ast.Tuple):
                arguments = [child for child in ast.walk(node) if isinstance(child, ast.Constant)]
            for argument in arguments:
                for constant in ast.walk(argument):
                    if isinstance(constant, ast.Constant) and str(constant.value).startswith(prefixes):
                        found.add(str(constant.value))
    return found


def test_every_code_of_the_judges_has_a_sentence_and_every_sentence_a_code() -> None:
    assert codes_in_the_program() == set(words.SENTENCES)


@pytest.mark.parametrize("code", words.SENTENCES)
def test_both_languages_tell_the_same_figures(code: str) -> None:
    told = words.SENTENCES[code]
    assert set(told) == set(LANGUAGES)
    assert figures_in(told["en"]) == figures_in(told["zh"])


def test_parts_verdicts_and_what_is_said_around_them_are_in_both_languages() -> None:
    tables: list[dict[str, str]] = [
        *words.PARTS.values(),
        *words.VERDICTS.values(),
        *screen_words.SAYS.values(),
        *screen_words.RESULTS.values(),
        *screen_words.LEVELS.values(),
        *screen_words.FIGURES.values(),
    ]
    assert set(words.PARTS) == set(Part)
    assert set(words.VERDICTS) == set(screen_words.RESULTS) == set(Verdict)
    assert set(screen_words.LEVELS) == set(QualityLevel)
    for table in tables:
        assert set(table) == set(LANGUAGES)
        assert figures_in(table["en"]) == figures_in(table["zh"])


@pytest.mark.parametrize("code", [Refusal.IN_USE, Refusal.INTERRUPTED, Refusal.BUSY])
def test_a_refusal_that_is_shown_has_words(code: Refusal) -> None:
    assert screen_words.says(code.value, "en") != screen_words.says(code.value, "zh")


def test_a_sentence_is_filled_with_its_figures() -> None:
    finding = fine(Part.SPEAKER, "speaker_ok", loss_db=3, delay_ms=40)
    assert words.words(finding, "en") == "its chirp was heard 3 dB below what was played, after 40 ms"
    assert "40 毫秒" in words.words(finding, "zh")
    assert words.words(doubtful(Part.TIME, "time_off", skew_s=-11.5), "en").startswith("-11.5 s against the desk")


def test_what_another_version_found_is_still_shown() -> None:
    assert words.words(Finding(part=Part.DISK, verdict=Verdict.OK, code="disk_sings"), "en") == "disk_sings"
    assert words.words(fine(Part.SPEAKER, "speaker_ok", loss_db=3), "en") == "speaker_ok {'loss_db': 3}"
    assert words.words(fine(Part.TIME, "time_ok", skew_s="later"), "zh") == "time_ok {'skew_s': 'later'}"


def test_somebody_elses_braces_are_only_text() -> None:
    finding = faulty(Part.CAMERA, "device_fault", why="{figures.__class__} {0}")
    assert words.words(finding, "en") == "{figures.__class__} {0}"


def test_a_calls_quality_is_told_with_what_is_known_of_it() -> None:
    told = Quality(call_id="c1", quality=QualityLevel.GOOD, loss_in=0.0125, rtt_ms=40, fps=29, concealed=0.0)
    in_english = screen_words.quality(told, "en")
    assert in_english == "good (2/6, loss in 1.25 %, round trip 40 ms, 29 pictures/s, 0 % of the sound made up)"
    assert screen_words.quality(told, "zh").startswith("较好 (2/6, ")
    unknown = Quality(call_id="c1", quality=QualityLevel.UNKNOWN)
    assert screen_words.quality(unknown, "en") == "not known yet (0/6)"
