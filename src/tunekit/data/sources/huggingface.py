"""Rows of `datasets` objects, and of datasets on the Hugging Face hub. Knows their splits and features; runs no code.

A dataset repository may hold a script; it is never run. Its data files are downloaded and read like any file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from tunekit.data import arguments
from tunekit.data.readers.plain import plain
from tunekit.data.wording import brief, listed
from tunekit.errors import DataError, MissingExtraError, NotFoundError, SpecError, TunekitError

_SUFFIXES = (".parquet", ".arrow", ".jsonl", ".json", ".csv", ".tsv", ".jsonl.gz", ".jsonl.zst", ".json.gz")
_CONVERTED = "refs/convert/parquet"
"""Branch on which the hub keeps its own Parquet copy of most datasets."""


class HuggingFaceRecords:
    """Rows of a `datasets` object, class labels by their names. A stream stays one, and is read anew each time.

    Args:
        dataset: A `Dataset`, an `IterableDataset`, or a dictionary of them.
        split: Which of a dictionary; needed where it has several.

    Raises:
        SpecError: It is no such object, or has no such split.
    """

    def __init__(self, dataset: Any, split: str | None) -> None:
        self._dataset = _split_of(dataset, arguments.optional_text("split", split, such_as="train"))
        if not hasattr(self._dataset, "features") or not hasattr(self._dataset, "__iter__"):
            raise SpecError(
                f"expected a dataset of the package `datasets`, found {type(dataset).__name__!r}",
                hint="from_records takes any iterable of dictionaries",
            )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = _label_names(self._dataset.features or {})
        for row in self._dataset:
            yield {key: names[key](value) if key in names else plain(value) for key, value in row.items()}


class HubRecords:
    """Rows of a dataset on the hub, from its data files. Downloaded once, into the hub's own cache.

    Args:
        repo: Such as `"PolyAI/banking77"`.
        split: Which split.
        config: Which configuration, where there are several.
        revision: Branch, tag or commit.
    """

    def __init__(self, repo: str, split: str, config: str | None, revision: str | None) -> None:
        self._repo = arguments.text("repo", repo, such_as="PolyAI/banking77")
        self._split = arguments.text("split", split, such_as="train")
        self._config = arguments.optional_text("config", config, such_as="default")
        self._revision = arguments.optional_text("revision", revision, such_as="main")

    def __iter__(self) -> Iterator[Any]:
        from tunekit.data.readers.base import Notes, ReadOptions
        from tunekit.data.sources.file import FileSource

        for path in self._paths():
            with FileSource(path, None, ReadOptions()).opened(Notes()) as rows:
                for _, value in rows:
                    if isinstance(value, DataError):
                        raise value
                    yield value

    def _paths(self) -> list[str]:
        try:
            import huggingface_hub
        except ImportError:
            raise MissingExtraError("huggingface_hub", extra="local") from None
        files: list[str] = []
        with _hub_errors(self._repo):
            for revision in (self._revision,) if self._revision else (None, _CONVERTED):
                files = huggingface_hub.list_repo_files(self._repo, repo_type="dataset", revision=revision)
                chosen = data_files(files, self._split, self._config)
                if chosen:
                    return [
                        huggingface_hub.hf_hub_download(
                            self._repo, name, repo_type="dataset", revision=revision
                        )
                        for name in chosen
                    ]
        of = f" of the configuration {self._config!r}" if self._config else ""
        raise NotFoundError(
            f"the dataset {self._repo!r} has no data files for the split {self._split!r}{of}",
            hint=f"its files are {listed(sorted(files))}; pass split= and config=, or load one of them",
        )


def data_files(files: list[str], split: str, config: str | None) -> list[str]:
    """The data files of a split, in order, by the names that the hub's documentation gives them.

    Raises:
        SpecError: Several configurations have this split, and none was named.

    Examples:
        >>> data_files(["README.md", "data/test-0-of-1.parquet", "data/train-0-of-1.parquet"], "test", None)
        ['data/test-0-of-1.parquet']
    """
    named = re.compile(rf"(?:^|[/._-]){re.escape(split)}(?:[/._-]|$)")
    found = [name for name in sorted(files) if name.endswith(_SUFFIXES) and named.search(name)]
    if config is not None:
        return [name for name in found if config in PurePath(name).parts[:-1]]
    folders = sorted(
        {PurePath(name).parts[0] for name in found if len(PurePath(name).parts) > 1} - {"data", split}
    )
    if len(folders) > 1:
        if "default" in folders:
            return [name for name in found if PurePath(name).parts[0] == "default"]
        raise SpecError(
            f"the split {split!r} is in {listed(folders)}", hint=f"pass config={folders[0]!r} or another"
        )
    return found


def _split_of(dataset: Any, split: str | None) -> Any:
    if not isinstance(dataset, Mapping):
        if split is not None:
            raise SpecError(f"split is {split!r}, and this is one split", hint="leave split= out")
        return dataset
    if not dataset:
        raise SpecError(f"dataset is {brief(dataset)}, which has no split", hint="load it again")
    if split is None and len(dataset) == 1:
        return next(iter(dataset.values()))
    if split not in dataset:
        said = "no split was named" if split is None else f"there is no split {split!r}"
        raise SpecError(said, hint=f"pass split= with one of {listed(map(str, dataset))}")
    return dataset[split]


def _label_names(features: Mapping[str, Any]) -> dict[str, Callable[[Any], Any]]:
    """For each column of class labels, what turns its numbers into names."""
    found: dict[str, Callable[[Any], Any]] = {}
    for column, feature in features.items():
        names = getattr(feature, "names", None)
        inner = getattr(getattr(feature, "feature", None), "names", None)
        if names:
            found[column] = _namer(names)
        elif inner:
            found[column] = _list_namer(inner)
    return found


def _list_namer(names: list[str]) -> Callable[[Any], Any]:
    name = _namer(names)
    return lambda values: [name(value) for value in values or []]


def _namer(names: list[str]) -> Callable[[Any], Any]:
    # -1 is what datasets writes for a row without a label.
    return lambda value: names[value] if isinstance(value, int) and 0 <= value < len(names) else None


@contextmanager
def _hub_errors(repo: str) -> Iterator[None]:
    """What the hub's client raises, as our own errors."""
    try:
        yield
    except TunekitError:
        raise
    except Exception as error:
        name = type(error).__name__
        if name in ("RepositoryNotFoundError", "RevisionNotFoundError", "GatedRepoError"):
            raise NotFoundError(
                f"the hub has no dataset {repo!r} that may be read here ({name})",
                hint="check the name and the revision; for a private or gated one, set HF_TOKEN",
            ) from None
        raise DataError(
            f"the hub cannot be reached: {name}",
            path=repo,
            hint="check the network, and that the hub answers",
        ) from error
