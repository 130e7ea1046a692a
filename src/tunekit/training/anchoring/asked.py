"""What a spec asks for to stay near its start, and whether that can be. Knows specs and cards; imports no torch."""

from __future__ import annotations

from pathlib import Path

from tunekit.errors import SpecError
from tunekit.spec import EWC, SFT, Classify, L2ToStart, LoRA, Probe, TuneSpec
from tunekit.training.saving.artifacts import FISHER_NAME, read_card


def pulling(spec: TuneSpec) -> L2ToStart | EWC | None:
    """What pulls, if anything does."""
    near = spec.stay_near
    return near if near is not None and near.strength > 0.0 else None


def copies(spec: TuneSpec) -> int:
    """How many values are held of each weight that is trained: its start, its importance, and what is measured."""
    near = pulling(spec)
    return (near is not None) + isinstance(near, EWC) + spec.keep_fisher


def require_possible(spec: TuneSpec, begun: Path | None) -> None:
    """Look whether a run can be kept near its start as asked, and can keep what a later one would need for that.

    Args:
        spec: The recipe.
        begun: Directory of the artifact that it goes on from.

    Raises:
        SpecError: It cannot; the message says why.
        ModelError: The card of the artifact is damaged.
    """
    if isinstance(spec.method, Probe) and (pulling(spec) or spec.keep_fisher):
        raise SpecError(
            "a probe leaves the model as it is: there is nothing that stay_near could pull, nor keep_fisher measure",
            hint="leave both out, or train with Classify()",
        )
    if spec.keep_fisher:
        _require_likelihood(spec)
    if isinstance(pulling(spec), EWC):
        _require_fisher(spec, begun)


def _require_likelihood(spec: TuneSpec) -> None:
    if not isinstance(spec.method, SFT | Classify):
        raise SpecError(
            f"keep_fisher asks for the Fisher information of method {spec.method.type!r}, whose loss is not the "
            "log-likelihood of its rows",
            hint="keep it with SFT() or Classify(), or stay near with L2ToStart(), which needs none",
        )
    if isinstance(spec.method.adapter, LoRA) and spec.method.adapter.init == "pissa":
        raise SpecError(
            "keep_fisher measures the weights that are trained, and PiSSA publishes others, of twice the rank",
            hint='use LoRA(init="default"), or leave keep_fisher out',
        )


def _require_fisher(spec: TuneSpec, begun: Path | None) -> None:
    if begun is None:
        raise SpecError(
            "stay_near=EWC() needs to know which weights matter, and the run begins from a base, which says nothing of "
            "that",
            hint="go on from a model that was tuned with keep_fisher=True (warm_start=), or use L2ToStart()",
        )
    if not (begun / FISHER_NAME).is_file():
        raise SpecError(
            f"stay_near=EWC() needs to know which weights matter, and {str(begun)!r} does not say: it was tuned "
            "without keep_fisher",
            hint="tune that model again with keep_fisher=True, or use L2ToStart()",
        )
    if read_card(begun).kind == "full" and isinstance(getattr(spec.method, "adapter", None), LoRA):
        raise SpecError(
            f"stay_near=EWC() knows how much the weights of {str(begun)!r} matter, and an adapter beside them has "
            "weights of its own",
            hint="train FullWeights(), or use L2ToStart()",
        )
