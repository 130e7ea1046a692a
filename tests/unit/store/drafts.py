"""Run records to put into a store."""

from __future__ import annotations

from typing import Any

from tunekit.records import RunRecord


def draft(key: str = "k1", **values: Any) -> RunRecord:
    return RunRecord.model_validate(
        {
            "run_id": f"run-{key}",
            "key": key,
            "backend": "local",
            "model": "nano",
            "spec": {"epochs": 3},
            "train_fingerprint": "f" * 16,
            "created_at": 100.0,
            "updated_at": 100.0,
            **values,
        }
    )


def changed(record: RunRecord, **values: Any) -> RunRecord:
    return RunRecord.model_validate({**dict(record), **values})
