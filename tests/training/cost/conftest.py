from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def energy_is_watched() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TAGARELA_TRACKING_MODE", raising=False)
        yield
