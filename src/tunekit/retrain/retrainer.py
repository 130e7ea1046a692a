"""`Retrainer`: from new data to a better model, or to the old one. Knows sync and async; the steps are in `rounds`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from tunekit import _portal
from tunekit._settings import Settings
from tunekit.backends.base import Backend
from tunekit.data import arguments
from tunekit.errors import ConflictError, TunekitError
from tunekit.evaluation.arms.arm import Side
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.running import telling
from tunekit.refs import Target
from tunekit.retrain.gate.rules import Gate
from tunekit.retrain.registry.records import checked_name
from tunekit.retrain.registry.registry import CHAMPION, Registry
from tunekit.retrain.rounds import given, planning
from tunekit.retrain.rounds.base import RoundStore
from tunekit.retrain.rounds.composing import History, Replay, Start
from tunekit.retrain.rounds.driving import Driver, OnRoundEvent
from tunekit.retrain.rounds.endings import raise_if_failed
from tunekit.retrain.rounds.moving import Mover
from tunekit.retrain.rounds.planning import RoundPlan
from tunekit.retrain.rounds.promoting import Approval, Stage, settle
from tunekit.retrain.rounds.queueing import next_round, requested
from tunekit.retrain.rounds.records import Round, RoundState
from tunekit.retrain.rounds.rounds import Rounds
from tunekit.retrain.rounds.situation import reasons
from tunekit.retrain.rounds.sqlite import SqliteRoundStore
from tunekit.retrain.rounds.terms import Terms
from tunekit.retrain.rounds.training import stop_cancelled
from tunekit.retrain.rounds.triggers import Trigger
from tunekit.retrain.rounds.turns import turn
from tunekit.spec import Budget, TuneSpec
from tunekit.store.base import RunStore
from tunekit.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset

_log = logging.getLogger(__name__)


class Retrainer:
    """Retrains the model of a product: request, prepare, train, evaluate, gate, approve, promote.

    Every step is written down before the next, so a process may be killed at any moment: `run` with the same data, or
    `resume`, in this process or another, goes on where it stood. One request makes one training job, and one pipeline
    has one round at work; requests that come meanwhile wait, and the latest of them stands for all.

    By default each round starts from the base model, on all rows that were ever handed in. `start="champion"` goes on
    from the model in use, on the new rows and a replay of the old ones.

    Args:
        target: Where to train which base model.
        alias: What is moved: the product's name, or with another alias than "champion" behind it, `"support-bot@beta"`.
        evaluator: Today's test. The model in use and the new one are both asked it. Its rows are kept out of training.
        gate: What has to be shown before the alias is moved.
        spec: The recipe; None is `TuneSpec()`.
        tasks: Tests of earlier tasks, by name, for guardrails with `task=`.
        start: "base", or "champion" to go on from the model in use.
        history: Old rows in the training data: "all" of them, a `Replay`, or None for none, which makes models forget.
            "auto" is all of them from the base, and `Replay()` from the champion.
        baseline: What the first model has to beat, where nothing is in use: what `Evaluator.compare` takes. None is
            the base model as it is; for classifiers, the most frequent class.
        validation: Rows for metrics during training.
        approval: "auto" promotes what passed the gate, "manual" waits for `Rounds.approve`, "never" leaves it.
        rollout: Stages before the promotion that the host drives, such as `("shadow", "canary")`.
        budget: What a round may cost. Its money is the job's; its time, from the first row to the verdict.
        triggers: What `due` looks at.
        base_ends: First day on which the base model answers no more, as its host has announced; `BaseEnds` looks at it.
        code_version: Of your code, such as a commit; it stands in the registry.
        backend: A configured backend; None loads the installed one by name.
        registry: Where models are named; None takes the one of the settings.
        rounds: Where rounds are kept; None takes the one of the settings.
        store: Where jobs and leases are kept; None takes the one of the settings.
        settings: Knobs of the host; None reads the environment.
        poll_s: How often a round that another process works on is looked at, in seconds.

    Raises:
        RefError: The target or the alias is none.
        SpecError: Another argument is wrong, or the gate asks of what the tests do not measure.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import tunekit as tk
        >>> from tunekit.testing import ScriptedBackend
        >>> answer = lambda prompt: prompt  # what the tuned model does
        >>> rows = [{"prompt": f"{n}", "completion": f"{n}"} for n in range(400)]
        >>> retrainer = Retrainer(
        ...     "scripted:base",
        ...     alias="echo",
        ...     evaluator=tk.Evaluator(tk.Dataset.from_records(rows[:200])),
        ...     gate=tk.Gate(primary="exact_match", min_gain=0.01),
        ...     baseline=lambda prompt: "0",
        ...     backend=ScriptedBackend(generate=answer),
        ...     settings=Settings(home=Path(tempfile.mkdtemp())),
        ... )
        >>> done = retrainer.run(tk.Dataset.from_records(rows[200:]))
        >>> done.state, done.ref, done.amounts.new
        (<RoundState.PROMOTED: 'promoted'>, 'echo@1', 200)
    """

    def __init__(
        self,
        target: str | Target,
        *,
        alias: str,
        evaluator: Evaluator,
        gate: Gate,
        spec: TuneSpec | None = None,
        tasks: Mapping[str, Evaluator] | None = None,
        start: Start = "base",
        history: History | str = "auto",
        baseline: Side | None = None,
        validation: Dataset | None = None,
        approval: Approval = "auto",
        rollout: Sequence[Stage] = (),
        budget: Budget | None = None,
        triggers: Sequence[Trigger] = (),
        base_ends: date | None = None,
        code_version: str = "",
        backend: Backend | None = None,
        registry: Registry | None = None,
        rounds: RoundStore | None = None,
        store: RunStore | None = None,
        settings: Settings | None = None,
        poll_s: float = 1.0,
    ) -> None:
        settings = settings or Settings()
        name, _, which = arguments.text("alias", alias, such_as="support-bot").partition("@")
        start = arguments.one_of("start", start, ("base", "champion"))
        self.triggers = given.triggers(triggers)
        self._rounds: Rounds | None = None  # made when it is asked for: its clock is the backend's
        self._terms = Terms(
            pipeline=checked_name(name, "the alias"),
            alias=checked_name(which or CHAMPION, "the alias"),
            target=Target(target),
            spec=spec or TuneSpec(),
            evaluator=evaluator,
            gate=gate,
            tasks=given.tasks(tasks),
            start=start,
            history=_history(history, start),
            baseline=baseline,
            validation=validation,
            approval=arguments.one_of("approval", approval, ("auto", "manual", "never")),
            rollout=given.stages(rollout),
            budget=budget or Budget(),
            backend=backend,
            registry=registry or Registry(settings=settings),
            rounds=rounds or SqliteRoundStore(settings),
            runs=store or SqliteStore(settings),
            settings=settings,
            base_ends=base_ends,
            code_version=code_version,
            poll_s=poll_s,
        )

    @property
    def rounds(self) -> Rounds:
        """What was done, and the decisions that are the host's: approve, advance, decline, cancel, roll back, route."""
        if self._rounds is None:
            terms = self._terms
            self._rounds = Rounds(
                terms.pipeline,
                alias=terms.alias,
                registry=terms.registry,
                store=terms.rounds,
                settings=terms.settings,
                clock=terms.clock,
            )
        return self._rounds

    # --- doing it ---------------------------------------------------------------------------------------

    def request(
        self,
        data: Dataset | None = None,
        *,
        task: str = "",
        key: str = "",
        trigger: str = "manual",
        by: str = "",
    ) -> Round:
        """Write down what is asked for, and return at once; `resume`, in any process, does it.

        Args:
            data: Rows to add to those of the pipeline; None takes what there is.
            task: What they are of, where a pipeline learns several tasks one after the other.
            key: Of the request: the same key is the same round. "" takes a hash of data and terms, so that the same
                data, by the same terms, are one round.
            trigger: Why.
            by: Who asks.

        Raises:
            ConflictError: The key was used for another request.
            DataError: There are no rows, a check finds an error in them, or they were withdrawn: nothing is handed in.
            StorageError: It cannot be written down.
        """
        return _portal.run(
            self.request_async(data, task=task, key=key, trigger=trigger, by=by),
            instead="Retrainer.request_async",
        )

    async def request_async(
        self,
        data: Dataset | None = None,
        *,
        task: str = "",
        key: str = "",
        trigger: str = "manual",
        by: str = "",
    ) -> Round:
        """`request` for async code."""
        return await asyncio.to_thread(
            requested, self._terms, data, task=task, key=key, trigger=trigger, by=by
        )

    def run(
        self,
        data: Dataset | None = None,
        *,
        task: str = "",
        key: str = "",
        trigger: str = "manual",
        by: str = "",
        on_event: OnRoundEvent | None = None,
    ) -> Round:
        """Retrain, and return when the new model is promoted, or is not, or waits for the host.

        Args:
            data: As for `request`.
            task: As for `request`.
            key: As for `request`.
            trigger: As for `request`.
            by: As for `request`.
            on_event: Called with every transition, event of the job and progress of an evaluation, in this thread.
                What it raises is logged. Of a round that another process works on there is nothing to tell.

        Returns:
            The round. Where a later request came before this one had begun, that one's.

        Raises:
            ConflictError: The key was used for another request.
            TunekitError: The round has failed, and why; or it cannot go on now, and `run` or `resume` goes on with it
                later.
        """
        return telling.run(
            lambda tell: self.run_async(data, task=task, key=key, trigger=trigger, by=by, on_event=tell),
            on_event,
            instead="Retrainer.run_async",
        )

    async def run_async(
        self,
        data: Dataset | None = None,
        *,
        task: str = "",
        key: str = "",
        trigger: str = "manual",
        by: str = "",
        on_event: OnRoundEvent | None = None,
    ) -> Round:
        """`run` for async code; `on_event` is called on the event loop."""
        await self._settled()
        asked = await self.request_async(data, task=task, key=key, trigger=trigger, by=by)
        return raise_if_failed(await self._finished(asked.round_id, on_event))

    def resume(self, *, on_event: OnRoundEvent | None = None) -> Sequence[Round]:
        """Go on with whatever is asked for and not finished: call it when a service starts.

        Args:
            on_event: As for `run`.

        Returns:
            The rounds that were gone on with, as they stand now. One that failed is among them.

        Raises:
            TunekitError: A round cannot go on now.
        """
        return telling.run(
            lambda tell: self.resume_async(on_event=tell), on_event, instead="Retrainer.resume_async"
        )

    async def resume_async(self, *, on_event: OnRoundEvent | None = None) -> Sequence[Round]:
        """`resume` for async code."""
        await self._settled()
        at_work = [state for state in RoundState if state.is_at_work]
        open_ = await asyncio.to_thread(self.rounds.list, states=at_work, limit=None)
        if not open_:
            async with turn(self._terms.runs, self._terms.pipeline) as lease:
                if lease is not None:  # else somebody is at work, and does it
                    await stop_cancelled(Driver(terms=self._terms, token=lease.token, on_event=on_event))
        return [await self._finished(each.round_id, on_event) for each in reversed(open_)]

    # --- before it --------------------------------------------------------------------------------------

    def dry_run(self, data: Dataset | None = None, *, task: str = "") -> RoundPlan:
        """What `run` would do and cost, and what the gate could tell. Hands nothing in, asks nothing, moves nothing.

        Args:
            data: As for `request`.
            task: As for `request`.

        Raises:
            DataError: Nothing is left to train on.
        """
        return _portal.run(self.dry_run_async(data, task=task), instead="Retrainer.dry_run_async")

    async def dry_run_async(self, data: Dataset | None = None, *, task: str = "") -> RoundPlan:
        """`dry_run` for async code."""
        return await asyncio.to_thread(planning.plan, self._terms, data, task=task)

    def due(
        self, data: Dataset | None = None, *, measured: Mapping[str, float] | None = None
    ) -> tuple[str, ...]:
        """Why it is time to retrain, by the triggers; empty where it is not.

        Args:
            data: Rows that are there and were not handed in yet; they are only looked at.
            measured: What the model in use scores today, by scorer, for `MetricDrop`.
        """
        return _portal.run(self.due_async(data, measured=measured), instead="Retrainer.due_async")

    async def due_async(
        self, data: Dataset | None = None, *, measured: Mapping[str, float] | None = None
    ) -> tuple[str, ...]:
        """`due` for async code."""
        return await asyncio.to_thread(reasons, self._terms, self.triggers, data, measured or {})

    # --- inside -----------------------------------------------------------------------------------------

    async def _settled(self) -> None:
        """Rounds say what the alias says, whoever has moved it."""
        terms = self._terms
        mover = Mover(rounds=terms.rounds, clock=terms.clock)
        try:
            await asyncio.to_thread(settle, mover, terms.registry, terms.pipeline, terms.alias)
        except ConflictError as error:
            _log.info("somebody else brings the rounds in order: %s", error.message)

    async def _finished(self, round_id: str, on_event: OnRoundEvent | None) -> Round:
        terms = self._terms
        while True:
            round_ = await asyncio.to_thread(self.rounds.get, round_id)
            if round_.state is RoundState.COALESCED:
                round_id = round_.coalesced_into
                continue
            if not round_.state.is_at_work:
                return round_
            async with turn(terms.runs, terms.pipeline) as lease:
                if lease is not None:
                    await self._drive(Driver(terms=terms, token=lease.token, on_event=on_event), round_id)
                    continue
            await asyncio.sleep(terms.poll_s)

    async def _drive(self, driver: Driver, round_id: str) -> None:
        """Work on what comes next, which is this round or one before it."""
        await stop_cancelled(driver)
        upcoming = await asyncio.to_thread(next_round, driver.mover, self._terms)
        if upcoming is None:
            return
        try:
            await driver.see_through(upcoming)
        except TunekitError as error:
            stored = await asyncio.to_thread(self._terms.rounds.get, upcoming.round_id)
            if stored is None or stored.state.is_at_work:
                raise  # it cannot go on now, and nothing behind it can
            if stored.round_id != round_id:
                _log.warning("round %s has failed: %s", stored.round_id, error.message)


def _history(given: History | str, start: Start) -> History:
    if given == "auto":
        return "all" if start == "base" else Replay()
    if given is None or isinstance(given, Replay):
        return given
    return arguments.one_of("history", given, ("all", "auto"))  # type: ignore[return-value]
