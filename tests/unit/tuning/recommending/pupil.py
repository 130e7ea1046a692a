"""A scripted service whose model knows more or less, by how it is asked and trained. Knows no recommendation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tunekit as tk
from tunekit.backends import GenerateRequest, Generation, Snapshot
from tunekit.backends.base import ScoreRequest, Scores, SubmitRequest
from tunekit.data.advice.cost import Price
from tunekit.spec import Sampling
from tunekit.testing import ScriptedBackend

CLASSES = ("delivery", "billing", "account", "other")
ALL = 400


def tickets(rows: int = ALL, *, name: str = "case") -> tk.Dataset:
    records = [{"text": f"{name} {n}", "label": label_of(n)} for n in range(rows)]
    return tk.Dataset.from_records(records, input="text", target="label", kind="labelled")


def questions(rows: int = ALL) -> tk.Dataset:
    records = [
        {"prompt": f"tell me of {n}", "completion": f"a tale of {n}, and of {7 * n}"} for n in range(rows)
    ]
    return tk.Dataset.from_records(records, input="prompt", target="completion")


def label_of(number: int) -> str:
    return CLASSES[number % 4]


class Pupil(ScriptedBackend):
    """Jobs cost one dollar for each thousand rows, a second for each row.

    Args:
        directory: Where the service lives.
        knows: Share of questions that it answers well, by technique; "adapter@100" for what 100 rows or fewer teach.
        weighs: Whether it weighs answers.
        methods: What it trains.
    """

    def __init__(
        self,
        directory: Path,
        knows: Mapping[str, float],
        *,
        weighs: bool = False,
        methods: frozenset[str] = frozenset({"sft", "classify", "probe"}),
        version: str | None = "1",
        **options: Any,
    ) -> None:
        verb: dict[str, Any] = (
            {"score": lambda prompt, choice: 0.0} if weighs else {"generate": lambda prompt: ""}
        )
        super().__init__(directory=directory / "service", version=version, **verb, **options)
        self.__dict__["capabilities"] = replace(self.capabilities, methods=methods)
        self._knows, self._notes = knows, directory / "notes"
        self._notes.mkdir(parents=True, exist_ok=True)
        self.asked = 0
        self.kinds: list[frozenset[str]] = []

    async def submit(self, request: SubmitRequest) -> str:
        method = request.spec.method
        technique = (
            "probe" if method.type == "probe" else {"lora": "adapter"}.get(method.adapter.type, "full")
        )
        self.kinds.append(request.train.kinds)
        note = {"technique": technique, "rows": len(request.train)}
        (self._notes / f"{request.idempotency_key}.json").write_text(json.dumps(note))
        return await super().submit(request)

    def price(self, model: str, spec: tk.TuneSpec) -> Price | None:
        return Price(usd_per_million_tokens=1.0, as_of="2026-11-23", source="a test")

    async def snapshot(self, job_id: str) -> Snapshot:
        seen, note = await super().snapshot(job_id), self._note(job_id)
        return replace(seen, usage=tk.Usage(trained_tokens=1000 * note["rows"], seconds=float(note["rows"])))

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        self.asked += len(requests)
        return [
            Generation(text=self._answer(model, str(each.prompt)), finish_reason="stop") for each in requests
        ]

    async def score(self, model: str, requests: Sequence[ScoreRequest]) -> list[Scores]:
        """Nats of a whole answer: the more it knows, the fewer."""
        self.asked += len(requests)
        return [
            Scores(log_probs=tuple(-(1.01 - self._share(model, str(each.prompt))) * len(c) for c in each.choices),
                   tokens=tuple(len(c.split()) + 1 for c in each.choices))
            for each in requests
        ]  # fmt: skip

    def _answer(self, model: str, prompt: str) -> str:
        number = int(prompt.removesuffix("\nClass:").split()[-1])
        luck = int(hashlib.blake2b(f"{number}".encode(), digest_size=4).hexdigest(), 16) / 2**32
        return label_of(number if luck < self._share(model, prompt) else number + 1)

    def _share(self, model: str, prompt: str) -> float:
        if "-tuned-" not in model:
            shown = prompt.count("\n\n")
            return self._knows.get("few-shot" if shown else "zero-shot", 0.0)
        note = self._note(f"job-{model.rpartition('-')[2]}")
        technique, rows = note["technique"], note["rows"]
        of_parts = [key for key in self._knows if key.startswith(f"{technique}@")]
        parts = {int(key.partition("@")[2]): self._knows[key] for key in of_parts}
        fitting = [share for most, share in sorted(parts.items()) if rows <= most]
        return fitting[0] if fitting else self._knows.get(technique, 0.0)

    def _note(self, job_id: str) -> dict[str, Any]:
        key = self.keys[int(job_id.rpartition("-")[2]) - 1]
        found: dict[str, Any] = json.loads((self._notes / f"{key}.json").read_bytes())
        return found
