"""What "auto" becomes. Knows rules and where they come from; knows no tensor and no file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tunekit.data.advice.cost import openai_epochs
from tunekit.data.wording import brief
from tunekit.errors import SpecError
from tunekit.spec import DPO, LoRA, Method, TuneSpec
from tunekit.training.models.families import Family, Head
from tunekit.training.plan.batches import steps_per_epoch, total_steps

_MIN_STEPS = 200
# A head of classes is new and its gradient noisy: published recipes take 16 or 32 (Devlin et al. 2019, A.3).
_LEAST_BATCH, _LEAST_BATCH_OF_CLASSES = 4, 8
_PREFERENCE_SHARES = {
    "sigmoid": (1 / 40, "a 40th for DPO: 5e-7 full, 5e-6 QLoRA in the Zephyr recipes (alignment-handbook)"),
    "ipo": (1 / 40, "a 40th for IPO, as for DPO: Zephyr recipes (alignment-handbook)"),
    "simpo": (1 / 40, "a 40th for SimPO: 3e-7 to 1e-6 full (README of princeton-nlp/SimPO)"),
    "orpo": (1 / 4, "a quarter for ORPO: 5e-6 full in mistral-capybara (alignment-handbook)"),
    "rft": (1 / 20, "a 20th for RFT: 1e-6 full for a 7B model (DeepSeekMath, arXiv 2402.03300, section 4.2)"),
    "kto": (1 / 4, "a quarter for KTO: 5e-6 full for an 8B Llama (README of ContextualAI/HALOs)"),
}
_PREFERENCE_EPOCHS = (1.0, "1 pass over judged answers: zephyr-7b-beta/dpo (alignment-handbook)")
_CLASSIFIER_EPOCHS: tuple[tuple[int, float, str], ...] = (
    (2500, 20.0, "20 passes for a classifier on up to 2,500 rows: Mosbach et al. 2021, arXiv 2006.04884"),
    (1 << 62, 3.0, "3 passes for a classifier: Devlin et al. 2019, arXiv 1810.04805, A.3 (2 to 4)"),
)
"""Most rows, epochs, source."""

_BITS_PER_WEIGHT, _BITS_PER_TOKEN = 2.0, 1.0
_RANKS = (8, 256)
_RANK_RULE = (
    "smallest power of two in [8, 256] with 2 bits of weights to each of the targets' bits, 1 per token: LoRA Without "
    "Regret"
)
# No rule is trusted beyond; more did worse on stories260K, which is 64 wide (docs/performance.md).
_RATES = (1e-6, 8e-3)
# MiniLM with LoRA of rank 8 on dev rows of banking77: 0.89 at 4e-3, 0.08 at 8e-3.
_MOST_OF_CLASSES = 4e-3
_FITTED_WIDTH = 2000
"""The narrowest Llama that the rule was fitted on is 2048 wide."""
_LORA_ALPHA = 32  # that of "LoRA Without Regret", where the rate does not depend on the rank
_LORA_TIMES, _LORA_TIMES_MORE, _SHORT_RUN_STEPS = 10.0, 5.0, 100
_LORA_RULE = "10 to 15 times that for LoRA with an alpha of 32, less with more alpha: LoRA Without Regret"
_LOGITS_VALUES_PER_PASS = 1 << 26  # 256 MB of fp32 logits; as much again for their gradient
_BYTES_PER_LOGIT = 12  # fp32, as it is, its softmax and its gradient

_CLASSIFIER_RATES: tuple[tuple[Family, int, float, str], ...] = (
    (
        "encoder",
        0,
        5e-4,
        "dev rows of banking77 and clinc150 (docs/performance.md); Turc et al. 2019, arXiv 1908.08962: up to 3e-4",
    ),
    ("encoder", 768, 3e-5, "Devlin et al. 2019, arXiv 1810.04805, A.3: 2e-5 to 5e-5"),
    (
        "encoder",
        1024,
        2e-5,
        "Devlin et al. 2019, arXiv 1810.04805, A.3; Liu et al. 2019, arXiv 1907.11692, table 10",
    ),
    ("encoder-decoder", 0, 1e-4, "transformers, model_doc/t5: 1e-4 to 3e-4 with AdamW"),
)
"""Family, least width, rate for full weights, source: of models with a head of classes. Those of decoders follow from
the width as for text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules look at.

    Attributes:
        rows: Training examples with a target.
        target_tokens: Tokens in them that are learned.
        weights_per_rank: Trainable weights of an adapter of rank 1; 0 where there is none.
        hidden_size: Width of the model.
        model_type: Architecture, such as "llama".
        family: What kind of model that is.
        head: What it ends in.
        vocabulary: Rows of the output head.
        max_length: Longest sequence the model has positions for.
        memory_bytes: All that the accelerator has, not what is free now: equal runs are cut into equal passes. None on
            a CPU.
    """

    rows: int
    target_tokens: int = 0
    weights_per_rank: int = 0
    hidden_size: int
    model_type: str
    family: Family = "decoder"
    head: Head = "tokens"
    vocabulary: int
    max_length: int
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A spec with nothing left open.

    Attributes:
        learning_rate: Peak rate.
        epochs: Passes over the examples.
        rank: Of the adapter; None where there is none.
        batch_size: Examples per optimizer step.
        micro_rows: Most examples per forward pass.
        micro_tokens: Most tokens per forward pass, padding counted; a longer single example still goes alone.
        max_length: Longest example in tokens.
        steps_per_epoch: Optimizer steps that see each example once.
        total_steps: Optimizer steps of the run.
        evaluate_every: Steps between evaluations.
        checkpoint_every: Steps between checkpoints; None is by the clock, about one a minute and one an epoch.
        sources: For every value that was "auto", the rule that gave it.
    """

    learning_rate: float
    epochs: float
    rank: int | None
    batch_size: int
    micro_rows: int
    micro_tokens: int
    max_length: int
    steps_per_epoch: int
    total_steps: int
    evaluate_every: int
    checkpoint_every: int | None
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def decided(self) -> dict[str, float]:
        """The numbers that a person would set, for the artifact's card and the report; JSON-ready."""
        named = ("learning_rate", "batch_size", "epochs", "rank", "total_steps")
        return {name: getattr(self, name) for name in named if getattr(self, name) is not None}


