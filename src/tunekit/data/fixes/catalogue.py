"""Every built-in fix, in the order in which they run. Knows names only; imports a fix when used."""

from __future__ import annotations

from importlib import import_module

from tunekit.data.fixes.base import Fix

_FIXES: tuple[tuple[str, str], ...] = (
    # (module under tunekit.data.fixes, class)
    # First, and in this order: what was misread is undone before single characters are taken out of it.
    ("characters", "RepairMojibake"),
    ("characters", "ReplaceSurrogates"),
    ("characters", "UnescapeHtml"),
    ("characters", "StripHiddenText"),
    ("characters", "StripDirectionOverrides"),
    ("characters", "RestoreBackslashes"),
    ("characters", "StripTerminalEscapes"),
    ("characters", "StripControl"),
    ("characters", "StripZeroWidth"),
    ("characters", "ReplaceNbsp"),
    ("characters", "NormaliseNewlines"),
    ("characters", "Nfc"),
    ("privacy", "DropSecrets"),
    ("privacy", "DropPersonalData"),
    ("privacy", "MaskSecrets"),
    ("privacy", "MaskPersonalData"),
    ("answers", "DropEmptyAnswers"),
    ("answers", "DropEmptyTexts"),
    ("answers", "DropMissingAnswers"),
    ("answers", "DropPlaceholderAnswers"),
    ("answers", "DropRepetitiveAnswers"),
    ("answers", "DropRefusals"),
    ("answers", "DropTruncatedAnswers"),
    ("conversation", "ClearContextWeights"),
    ("conversation", "DropBlankNames"),
    # Dropping turns can bring turns of one role together.
    ("conversation", "DropEmptyTurns"),
    ("conversation", "DropTrailingTurns"),
    ("conversation", "MergeTurns"),
    ("tools", "FillToolCallIds"),
    ("tools", "DecodeToolArguments"),
    ("tokens", "DropOverContext"),
    ("labels", "StripLabels"),
    ("labels", "MergeLabelSpaces"),
    ("labels", "MergeLabelCase"),
    ("labels", "MergeLabelTypos"),
    ("labels", "DropRepeatedLabels"),
    # After all that mends: rows may have become equal.
    ("duplicates", "DropDuplicates"),
    ("duplicates", "DropNormalisedDuplicates"),
    ("duplicates", "DropNearDuplicates"),
    ("duplicates", "DropConflicting"),
    ("leakage", "DropLeaked"),
    ("leakage", "DropNearlyLeaked"),
    ("lengths", "DropLong"),
    # Last: what these put at the ends must stay there.
    ("text_case", "LowerCasePrompts"),
    ("text_case", "LowerCaseCompletions"),
    ("affixes", "StripPromptPrefix"),
    ("affixes", "StripCompletionPrefix"),
    ("affixes", "AddSeparator"),
    ("affixes", "AddLeadingSpace"),
    ("affixes", "AddStop"),
)


def builtin() -> tuple[type[Fix], ...]:
    """The built-in fixes."""
    return tuple(getattr(import_module(f"tunekit.data.fixes.{module}"), name) for module, name in _FIXES)
