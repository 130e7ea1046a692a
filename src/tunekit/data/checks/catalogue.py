"""Every built-in check, in the order in which reports list their findings. Imports a check when it is used."""

from __future__ import annotations

from importlib import import_module

from tunekit.data.checks.base import Check

_CHECKS: tuple[tuple[str, str], ...] = (
    # (module under tunekit.data.checks, class)
    ("size", "Size"),
    ("columns", "Columns"),
    ("lengths", "Lengths"),
    ("labels", "Labels"),
    ("classes", "Classes"),
    ("duplicates", "Duplicates"),
    ("duplicates", "Disagreements"),
    ("near_duplicates", "NearDuplicates"),
    ("leakage", "Leakage"),
    ("text_case", "TextCase"),
    ("affixes", "PromptFormat"),
    ("conversation", "Conversations"),
    ("tools", "Tools"),
    ("images", "Images"),
    ("answers", "Answers"),
    ("answer_shape", "AnswerShape"),
    ("characters", "Characters"),
    ("privacy", "Privacy"),
    ("languages", "Languages"),
    ("tokens", "TokenLengths"),
    ("special_tokens", "SpecialTokens"),
    ("profile", "TargetRules"),
)


def builtin() -> tuple[type[Check], ...]:
    """The built-in checks."""
    return tuple(getattr(import_module(f"tunekit.data.checks.{module}"), name) for module, name in _CHECKS)
