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


@pytest.fixture
def anna_talks(ward: Ward) -> None:
    """Anna talks with bed-1; bert and three more are free, dora of another ward."""
    ward.seat("carl")
    ward.seat("dora", "next-ward")
    ward.seat("emil")
    ward.press("bed-1")
    ward.talks("bed-1")
