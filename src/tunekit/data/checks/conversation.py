"""The turns of conversations: who speaks, in which order, and what is learned. Knows roles; no text and no target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tunekit.data import turns
from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import Finding, Rows, Severity, evidence
from tunekit.data.fixes.base import Fix
from tunekit.data.fixes.conversation import (
    ClearContextWeights,
    DropBlankNames,
    DropEmptyTurns,
    DropTrailingTurns,
    MergeTurns,
)
from tunekit.data.wording import counted
from tunekit.examples import ChatExample, Example, Message, PromptExample

Place: TypeAlias = tuple[str, str]
"""Field and evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """One thing that can be wrong with a conversation.

    Attributes:
        code: Of its finding.
        severity: Of its finding.
        says: Its message after "in 3 rows ".
        places: Where a row breaks it.
        fix: What mends it.
    """

    code: str
    severity: Severity
    says: str
    places: Callable[[Example, Sequence[Message]], Iterator[Place]]
    fix: type[Fix] | None = None


class Conversations(Check):
    """Looks at the turns of every row that has a conversation."""

    codes = (
        "no-answer",
        "nothing-learned",
        "no-user-turn",
        "starts-with-answer",
        "ends-with-answer",
        "trailing-turns",
        "system-not-first",
        "repeated-roles",
        "empty-turn",
        "weight-on-context",
        "blank-name",
    )

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._found = [(rule, Rows()) for rule in _RULES]

    def see(self, example: Example) -> None:
        """Look at one row."""
        messages = turns.conversation(example)
        if messages is None or _is_plain(example, messages):
            return
        for rule, rows in self._found:
            for field, shown in rule.places(example, messages):
                rows.add(example.id, field, shown)

    def findings(self) -> Iterable[Finding]:
        """What is wrong."""
        for rule, rows in self._found:
            if rows:
                yield Finding(
                    code=rule.code,
                    severity=rule.severity,
                    message=f"in {counted(len(rows), 'row')} {rule.says}",
                    rows=tuple(rows.ids),
                    places=tuple(rows.places),
                    fix=rule.fix.proposed() if rule.fix else None,
                )


def _is_plain(example: Example, messages: Sequence[Message]) -> bool:
    """Whether a row is a question and its answer as in most data sets, so that no rule has anything to say."""
    if not isinstance(example, ChatExample) or not 2 <= len(messages) <= 3:
        return False
    first, question, answer = messages[0], messages[-2], messages[-1]
    return (
        question.role == "user"
        and answer.role == "assistant"
        and (len(messages) == 2 or (first.role == "system" and bool((first.content or "").strip())))
        and bool((question.content or "").strip())
        and answer.weight > 0
        and all(turn.name is None and (turn.weight == 1.0 or turn is answer) for turn in messages)
    )


# --- rules --------------------------------------------------------------------------------------------


