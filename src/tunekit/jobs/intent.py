"""What is written down before anything is sent. Knows what makes two submissions the same; sends nothing."""

from __future__ import annotations

import asyncio

from tunekit._canonical import fingerprint
from tunekit.backends.base import Backend, SubmitRequest
from tunekit.records import RunRecord


async def draft_run(backend: Backend, request: SubmitRequest, *, now: float) -> RunRecord:
    """The record of a run that is about to be submitted.

    Its key is a hash of backend, base model content, spec and data: equal keys are the same run.

    Raises:
        ModelError: The base model is not one.
    """
    identity = await backend.identify(request.model)
    # Hashing a large dataset takes seconds, and the caller's event loop must not stand still for it.
    train, validation = await asyncio.to_thread(_fingerprints, request)
    key = fingerprint(
        {
            "backend": backend.name,
            "model": identity,
            "spec": request.spec.fingerprint(),
            "train": train,
            "validation": validation,
        }
    )
    return RunRecord(
        run_id=f"run-{key[:20]}",
        key=key,
        backend=backend.name,
        model=request.model,
        spec=request.spec.model_dump(mode="json"),
        train_fingerprint=train,
        validation_fingerprint=validation,
        created_at=now,
        updated_at=now,
    )


def _fingerprints(request: SubmitRequest) -> tuple[str, str]:
    validation = request.validation
    return request.train.fingerprint(), validation.fingerprint() if validation is not None else ""
