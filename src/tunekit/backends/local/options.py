"""What `TuneSpec` and its options may say to the local backend. Knows names and values; not what is done with them."""

from __future__ import annotations

from tunekit.data.wording import brief
from tunekit.errors import SpecError
from tunekit.spec import TuneSpec
from tunekit.training.plan.recipe import rate_multiplier

NAMES = frozenset({"revision", "learning_rate_multiplier"})

SPEC_FIELDS = frozenset(
    {
        "too_long",
        "warm_start",
        "early_stopping",
        "stay_near",
        "keep_fisher",
        "range-test",
        "max_seconds",
        "max_usd",
    }
)
"""See `Capabilities.spec_fields`."""


def checked_revision(spec: TuneSpec) -> str | None:
    """The hub revision of the base model, once all options were looked at.

    Raises:
        SpecError: One of them has a value that means nothing.
    """
    rate_multiplier(spec)
    revision = spec.options.get("revision")
    if revision is not None and not isinstance(revision, str):
        raise SpecError(f"option 'revision' is {brief(revision)}", hint="give a hub revision as a string")
    return revision
