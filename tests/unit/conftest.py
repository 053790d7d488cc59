"""The ward most tests of the allocation begin with."""

from __future__ import annotations

import pytest

from tests.unit.desk_model import Ward


@pytest.fixture
def ward() -> Ward:
    """One bed, two free seats; anna has been idle longer."""
    ward = Ward()
    ward.seat("anna")
    ward.seat("bert")
    ward.bed("bed-1")
    return ward
