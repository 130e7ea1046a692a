"""Which counter goes with which target, and whether a row is too long for one. Knows no finding and no fix."""

from __future__ import annotations

from tunekit.data.checks.base import CheckContext
from tunekit.data.profiles import Profile
from tunekit.data.tokens.counters import RowTokens, TextCounter, TokenCounter, counter_for
from tunekit.examples import Example


def counters(context: CheckContext) -> list[tuple[TokenCounter, tuple[Profile, ...]]]:
    """Each way of counting that the context asks for, with the targets that count so, in their order."""
    if context.counter is not None:
        return [(context.counter, context.profiles)]
    if not context.profiles:
        return [(counter_for(prompt_format=context.prompt_format), ())]
    found: dict[tuple[str | None, str], list[Profile]] = {}
    for profile in context.profiles:
        found.setdefault((profile.tokenizer, profile.prompt_format), []).append(profile)
    return [(counter_for(profiles[0]), tuple(profiles)) for profiles in found.values()]


def longest_over(
    example: Example, profile: Profile, counter: TokenCounter, counted: RowTokens | None = None
) -> int:
    """Length of the row's longest sequence if the target would cut it, else 0.

    Args:
        example: The row.
        profile: The target's rules.
        counter: Counts as its tokenizer does.
        counted: The row's tokens, where they are known already.
    """
    limit = profile.max_tokens_per_row
    if limit is None:
        return 0
    if counted is None:
        if isinstance(counter, TextCounter) and counter.at_most(example) <= limit:
            return 0
        counted = counter(example)
    return counted.longest if counted.longest > limit else 0
