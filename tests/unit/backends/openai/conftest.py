"""The service that the tests talk to, held to OpenAI's description where that is at hand."""

from __future__ import annotations

import gc
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


@pytest.fixture
def torn() -> Iterator[None]:
    """For tests that cut connections in the middle: what these leave is collected here, not in somebody else's test.

    anyio 4 lets go of a socket unclosed where a connect is cancelled at the moment when it succeeds. Such tests also
    ignore what the garbage collector then says.
    """
    yield
    gc.collect()
