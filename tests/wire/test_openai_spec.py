"""The validator that holds our wire to OpenAI's description finds what is wrong, and only that."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.openai_spec import description

JOB: dict[str, Any] = {"model": "gpt-4.1-mini", "training_file": "file-1"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, []),
        ({"seed": 7, "metadata": {"team": "a"}}, []),
        (
            {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}}},
            [],
        ),
        ({"colour": "red"}, ["body.colour: is not in the description"]),
        ({"seed": -1}, ["body.seed: -1 is less than 0"]),
        ({"metadata": {"team": 1}}, ["body.metadata.team: 1 is not of type string"]),
        (
            {"method": {"type": "supervised", "supervised": {"hyperparameters": {"epochs": 3}}}},
            ["body.method.supervised.hyperparameters.epochs: is not in the description"],
        ),
    ],
)
def test_requests(more: dict[str, Any], said: list[str]) -> None:
    assert description().request_problems("POST", "/fine_tuning/jobs", {**JOB, **more}) == said


def test_replies_lack_nothing_and_may_have_more() -> None:
    deleted = {"id": "file-1", "object": "file", "deleted": True, "colour": "red"}
    assert description().response_problems("DELETE", "/files/file-1", deleted) == []
    deleted.pop("object")
    assert description().response_problems("DELETE", "/files/file-1", deleted) == ["body.object: is missing"]


def test_query_parameters_with_a_key_in_brackets() -> None:
    names = ["after", "metadata[team]", "order"]
    found = description().query_problems("GET", "/fine_tuning/jobs", names)
    assert found == ["no query parameter 'order'"]
