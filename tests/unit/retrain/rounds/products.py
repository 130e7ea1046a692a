"""A product whose model is retrained at a scripted host, where each new model is as good as the test says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tunekit as tk
from tunekit.backends.base import GenerateRequest, Generation, Prompt
from tunekit.spec import Sampling
from tunekit.testing import FakeClock, ScriptedBackend


def records(name: str, number: int) -> list[dict[str, str]]:
    """Questions of a name with their answers; other names have other questions."""
    return [{"prompt": f"{name} {at}", "completion": f"{at % 5}"} for at in range(number)]


TEST = records("test", 400)


class Host(ScriptedBackend):
    """Models that know a share of all answers: the base half of them, tuned ones as they are told in order.

    Args:
        skills: Of the first, second, ... tuned model; the last holds for all that follow.
        given: Anything of `ScriptedBackend`.
    """

    def __init__(self, *skills: float, **given: Any) -> None:
        super().__init__(generate=lambda prompt: "", version="1", **given)
        fields = self.capabilities.spec_fields | {"warm_start"}
        self.__dict__["capabilities"] = replace(self.capabilities, spec_fields=fields)
        self.skills = skills or (0.9,)
        self.asked: list[str] = []

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        self.asked.append(model)
        return [Generation(text=self._answer(model, each.prompt), finish_reason="stop") for each in requests]

    def _answer(self, model: str, prompt: Prompt) -> str:
        number = int(model.rpartition("-tuned-")[2]) if "-tuned-" in model else 0
        skill = self.skills[min(number, len(self.skills)) - 1] if number else 0.5
        drawn = hashlib.sha256(f"{prompt}".encode()).digest()  # who knows more knows all that others know
        right = int(str(prompt).rpartition(" ")[2]) % 5
        return f"{right}" if int.from_bytes(drawn[:4], "big") / 2**32 < skill else "none"


def rows(name: str, number: int = 50) -> tk.Dataset:
    """Training rows of a name; other names have other rows."""
    return tk.Dataset.from_records(records(name, number))


def product(home: Path, host: ScriptedBackend, **given: Any) -> tk.Retrainer:
    """A retrainer of the product "bot" with everything under `home`."""
    settings = tk.Settings(home=home)
    defaults: dict[str, Any] = {
        "alias": "bot",
        "evaluator": tk.Evaluator(tk.Dataset.from_records(TEST), settings=settings),
        "gate": tk.Gate(primary="exact_match", min_gain=0.02),
        "backend": host,
        "settings": settings,
        "poll_s": 0.01,
    }
    return tk.Retrainer("scripted:base", **{**defaults, **given})


def states(retrainer: tk.Retrainer, round_: tk.Round) -> list[str]:
    """What a round went through."""
    return [str(each.state) for each in retrainer.rounds.history(round_.round_id)]


__all__ = ["TEST", "FakeClock", "Host", "product", "records", "rows", "states"]
