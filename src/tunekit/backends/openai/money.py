"""What a host asks for training, where a source says so. Knows whose prices are whose; the prices are data's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunekit.backends.openai.hosts import Host

if TYPE_CHECKING:
    from tunekit.data.advice.cost import Price


def price_at(host: Host, model: str) -> Price | None:
    """The price of training a model at a host; None where no source is at hand.

    Examples:
        >>> from tunekit.backends.openai.hosts import host_of
        >>> price_at(host_of("openai"), "gpt-4o-2024-08-06").usd_per_million_tokens
        25.0
    """
    from tunekit.data.advice.cost import price_of
    from tunekit.data.profiles import profile_of

    # What stands in for a host, or passes calls on to it, has prices of its own.
    return price_of(profile_of(f"{host.name}:{model}")) if host.name == host.data_rules else None
