"""What the README shows as settings can be used as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kiosk.settings import loads

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.+?)```", README, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_settings_shown_are_settings(example: str) -> None:
    loads(example, where="README.md")


def test_there_is_an_example_for_bed_and_desk() -> None:
    assert len(EXAMPLES) == 2


def test_every_picture_and_page_it_points_to_is_there() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