def _no_answer(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    if isinstance(example, ChatExample) and not turns.after_answer(messages):
        yield "messages", ""
    for field, said in turns.answers(example):
        if not turns.after_answer(said):
            yield field, ""


def _nothing_learned(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    weights = [turn.weight for turn in messages if turn.role == "assistant"]
    if isinstance(example, ChatExample) and weights and not any(weights):
        yield "messages", f"{len(weights)} x weight 0"


def _no_user_turn(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    if not any(turn.role == "user" for turn in messages):
        yield "messages", evidence(", ".join(turn.role for turn in messages))


def _starts_with_answer(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    for at, turn in enumerate(messages):
        if turn.role not in ("system", "developer"):
            if turn.role == "assistant" and any(later.role == "user" for later in messages):
                yield f"messages[{at}].role", "assistant"
            return


def _ends_with_answer(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    if not isinstance(example, ChatExample) and messages and messages[-1].role == "assistant":
        yield f"messages[{len(messages) - 1}].role", "assistant"


def _trailing_turns(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    end = turns.after_answer(messages)
    if isinstance(example, ChatExample) and 0 < end < len(messages):
        yield f"messages[{end}]", _shown(messages[end])


def _system_not_first(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    begun = False
    for at, turn in enumerate(messages):
        is_system = turn.role in ("system", "developer")
        if is_system and begun:
            yield f"messages[{at}].role", turn.role
        begun = begun or not is_system


def _mergeable(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    for at in turns.repeats(messages):
        if turns.can_merge(messages[at - 1], messages[at]):
            yield f"messages[{at}].role", f"{messages[at].role}, {messages[at].role}"


def _not_mergeable(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    for at in turns.repeats(messages):
        if not turns.can_merge(messages[at - 1], messages[at]):
            yield f"messages[{at}].role", f"{messages[at].role}, {messages[at].role}"


def _empty_turn(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    for at in turns.empty_turns(messages):
        yield (
            f"messages[{at}].content",
            evidence(f"{messages[at].role}: {(messages[at].content or '')[:40]!r}"),
        )


def _weight_on_context(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    for at, turn in enumerate(messages):
        if turn.role in turns.CONTEXT_ROLES and turn.weight != 1.0:
            yield f"messages[{at}].weight", f"{turn.role}: {turn.weight:g}"


def _blank_name(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    for at, turn in enumerate(messages):
        if turn.name is not None and not turn.name.strip():
            yield f"messages[{at}].name", evidence(turn.name)


def _prompt_ends_with_answer(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    return _ends_with_answer(example, messages) if isinstance(example, PromptExample) else iter(())


def _judged_ends_with_answer(example: Example, messages: Sequence[Message]) -> Iterator[Place]:
    return iter(()) if isinstance(example, PromptExample) else _ends_with_answer(example, messages)


def _shown(turn: Message) -> str:
    return evidence(f"{turn.role}: {(turn.content or '')[:40]}")


_RULES = (
    _Rule(code="no-answer", severity="error", places=_no_answer, says="there is no assistant turn to learn"),
    _Rule(
        code="nothing-learned",
        severity="error",
        places=_nothing_learned,
        says="every assistant turn has weight 0, so nothing is learned",
    ),
    _Rule(
        code="ends-with-answer",
        severity="error",
        places=_prompt_ends_with_answer,
        says="the prompt ends with the assistant; it has to end with what the model should answer",
    ),
    _Rule(
        code="ends-with-answer",
        severity="warning",
        places=_judged_ends_with_answer,
        says="the conversation ends with the assistant before the answer that is judged",
    ),
    _Rule(code="no-user-turn", severity="warning", places=_no_user_turn, says="no user says anything"),
    _Rule(
        code="trailing-turns",
        severity="warning",
        places=_trailing_turns,
        fix=DropTrailingTurns,
        says="turns after the last answer teach nothing; perhaps their answer is missing",
    ),
    _Rule(
        code="system-not-first",
        severity="warning",
        places=_system_not_first,
        says="a system message stands inside the conversation; many chat templates refuse that",
    ),
    _Rule(
        code="repeated-roles",
        severity="warning",
        places=_mergeable,
        fix=MergeTurns,
        says="one role speaks twice in a row; many chat templates refuse that",
    ),
    _Rule(
        code="repeated-roles",
        severity="warning",
        places=_not_mergeable,
        says="one role speaks twice in a row, and the turns cannot be merged (calls, names or weights differ)",
    ),
    _Rule(
        code="empty-turn",
        severity="warning",
        places=_empty_turn,
        fix=DropEmptyTurns,
        says="a turn says nothing",
    ),
    _Rule(
        code="starts-with-answer",
        severity="info",
        places=_starts_with_answer,
        says="the assistant speaks first, before any question",
    ),
    _Rule(
        code="weight-on-context",
        severity="info",
        places=_weight_on_context,
        fix=ClearContextWeights,
        says="a turn that is not the assistant's has a weight, which means nothing",
    ),
    _Rule(code="blank-name", severity="info", places=_blank_name, fix=DropBlankNames, says="a name is blank"),
)
