"""What is written down before anything is sent. Knows what makes two submissions the same; sends nothing."""

from __future__ import annotations

import asyncio

from tunekit._canonical import fingerprint
from tunekit.backends.base import Backend, SubmitRequest
from tunekit.data.wording import brief
from tunekit.errors import SpecError
from tunekit.records import RunRecord
from tunekit.refs import ModelRef


async def draft_run(backend: Backend, request: SubmitRequest, *, now: float) -> RunRecord:
    """The record of a run that is about to be submitted.

    Its key is a hash of backend and place, base model content, spec, data and what it goes on from: equal keys are the
    same run.

    Raises:
        ModelError: The base model is not one, or what the run is to go on from.
        RefError: `warm_start` is no model reference.
        SpecError: `warm_start` is a model of another backend.
    """
    identity = await backend.identify(request.model)
    # Hashing a large dataset takes seconds, and the caller's event loop must not stand still for it.
    train, validation = await asyncio.to_thread(_fingerprints, request)
    begun = await _warm_start(backend, request)
    key = fingerprint(
        {
            "backend": backend.name,
            **({"place": backend.place} if backend.place else {}),
            "model": identity,
            "spec": request.spec.fingerprint(),
            "train": train,
            "validation": validation,
            **({"warm_start": begun} if begun else {}),
        }
    )
    return RunRecord(
        run_id=f"run-{key[:20]}",
        key=key,
        backend=backend.name,
        place=backend.place,
        model=request.model,
        spec=request.spec.model_dump(mode="json"),
        train_fingerprint=train,
        validation_fingerprint=validation,
        created_at=now,
        updated_at=now,
    )


async def _warm_start(backend: Backend, request: SubmitRequest) -> str:
    """Content of what the run goes on from: behind the same path there may be another model tomorrow."""
    if request.spec.warm_start is None:
        return ""
    reference = ModelRef(request.spec.warm_start)
    if reference.backend != backend.name:
        raise SpecError(
            f"warm_start is {brief(reference)}, and the job is for backend {backend.name!r}",
            hint="go on from a model of the same backend",
        )
    return await backend.identify(reference.id)


def _fingerprints(request: SubmitRequest) -> tuple[str, str]:
    validation = request.validation
    return request.train.fingerprint(), validation.fingerprint() if validation is not None else ""
