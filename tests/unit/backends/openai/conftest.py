"""The service that the tests talk to, held to OpenAI's description where that is at hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.wire.inprocess import InProcess
from tests.wire.openai_spec import at_hand
from tests.wire.service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service(described=at_hand())
    yield service
    assert service.problems == []


@pytest.fixture
def transport(service: Service) -> InProcess:
    return InProcess(handler=service)
