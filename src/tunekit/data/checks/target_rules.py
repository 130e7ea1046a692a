"""What one row must keep to for a target: a table of rules on conversations. Knows profiles; collects nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tunekit.data import turns
from tunekit.data.findings import evidence
from tunekit.data.fixes.base import Fix
from tunekit.data.fixes.conversation import DropTrailingTurns, MergeTurns
from tunekit.data.profiles import Profile
from tunekit.data.wording import listed
from tunekit.examples import ChatExample, Example, Message, PreferenceExample, PromptExample

Place: TypeAlias = tuple[str, str]
"""Field and evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRule:
    """One rule of some targets.

    Attributes:
        code: Of its finding.
        says: What the target wants, after its name.
        places: Where a row breaks it; nothing where the profile says nothing.
        fix: What mends it in every such row.
    """

    code: str
    says: Callable[[Profile], str]
    places: Callable[[Example, Sequence[Message], Profile], Iterator[Place]]
    fix: type[Fix] | None = None


def features(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[str]:
    """What the row makes use of without it being known whether the target knows it."""
    said = [turn for _, turn in _everyone(example, messages)]
    if profile.names is None and any(turn.name for turn in said if turn.role != "tool"):
        yield "names"
    if profile.weights is None and any(turn.role == "assistant" and turn.weight != 1.0 for turn in messages):
        yield "weights"
    if profile.reasoning is None and any(turn.reasoning for turn in said):
        yield "reasoning"
    if profile.tools is None and _uses_tools(example, said):
        yield "tools"
    if profile.image_forms is None and any(turn.parts for turn in said):
        yield "content in parts"


def _everyone(example: Example, messages: Sequence[Message]) -> Iterator[tuple[str, Message]]:
    """Every message of the row with its field, the answers beside the conversation too."""
    for at, turn in enumerate(messages):
        yield f"messages[{at}]", turn
    for field, said in turns.answers(example):
        for at, turn in enumerate(said):
            yield f"{field}[{at}]", turn


def _uses_tools(example: Example, said: Sequence[Message]) -> bool:
    return bool(getattr(example, "tools", ())) or any(turn.tool_calls or turn.role == "tool" for turn in said)


# --- rules --------------------------------------------------------------------------------------------


def _roles(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    for field, turn in _everyone(example, messages):
        if turn.role not in profile.roles:
            yield f"{field}.role", turn.role


def _first_role(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    first = messages[0].role if messages else ""
    if profile.first_roles is not None and first in profile.roles - profile.first_roles:
        yield "messages[0].role", first


def _twice(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    """Turns that `MergeTurns` can join."""
    for at in _repeated(messages, profile):
        if turns.can_merge(messages[at - 1], messages[at]):
            yield f"messages[{at}].role", f"{messages[at].role}, {messages[at].role}"


def _twice_apart(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    """Turns that it cannot."""
    for at in _repeated(messages, profile):
        if not turns.can_merge(messages[at - 1], messages[at]):
            yield f"messages[{at}].role", f"{messages[at].role}, {messages[at].role}"


def _repeated(messages: Sequence[Message], profile: Profile) -> Iterator[int]:
    for at in range(1, len(messages)):
        if messages[at].role == messages[at - 1].role and messages[at].role in profile.roles_never_twice:
            yield at


def _not_answered(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    end = turns.after_answer(messages)  # a chat without any answer is wrong for everybody
    if profile.ends_with and isinstance(example, ChatExample) and 0 < end < len(messages):
        yield f"messages[{end}].role", messages[end].role


def _ends_with_call(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    if (
        profile.ends_with == "text"
        and isinstance(example, ChatExample)
        and messages
        and messages[-1].tool_calls
    ):
        yield f"messages[{len(messages) - 1}].tool_calls", evidence(messages[-1].tool_calls[0].name)


def _weights(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    allowed = {"0-1": (0.0, 1.0), "none": (1.0,)}.get(profile.weights or "")
    for at, turn in enumerate(messages):
        if allowed is not None and turn.role == "assistant" and turn.weight not in allowed:
            yield f"messages[{at}].weight", f"{turn.weight:g}"


def _names(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    for field, turn in _everyone(example, messages):
        if profile.names is False and turn.name is not None:
            yield f"{field}.name", evidence(turn.name)


def _reasoning(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    for field, turn in _everyone(example, messages):
        if profile.reasoning is False and turn.reasoning is not None:
            yield f"{field}.reasoning", evidence(turn.reasoning)


def _tools(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    if profile.tools is False and _uses_tools(example, [turn for _, turn in _everyone(example, messages)]):
        yield ("tools" if getattr(example, "tools", ()) else "messages"), ""


def _answers(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    for field, said in turns.answers(example) if isinstance(example, PreferenceExample) else ():
        if profile.max_answers is not None and len(said) > profile.max_answers:
            yield field, f"{len(said)} messages"


def _reference(example: Example, messages: Sequence[Message], profile: Profile) -> Iterator[Place]:
    key = profile.reference_key
    if key is not None and isinstance(example, PromptExample) and key not in example.reference:
        yield "reference", evidence(", ".join(map(str, example.reference)))


def _says_never_twice(profile: Profile) -> str:
    return f"refuses two turns in a row of {listed(sorted(profile.roles_never_twice))}"


RULES: tuple[TargetRule, ...] = (
    TargetRule(
        code="target-roles",
        places=_roles,
        says=lambda profile: f"knows the roles {listed(sorted(profile.roles))} only",
    ),
    TargetRule(
        code="target-first-role",
        places=_first_role,
        says=lambda profile: f"wants {listed(sorted(profile.first_roles or ()))} to speak first",
    ),
    TargetRule(code="target-repeated-roles", places=_twice, says=_says_never_twice, fix=MergeTurns),
    TargetRule(code="target-repeated-roles", places=_twice_apart, says=_says_never_twice),
    TargetRule(
        code="target-end",
        places=_not_answered,
        says=lambda profile: "wants the assistant to speak last",
        fix=DropTrailingTurns,
    ),
    TargetRule(
        code="target-end-call",
        places=_ends_with_call,
        says=lambda profile: "wants a text as the last answer, not a tool call",
    ),
    TargetRule(
        code="target-weights",
        places=_weights,
        says=lambda profile: (
            "knows no weights" if profile.weights == "none" else "knows the weights 0 and 1 only"
        ),
    ),
    TargetRule(code="target-names", places=_names, says=lambda profile: "knows no names of speakers"),
    TargetRule(
        code="target-reasoning", places=_reasoning, says=lambda profile: "takes no reasoning beside an answer"
    ),
    TargetRule(code="target-tools", places=_tools, says=lambda profile: "knows no tools"),
    TargetRule(
        code="target-answers",
        places=_answers,
        says=lambda profile: f"takes {profile.max_answers} message on each side of a preference",
    ),
    TargetRule(
        code="target-reference",
        places=_reference,
        says=lambda profile: f"wants {profile.reference_key!r} beside the messages, for the grader",
    ),
)
