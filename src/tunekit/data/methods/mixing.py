"""Several tasks in one dataset: mixed, replayed, told apart. Knows what users ask; `splitting` knows how."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from tunekit.data import arguments
from tunekit.data.splitting import mixture, replay, task_keys
from tunekit.data.splitting.mixture import MixPart
from tunekit.data.splitting.replay_report import ReplayReport
from tunekit.data.splitting.task_keys import Where
from tunekit.examples import Example

if TYPE_CHECKING:
    from tunekit.data.loading import Found


class Mixing(Sequence[Example]):
    """New datasets out of the rows of several tasks. Where and how a model is trained makes no difference to them."""

    __slots__ = ()

    @classmethod
    @abstractmethod
    def _of(cls, examples: Iterable[Example], found: Found) -> Self:
        """A dataset of other rows."""

    @classmethod
    def mix(
        cls,
        parts: Mapping[str, Self],
        *,
        size: int | None = None,
        weights: Mapping[str, float] | None = None,
        temperature: float = 1.0,
        cap: int | None = None,
        max_repeats: int = 1,
        task_key: str = "task",
        seed: int = 0,
    ) -> tuple[Self, tuple[MixPart, ...]]:
        """Mix several tasks into one dataset, in an order that a hash decides.

        Shares are proportional to `min(rows, cap) ** (1 / temperature)` (Raffel et al. 2020, arXiv 1910.10683, section
        3.5.2), or to `weights`. Each row keeps its id behind the task's name (`"faq/faq.csv:12"`; a second use ends in
        `"#2"`), and gets the task's name into its meta.

        Args:
            parts: Datasets by the name of their task.
            size: Rows of the mix; unless told, as many as fit the shares without using a row twice.
            weights: Shares by task, in place of those by size; tasks left out get none.
            temperature: 1 is proportional to size; more favours small tasks.
            cap: Rows at which a task stops counting as larger.
            max_repeats: How often a row may be used at most. More than 1 must be said.
            task_key: Meta column for the task's name.
            seed: Another seed draws and orders otherwise.

        Returns:
            The mix, and for each task how many rows it has, how many were taken, and how often the most used one is.

        Raises:
            SpecError: An argument is wrong, or a row would be used more often than `max_repeats`.

        Examples:
            >>> import tunekit as tk
            >>> big, small = ([{"prompt": f"{n} {i}", "completion": "x"} for i in range(n)] for n in (90, 10))
            >>> parts = {"big": tk.Dataset.from_records(big), "small": tk.Dataset.from_records(small)}
            >>> mixed, report = tk.Dataset.mix(parts, size=40, temperature=2.0)
            >>> {part.task: part.taken for part in report}
            {'big': 30, 'small': 10}
        """
        from tunekit.data.loading import Found

        given = arguments.mapping("parts", parts, such_as="{'faq': faq, 'chat': chat}")
        examples, report = mixture.mixed(
            {task: tuple(arguments.OnlyExamples(f"parts[{task!r}]", rows)) for task, rows in given.items()},
            size=size,
            weights=weights,
            temperature=temperature,
            cap=cap,
            max_repeats=max_repeats,
            task_key=task_key,
            seed=seed,
        )
        return cls._of(examples, Found(name="mix")), report

    def with_replay(
        self,
        old: Sequence[Example] | Mapping[str, Sequence[Example]],
        share: float = 0.05,
        *,
        floor: int = 2,
        by: replay.By = "auto",
        task: str | None = None,
        task_key: str = "task",
        seed: int = 0,
    ) -> tuple[Self, ReplayReport]:
        """These new rows with a few rows of earlier tasks among them, so that learning them forgets less.

        Old rows are taken by task and label: each label has its share of them by largest remainder, and at least
        `floor`, or all that it has. What the floors take goes off the shares of other labels; only where the floors
        alone are more than `share` does the mix have more old rows than that, and the report says so. An old row whose
        input is in the new data is not replayed: it is learned anyhow, or was answered anew.

        Which rows are taken depends on their content and the seed alone, on every machine; more old rows move few of
        those that were taken before. New rows keep their ids; replayed ones have theirs behind the task's name
        (`"refunds/refunds.csv:12"`), and the task in their meta.

        Args:
            old: Datasets by the name of their task; or one dataset, whose rows name theirs in their meta (those that do
                not are of the task "old").
            share: Of the mix that is old rows, from 0 up and below 1: `len(self) * share / (1 - share)` rows, to the
                nearest whole number, halves up, at least 1. 0 replays nothing, whatever the floor.
            floor: Rows of each old label, at least; of each old task where rows have no labels.
            by: `"auto"` takes labels, and what looks like them (completions, or the one answer of a chat, few and
                short); False tells old rows apart by task alone; a function gives the label of an example.
            task: Name of the new rows' task, for the meta of those that have none; None leaves them as they are.
            task_key: Meta column of the task's name.
            seed: Another seed draws and orders otherwise.

        Returns:
            The mix, in an order that hashes decide, and a report for each task and label.

        Raises:
            SpecError: An argument is wrong, or there are no old rows and `share` is not 0.

        Examples:
            >>> import tunekit as tk
            >>> old = [{"text": f"mail {n}", "label": "spam" if n % 50 == 0 else "ham"} for n in range(1000)]
            >>> new = [{"text": f"review {n}", "label": "good" if n % 2 else "bad"} for n in range(190)]
            >>> mails, reviews = (tk.Dataset.from_records(rows, input="text", target="label") for rows in (old, new))
            >>> mix, report = reviews.with_replay({"mails": mails}, task="reviews")
            >>> len(mix), {part.label: part.taken for part in report.parts}
            (200, {'ham': 8, 'spam': 2})
        """
        from tunekit.data.loading import Found

        arguments.text("task_key", task_key, such_as="task")
        given = (
            arguments.mapping("old", old, such_as="{'refunds': refunds}")
            if isinstance(old, Mapping)
            else replay.by_task(tuple(arguments.OnlyExamples("old", old)), task_key)
        )
        examples, report = replay.replayed(
            self,
            {name: tuple(arguments.OnlyExamples(f"old[{name!r}]", rows)) for name, rows in given.items()},
            share,
            floor=floor,
            by=by,
            task=task,
            task_key=task_key,
            seed=seed,
        )
        return self._of(examples, Found(name="replay")), report

    def with_task(
        self,
        key: str = "{task}: ",
        *,
        where: Where = "input",
        task: str | None = None,
        task_key: str = "task",
    ) -> Self:
        """The same rows with the name of their task in what the model reads, so that one model can serve several.

        Call it with the same arguments on training data and on test sets; `tunekit.retrain.multitask.ask` does the same
        to a question of your product. All three go through one function, so that no character differs.

        Args:
            key: What is written, with `{task}` for the name.
            where: `"input"` puts it before the prompt, the text, or the first user turn; `"system"` makes it the system
                message of a chat, or its first paragraph.
            task: Name of the task of all rows; None takes that in their meta, as `mix` and `with_replay` leave it.
            task_key: Meta column of the task's name.

        Raises:
            SpecError: An argument is wrong.
            DataError: A row names no task, has the key already, or has no place for it.

        Examples:
            >>> import tunekit as tk
            >>> rows = tk.Dataset.from_records([{"prompt": "My parcel is late", "completion": "delivery"}])
            >>> rows.with_task("{task} | ", task="topic")[0].prompt
            'topic | My parcel is late'
        """
        from tunekit.data.loading import Found

        keyed = task_keys.keyed(self, key, where=where, task=task, task_key=task_key)
        return self._of(keyed, Found(name="tasks"))
