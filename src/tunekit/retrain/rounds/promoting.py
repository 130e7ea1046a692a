"""What follows a passed gate: approval, rollout, and the move of the alias. Knows policies; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from tunekit.errors import ConflictError, NotFoundError
from tunekit.retrain.registry import aliases
from tunekit.retrain.registry.records import ModelVersion
from tunekit.retrain.registry.registry import Registry
from tunekit.retrain.rounds.moving import Mover
from tunekit.retrain.rounds.records import Round, RoundState

Approval: TypeAlias = Literal["auto", "manual", "never"]
Stage: TypeAlias = Literal["shadow", "canary"]

CANARY_SHARE = 0.05
"""Of the requests, with which a canary begins."""
_STATES = {"shadow": RoundState.SHADOW, "canary": RoundState.CANARY}


def in_use(registry: Registry, pipeline: str, alias: str) -> ModelVersion | None:
    """The version that the alias names; None where nothing was promoted to it."""
    try:
        return registry.version(f"{pipeline}@{alias}")
    except NotFoundError:
        return None


def entered(mover: Mover, round_: Round, approval: Approval, rollout: Sequence[Stage], **facts: Any) -> Round:
    """Into the state that the policy puts behind a passed gate. Rounds that still wait there give way."""
    state = {"never": RoundState.PASSED, "manual": RoundState.AWAITING_APPROVAL}.get(approval)
    state = state or following(rollout, None)
    # Before the round's own move: whoever is killed in between does both again.
    waiting = [each for each in mover.others(round_) if each.state.is_with_the_host]
    mover.supersede(waiting, f"{round_.round_id} has passed, too")
    facts |= {"share": share_in(state), "rollout": tuple(rollout)}
    return mover.move(round_, state, reason="the gate was passed", **facts)


def following(rollout: Sequence[str], stage: RoundState | None) -> RoundState:
    """The state behind one stage of a rollout; the first, where there was none."""
    states = [_STATES[each] for each in rollout]
    rest = states[states.index(stage) + 1 :] if stage in states else states if stage is None else []
    return rest[0] if rest else RoundState.PROMOTING


def share_in(state: RoundState) -> float:
    """Of the requests, that a model answers when it comes into this state."""
    return CANARY_SHARE if state is RoundState.CANARY else 0.0


def promote(mover: Mover, registry: Registry, round_: Round) -> Round:
    """Move the alias, if it still names what the round was measured against; else it has to be measured again."""
    try:
        registry.promote(
            round_.ref,
            round_.alias,
            expected=round_.champion,
            reason="the gate was passed",
            by=round_.requested_by,
            key=round_.round_id,
        )
    except ConflictError as error:
        note = f"measured again, against what was promoted meanwhile: {error.message}"
        return mover.move(round_, RoundState.EVALUATING, reason=error.message, note=note)
    # It may have been done by a process that was killed, and undone by a person since.
    standing = in_use(registry, round_.pipeline, round_.alias)
    if standing is None or standing.number != round_.version:
        last = registry.history(f"{round_.pipeline}@{round_.alias}")[-1]
        state = RoundState.ROLLED_BACK if last.action == "rollback" else RoundState.SUPERSEDED
        return mover.move(round_, state, reason=last.reason or f"version {last.after} is in use")
    before = [each for each in mover.others(round_) if each.state is RoundState.PROMOTED]
    mover.supersede(before, f"{round_.round_id} is in use")
    return mover.move(round_, RoundState.PROMOTED, reason=f"{round_.alias} is {round_.ref}", share=0.0)


def settle(
    mover: Mover, registry: Registry, pipeline: str, alias: str, *, by: str = "", why: str = ""
) -> None:
    """Let the rounds of an alias say what the registry says: it may have been moved there alone, or by who was killed.

    Args:
        mover: Writes it down.
        registry: What counts.
        pipeline: Whose rounds.
        alias: Of which alias.
        by: Who has moved it, if that is known.
        why: Why.
    """
    stack = aliases.standing(registry.history(f"{pipeline}@{alias}"))
    in_use = stack[-1] if stack else None
    was_in_use = (RoundState.PROMOTED, RoundState.SUPERSEDED, RoundState.ROLLED_BACK)
    for each in mover.rounds.rounds(pipeline, alias=alias, states=was_in_use):
        if each.version is None:
            continue
        state = RoundState.SUPERSEDED if each.version in stack else RoundState.ROLLED_BACK
        if each.version == in_use and not each.promoted:
            mover.move(
                each, RoundState.PROMOTED, by=by, reason=f"in use again: {why or 'the alias was moved'}"
            )
        elif each.version != in_use and each.promoted:
            mover.move(each, state, by=by, reason=why or "the alias was moved")
