"""`recommend`: which technique these data want. Knows the order of things; how each is measured is `weighing`'s."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from tunekit._settings import Settings
from tunekit.backends import registry
from tunekit.backends.base import Backend
from tunekit.data.arguments import finite, one_of, sequence, whole
from tunekit.data.wording import counted
from tunekit.errors import SpecError
from tunekit.evaluation.arms.costs import CallPrice
from tunekit.evaluation.arms.templates import TemplateLike
from tunekit.evaluation.arms.weighing import PriceOf
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.running import telling
from tunekit.evaluation.running.runner import ProgressCallback
from tunekit.evaluation.scorers import ScoreFunction, Scorer
from tunekit.refs import ModelRef, Target
from tunekit.spec import Budget, Sampling
from tunekit.store.base import RunStore
from tunekit.tuning.bench import Bench
from tunekit.tuning.measured import total_usd
from tunekit.tuning.recommending import asking as ways
from tunekit.tuning.recommending.asking import Asking
from tunekit.tuning.recommending.choosing import FEW_ITEMS, Choice, choose
from tunekit.tuning.recommending.explaining import Account
from tunekit.tuning.recommending.options import DEAR, Sight, options_of
from tunekit.tuning.recommending.results import TECHNIQUES, Option, Recommendation, Technique
from tunekit.tuning.recommending.task import Task, parted
from tunekit.tuning.recommending.weighing import StageCallback, Weighing

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset

CHEAP: tuple[Technique, ...] = ("zero-shot", "few-shot", "probe")


def recommend(
    data: Dataset,
    target: str | Target,
    *,
    test: Dataset | None = None,
    measure: Sequence[Technique] = CHEAP,
    budget: Budget | None = None,
    dev: float | int | None = None,
    seed: int = 0,
    margin: float = 0.0,
    shots: int = 8,
    small_rows: int = 500,
    template: TemplateLike | None = None,
    scorers: Sequence[Scorer | ScoreFunction] | None = None,
    sampling: Sampling | None = None,
    price: CallPrice | PriceOf | None = None,
    cache: bool | None = None,
    backend: Backend | None = None,
    store: RunStore | None = None,
    settings: Settings | None = None,
    on_progress: StageCallback | None = None,
) -> Recommendation:
    """Which technique these data want: zero-shot, few-shot, a probe, an adapter, or every weight.

    Part of the data is held out, and the techniques in `measure` are scored on it. What is not measured is estimated
    from other data sets, and called so; an estimate never is the choice. The choice is the technique with the least
    training that is within one standard error of the best. Where that leaves it open and there is a `budget`, an
    adapter is trained on few rows. Calling it again finds the jobs and, of models whose weights are fixed, the answers.

    Args:
        data: Labelled, completion or chat rows, without your test.
        target: Which base model, where.
        test: Your test. It is never scored on; rows of the data that ask the same are left out.
        measure: What to measure; `"adapter"` and `"full"` are trained only where they are named here, but for an
            adapter that a budget pays for.
        budget: For the jobs together, and for the answers of untrained models where `price` is known.
        dev: Share or number of rows to score on; None is a fifth, at most 1,000.
        seed: Of the parts and of training.
        margin: Largest difference that does not matter.
        shots: Solved examples in a prompt; of a model that only embeds, examples of each class.
        small_rows: Most rows that `"adapter"` and `"full"` are tried with.
        template: How a question is put; as `zero_shot` takes it.
        scorers: What decides; the first one does. None: for classes, the share of right ones; for text, bits per byte
            where the backend weighs answers, else the similarity of edits.
        sampling: How answers are drawn.
        price: What a call costs, for all models or by model.
        cache: As in `Evaluator`.
        backend: A configured backend; None loads the installed one by name.
        store: Where runs are remembered; None is the SQLite store of the settings.
        settings: Knobs of the host; None reads the environment.
        on_progress: Called with each `Stage` and with the progress of each evaluation, in the calling thread.

    Raises:
        SpecError: An argument is wrong, or the data are of a kind that is not weighed, or too few.
        NotFoundError: No such backend is installed.
        ModelError: The base model is not one.
        StorageError: The store cannot be written.

    Examples:
        >>> import tunekit as tk
        >>> from tunekit.store import MemoryStore
        >>> from tunekit.testing import ScriptedBackend
        >>> rows = [{"text": f"parcel {n}", "label": "even" if n % 2 else "odd"} for n in range(200)]
        >>> data = tk.Dataset.from_records(rows, input="text", target="label", kind="labelled")
        >>> clueless = ScriptedBackend(score=lambda prompt, choice: 0.0)
        >>> found = recommend(data, "scripted:m", measure=["zero-shot"], backend=clueless, store=MemoryStore())
        >>> found.confidence, found["adapter"].basis
        ('open', 'unknown')
    """
    arguments = dict(locals())
    del arguments["on_progress"]
    return telling.run(
        lambda tell: recommend_async(**arguments, on_progress=cast("StageCallback | None", tell)),
        cast("ProgressCallback | None", on_progress),
        instead="tunekit.recommend_async",
    )


async def recommend_async(
    data: Dataset,
    target: str | Target,
    *,
    test: Dataset | None = None,
    measure: Sequence[Technique] = CHEAP,
    budget: Budget | None = None,
    dev: float | int | None = None,
    seed: int = 0,
    margin: float = 0.0,
    shots: int = 8,
    small_rows: int = 500,
    template: TemplateLike | None = None,
    scorers: Sequence[Scorer | ScoreFunction] | None = None,
    sampling: Sampling | None = None,
    price: CallPrice | PriceOf | None = None,
    cache: bool | None = None,
    backend: Backend | None = None,
    store: RunStore | None = None,
    settings: Settings | None = None,
    on_progress: StageCallback | None = None,
) -> Recommendation:
    """`recommend` for async code. Cancelling it leaves the jobs going; calling it again finds them."""
    asked = _checked(measure, seed=seed, margin=margin, shots=shots, small_rows=small_rows)
    settings, wanted = settings or Settings(), Target(target)
    task = await asyncio.to_thread(parted, data, test=test, dev=dev, seed=seed)
    serving = registry.serving(wanted.backend, backend, settings)
    embeds = await ways.only_embeds(serving, wanted) if task.classes else False
    prices = _prices(price)
    asking = Asking(
        target=wanted,
        task=task,
        embeds=embeds,
        scorers=tuple(scorers) if scorers is not None else ways.scorers_for(task, serving, embeds=embeds),
        sampling=ways.sampling_for(task, sampling),
        template=template,
        shots=shots,
        price=prices(ModelRef(str(wanted))) if prices else None,
    )

    def evaluator(max_usd: float | None = None) -> Evaluator:
        return Evaluator(
            task.dev,
            scorers=asking.scorers,
            sampling=asking.sampling,
            cache=cache,
            max_usd=max_usd,
            settings=settings,
        )

    bench = Bench.open(
        wanted,
        evaluator(),
        metric=None,
        validation=None,
        backend=serving,
        store=store,
        settings=settings,
        budget=budget,
        retry_failed=False,
    )
    await bench.ready()
    weighing = Weighing(
        bench=bench,
        evaluator=evaluator,
        asking=asking,
        seed=seed,
        max_usd=budget.max_usd if budget else None,
        tell=on_progress,
    )
    sight = Sight(weighing=weighing, price=prices, is_share=ways.shares_of_one(asking.scorers))
    await _measure(weighing, asked)
    account = await _account(sight, margin)
    dear = [technique for technique in DEAR if technique in asked]
    if not dear and budget is not None and account.choice.confidence == "open":
        dear = ["adapter"]
    for technique in dear:
        await weighing.train(technique, task.small_size(small_rows))
    if dear:
        account = await _account(sight, margin)
    return await asyncio.to_thread(_recommendation, account, margin)


async def _measure(weighing: Weighing, asked: Sequence[Technique]) -> None:
    """Measure what is cheap."""
    asking = weighing.asking
    if "zero-shot" in asked:
        await weighing.ask("zero-shot", asking.zero_shot())
    if "few-shot" in asked:
        await weighing.ask("few-shot", asking.few_shot())
    if "probe" in asked:
        for size in asking.task.sizes():
            await weighing.train("probe", size)


async def _account(sight: Sight, margin: float) -> Account:
    options, best = await options_of(sight), sight.best()
    found = await asyncio.to_thread(sight.beside_commonest, best) if best is not None else None
    majority, above = found or (None, None)
    choice = choose(
        options,
        n_train=len(sight.weighing.asking.task.train),
        margin=margin,
        beats_majority=above is None or above.low > 0.0,
        ceiling=1.0 if sight.is_share else None,
    )
    return Account(sight=sight, options=options, choice=choice, majority=majority, above_majority=above)


def _recommendation(account: Account, margin: float) -> Recommendation:
    sight, choice, weighing = account.sight, account.choice, account.sight.weighing
    task, metric = weighing.asking.task, sight.metric
    technique = choice.option.technique if choice.option else _beginning(account.options)
    trained = technique in TECHNIQUES[2:]
    capabilities = weighing.bench.desk.backend.capabilities
    jobs = tuple(each.measured for each in weighing.findings if each.measured is not None)
    best = sight.best()
    return Recommendation(
        method=technique,
        confidence=choice.confidence,
        verdict=account.verdict(),
        spec=task.spec(technique, capabilities, weighing.seed) if trained else None,
        reasons=tuple(account.reasons()),
        next_steps=tuple(account.next_steps()),
        options=tuple(account.options),
        target=str(weighing.bench.target),
        task=task.kind,
        metric=metric,
        higher_is_better=best[metric].higher_is_better if best else True,
        is_share=sight.is_share,
        embeds=weighing.asking.embeds,
        majority=account.majority,
        n_train=len(task.train),
        n_dev=len(task.dev),
        classes=len(task.classes),
        margin=margin,
        seed=weighing.seed,
        train_fingerprint=task.train.fingerprint(),
        dev_fingerprint=task.dev.fingerprint(),
        cost_usd=total_usd(jobs),
        warnings=tuple(_warnings(task, choice, best)),
    )


def _beginning(options: Sequence[Option]) -> Technique:
    """Where to begin when nothing was measured: what takes the least and is possible."""
    return next((option.technique for option in options if option.basis != "not possible"), "zero-shot")


def _warnings(task: Task, choice: Choice, best: Evaluation | None) -> Iterator[str]:
    if task.n_kept_out:
        yield f"{counted(task.n_kept_out, 'row')} were left out: your test asks the same"
    if task.system:
        yield "the system message that every row begins with was left out: it tells no class from another"
    if len(task.dev) < FEW_ITEMS:
        yield f"{counted(len(task.dev), 'dev item')} tell only large differences, so nothing is settled"
    if task.classes and (lost := set(task.dev.targets()) - set(task.classes)):
        yield f"{counted(len(lost), 'class')} of dev have no row to learn from"
    if best is not None and choice.option is not None:
        yield "the best of several reads a little too high on the items that it was chosen on"


def _checked(measure: Sequence[Technique], **numbers: Any) -> tuple[Technique, ...]:
    named = sequence("measure", measure, of="techniques")
    found = tuple(one_of("a technique of measure", name, TECHNIQUES) for name in named)
    if not found:
        raise SpecError("measure is empty", hint=f"name techniques: {', '.join(CHEAP)}")
    whole("seed", numbers["seed"], least=0)
    whole("shots", numbers["shots"], least=1)
    whole("small_rows", numbers["small_rows"], least=1)
    if finite("margin", numbers["margin"]) < 0.0:
        raise SpecError(f"margin is {numbers['margin']!r}", hint="use 0 or more: 0.01 is one point")
    return found


def _prices(price: CallPrice | PriceOf | None) -> PriceOf | None:
    return (lambda _: price) if isinstance(price, CallPrice) else price
