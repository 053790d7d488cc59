"""What came of the last ``scripts/test-boot``: kept in the repository, since no run of CI can afford it.

``last_run.json`` says when it ran, which tests passed, what was measured, and of what: a digest of the units and of
the tests themselves. ``scripts/promises`` counts it only while that is what there is.

    python -m tests.boot.record OUTCOMES FIGURES     writes it, from what pytest left
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LAST_RUN = Path(__file__).with_name("last_run.json")
MADE_OF = ("systemd", "tests/boot")


def digest() -> str:
    """Of the units that ship and of all that boots and tests them."""
    total = hashlib.sha256()
    for folder in MADE_OF:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path != LAST_RUN and path.suffix != ".pyc":
                total.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def main(outcomes: Path, figures: Path) -> int:
    """Write the record."""
    record: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "of": digest(),
        "tests": json.loads(outcomes.read_text(encoding="utf-8")),
        "seconds": json.loads(figures.read_text(encoding="utf-8")),
    }
    LAST_RUN.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(record["seconds"], indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