def resolve(spec: TuneSpec, facts: Facts) -> Recipe:
    """Fill in what the spec left to the trainer, and say by which rule."""
    sources: dict[str, str] = {}
    epochs, rank = _epochs(spec, facts, sources), _rank(spec, facts, sources)
    wanted = spec.batch_size
    if isinstance(wanted, str):
        least = _LEAST_BATCH_OF_CLASSES if spec.method.type == "classify" else _LEAST_BATCH
        wanted = auto_batch_size(facts.rows, epochs, least=least)
        sources["batch_size"] = f"power of two in [{least}, 32], with {_MIN_STEPS} steps or more if it can"
    batch_size = min(wanted, facts.rows)
    micro_rows, micro_tokens = spec.micro_batch_size, 1 << 62
    if isinstance(micro_rows, str):
        micro_rows = batch_size
        micro_tokens = _tokens_per_pass(facts)
        logits_mb = micro_tokens * facts.vocabulary * 4 >> 20
        sources["micro_batch_size"] = f"{micro_tokens} tokens per pass: at most {logits_mb} MB of logits"
    per_epoch, steps = steps_per_epoch(facts.rows, batch_size), total_steps(facts.rows, batch_size, epochs)
    if spec.evaluate_every_steps == "auto":
        sources["evaluate_every_steps"] = "once an epoch"
    if spec.checkpoint_every_steps == "auto":
        sources["checkpoint_every_steps"] = "about once a minute and once an epoch"
    return Recipe(
        learning_rate=_learning_rate(spec, facts, sources, rank, steps),
        epochs=epochs,
        rank=rank,
        batch_size=batch_size,
        micro_rows=min(micro_rows, batch_size),
        micro_tokens=micro_tokens,
        max_length=min(spec.max_length or facts.max_length, facts.max_length),
        steps_per_epoch=per_epoch,
        total_steps=steps,
        evaluate_every=per_epoch if spec.evaluate_every_steps == "auto" else spec.evaluate_every_steps,
        checkpoint_every=None if spec.checkpoint_every_steps == "auto" else spec.checkpoint_every_steps,
        sources=sources,
    )


