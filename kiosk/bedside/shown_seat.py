"""Which seat of a talk the patient sees: one face, that stays. Pure.

Theory of operation
===================

Rule 1. A seat that is shown stays shown as long as it shows pictures: a face that changes with every word confuses.

Rule 2. When it shows none any more, or has left, the seat follows that has been in the talk longest of those that
show some.

Rule 3. When nobody shows pictures, it is the one of before, else the one that has been there longest: the first
picture is not to wait.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


def shown_seat(calls: Sequence[str], *, sending: Collection[str], before: str) -> str:
    """The call whose seat is shown, of the video *calls*, oldest first; empty when there are none.

    *sending*: those whose pictures arrive; *before*: the one shown until now.
    """
    candidates = [call for call in calls if call in sending] or list(calls)
    return before if before in candidates else next(iter(candidates), "")