def _tokens_per_pass(facts: Facts) -> int:
    """As many as fill a device: a CPU is full early, and an eighth of an accelerator's memory is for the logits."""
    values = _LOGITS_VALUES_PER_PASS
    if facts.memory_bytes is not None:
        values = max(values, facts.memory_bytes // (8 * _BYTES_PER_LOGIT))
    return max(256, min(8192, values // facts.vocabulary))


def _learning_rate(
    spec: TuneSpec, facts: Facts, sources: dict[str, str], rank: int | None, steps: int
) -> float:
    """Peak rate; with "range-test" it stands in until that was done."""
    if not isinstance(spec.learning_rate, str):
        return spec.learning_rate
    adapter, share = getattr(spec.method, "adapter", None), preference_share(spec.method)
    sources["learning_rate"] = _rate_rule(facts)[1]
    if isinstance(adapter, LoRA) and rank is not None:
        rate = auto_learning_rate(facts, alpha=lora_alpha(adapter, rank), steps=steps)
        sources["learning_rate"] += f", {_LORA_RULE}"
    else:
        rate = auto_learning_rate(facts, steps=steps)
    if share is not None:
        rate *= share[0]
        sources["learning_rate"] += f"; {share[1]}"
    if (multiplier := rate_multiplier(spec)) != 1.0:
        rate *= multiplier
        sources["learning_rate"] += f"; times {multiplier:g}, as asked"
    return float(f"{rate:.3g}")


def _epochs(spec: TuneSpec, facts: Facts, sources: dict[str, str]) -> float:
    if not isinstance(spec.epochs, str):
        return spec.epochs
    found, sources["epochs"] = auto_epochs(spec.method, facts.rows)
    return found


def _rank(spec: TuneSpec, facts: Facts, sources: dict[str, str]) -> int | None:
    adapter = getattr(spec.method, "adapter", None)
    if not isinstance(adapter, LoRA):
        return None
    if not isinstance(adapter.rank, str):
        return adapter.rank
    sources["rank"] = _RANK_RULE
    return auto_rank(facts)


def auto_epochs(method: Method, rows: int) -> tuple[float, str]:
    """Passes over the examples, and the rule that gave them.

    Of ORPO, which learns the better answer as SFT does, and of RFT, which never sees the same answer twice, as for SFT.

    Examples:
        >>> from tunekit.spec import SFT, Classify
        >>> [auto_epochs(method, 1000)[0] for method in (SFT(), DPO(), Classify())]
        [3.0, 1.0, 20.0]
    """
    if method.type == "classify":
        return next((epochs, rule) for most, epochs, rule in _CLASSIFIER_EPOCHS if rows <= most)
    if method.type in ("dpo", "kto") and getattr(method, "loss", "") != "orpo":
        return _PREFERENCE_EPOCHS
    rule = "3 passes, more over fewer than 34 rows and fewer over more than 8,333: OpenAI's cookbook"
    return float(openai_epochs(rows)), rule


def auto_rank(facts: Facts) -> int:
    """Rank of an adapter that has room for what the data say.

    A network keeps 2 bits to a weight (Allen-Zhu and Li 2024, arXiv 2404.05405), and a token says about 1 bit that the
    model did not know; below that capacity a low rank learns as well as full weights ("LoRA Without Regret", Thinking
    Machines Lab 2025).

    Examples:
        >>> data = Facts(rows=1, target_tokens=10_000_000, weights_per_rank=200_000, hidden_size=2048,
        ...              model_type="llama", vocabulary=32000, max_length=2048)
        >>> auto_rank(data)
        32
    """
    least, most = _RANKS
    needed = facts.target_tokens * _BITS_PER_TOKEN / (_BITS_PER_WEIGHT * max(1, facts.weights_per_rank))
    return min(most, max(least, 1 << math.ceil(math.log2(max(1.0, needed)))))


def preference_share(method: Method) -> tuple[float, str] | None:
    """What part of the rate for SFT a method takes that only shifts what a model prefers, and where that comes from.

    None for other methods. The rate for SFT that the shares are of is that of the Zephyr recipes, 2e-5 for all weights
    of a 7B model and 2e-4 for its (Q)LoRA; the share is the same for both.

    Examples:
        >>> from tunekit.spec import SFT
        >>> preference_share(DPO())
        (0.025, 'a 40th for DPO: 5e-7 full, 5e-6 QLoRA in the Zephyr recipes (alignment-handbook)')
        >>> preference_share(SFT()) is None
        True
    """
    known = method.loss if isinstance(method, DPO) else method.type
    return _PREFERENCE_SHARES.get(known)


def auto_batch_size(rows: int, epochs: float, *, least: int = _LEAST_BATCH) -> int:
    """Examples per step: small, because LoRA loses more than full fine-tuning when batches grow.

    Source: "LoRA Without Regret", Thinking Machines Lab 2025, on batch size; the step count is our own choice.

    Examples:
        >>> auto_batch_size(320, 3), auto_batch_size(10_000, 3), auto_batch_size(10, 3)
        (4, 32, 4)
        >>> auto_batch_size(320, 3, least=8)
        8
    """
    size = least
    while size < 32 and rows * epochs / (size * 2) >= _MIN_STEPS:
        size *= 2
    return size


def lora_alpha(adapter: LoRA, rank: int) -> float:
    """What alpha an adapter has, or would have were it scaled as usual: rsLoRA's counts for more.

    The rate falls as it grows. In "LoRA Without Regret" alpha is 32 at every rank, and then the best rate does not
    depend on the rank; where alpha grows with the rank, as it does here unless it is set, the best rate is in inverse
    proportion to it (Chen, Villar and Hayou 2026, Learning Rate Scaling across LoRA Ranks). docs/performance.md has a
    rate that is good at rank 8 and breaks the model at rank 64.

    Examples:
        >>> lora_alpha(LoRA(), rank=16), lora_alpha(LoRA(alpha=32), rank=64), lora_alpha(LoRA(rslora=True), rank=16)
        (32.0, 32.0, 128.0)
    """
    alpha = adapter.alpha_at(rank)
    return alpha * (math.sqrt(rank) if adapter.rslora else 1.0)


def rate_multiplier(spec: TuneSpec) -> float:
    """What an automatic rate is multiplied by: the option that hosted services have in place of a rate.

    Raises:
        SpecError: It is no positive number, or there is nothing automatic to multiply.

    Examples:
        >>> rate_multiplier(TuneSpec(options={"learning_rate_multiplier": 2}))
        2.0
    """
    value = spec.options.get("learning_rate_multiplier")
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < math.inf:
        raise SpecError(
            f"option 'learning_rate_multiplier' is {brief(value)}", hint="give a positive number, such as 2"
        )
    if spec.learning_rate != "auto":
        raise SpecError(
            f"option 'learning_rate_multiplier' stands beside learning_rate {spec.learning_rate!r}",
            hint="leave learning_rate at 'auto', or multiply it yourself",
        )
    return float(value)


def auto_learning_rate(facts: Facts, *, alpha: float | None = None, steps: int) -> float:
    """Peak learning rate, by the rule for full weights, and a multiple of that for LoRA.

    With an alpha of 32 the best rate of LoRA is 10 times that of full weights, and about 15 times in runs of some 100
    steps ("LoRA Without Regret", Thinking Machines Lab 2025); between the two we take 10 + 5 * 100 / steps. It is in
    inverse proportion to alpha. Outside 1e-6 .. 8e-3, for heads of classes 4e-3, no rule is trusted, and the rate is
    clamped, before alpha counts and after: a narrow model breaks at a high rate with a small alpha, too.

    Args:
        facts: Of model and data.
        alpha: Of the adapter, as `lora_alpha` gives it; None where there is none.
        steps: Of the run.

    Examples:
        >>> llama = Facts(rows=1, hidden_size=2000, model_type="llama", vocabulary=32000, max_length=2048)
        >>> [auto_learning_rate(llama, alpha=32, steps=steps) for steps in (100, 1000, 100_000)]
        [0.00075, 0.000525, 0.0005]
        >>> bert = Facts(rows=1, hidden_size=768, model_type="bert", family="encoder", head="classes",
        ...              vocabulary=2, max_length=512)
        >>> auto_learning_rate(bert, steps=1000)
        3e-05
    """
    rate = _rate_rule(facts)[0]
    if alpha is not None:
        rate *= _LORA_TIMES + _LORA_TIMES_MORE * min(1.0, _SHORT_RUN_STEPS / steps)
        rate = _trusted(rate, facts) * _LORA_ALPHA / alpha
    return float(f"{_trusted(rate, facts):.3g}")


def _trusted(rate: float, facts: Facts) -> float:
    least, most = _RATES
    return min(most if facts.head == "tokens" else _MOST_OF_CLASSES, max(least, rate))


def _rate_rule(facts: Facts) -> tuple[float, str]:
    """The rate for full weights, and where the rule comes from.

    5e-5 * (2000 / width)^k with k = 0.0775 for Qwen and 0.781 for Llama (`tinker_cookbook.hyperparam_utils.get_lr`,
    fitted on 1B to 70B models); families without a fit take that of Llama. Below the widths of that fit k is 1, since
    Adam's best rate for hidden weights is in inverse proportion to the width (Yang et al. 2022, arXiv 2203.03466).
    """
    if facts.head == "classes" and facts.family != "decoder":
        known = [
            rule for rule in _CLASSIFIER_RATES if rule[0] == facts.family and rule[1] <= facts.hidden_size
        ]
        return known[-1][2:]
    if facts.model_type.startswith("qwen"):
        exponent, source = 0.0775, "tinker-cookbook"
    elif facts.hidden_size < _FITTED_WIDTH:
        exponent, source = 1.0, "tinker-cookbook, and below its fit Yang et al. 2022, arXiv 2203.03466"
    else:
        exponent, source = 0.781, "tinker-cookbook"
    rate = 5e-5 * (_FITTED_WIDTH / facts.hidden_size) ** exponent
    return rate, f"5e-5 (2000 / width)^{exponent:g}: {source}"
