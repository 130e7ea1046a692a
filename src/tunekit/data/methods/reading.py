"""From files, records, frames and the hub. Knows the arguments that users give; not how any format is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from tunekit.data import arguments
from tunekit.data.loading import OnError, Plan
from tunekit.data.methods.base import Examples
from tunekit.data.recognise import Format
from tunekit.data.shapes import Columns

if TYPE_CHECKING:
    import pandas
    import polars

Kind = Literal["completion", "labelled", "prompt"]
LabelNames = Mapping[Any, str] | Sequence[str]


class Reading(Examples):
    """Constructors that read. `Dataset` holds what they give; `DatasetStream` reads it anew each time."""

    __slots__ = ()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        input: str | None = None,
        target: str | Sequence[str] | None = None,
        kind: Kind | None = None,
        shape: str | None = None,
        label_names: LabelNames | None = None,
        label_separator: str | None = None,
        format: Format | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        quoting: bool | Literal["backslash"] | None = None,
        header: bool | int | Sequence[str] | None = None,
        sheet: str | int | None = None,
        part: str | None = None,
        unit: Literal["line", "paragraph", "document"] | None = None,
        limit: int | None = None,
        on_error: OnError = "raise",
    ) -> Self:
        r"""Read a file of examples.

        Format, encoding, dialect, header and record shape are recognised by content; `source` says what was taken for
        what, `check` lists the guesses, and every one can be overridden. Tables (CSV, TSV, semicolons, XLSX, ODS),
        JSON (arrays, objects of columns or of splits), JSON lines, Parquet, Arrow, plain text; gzip and zstd around
        any of them. Record shapes are listed in the docs; columns and keys that mean nothing to the shape go to `meta`.

        Args:
            path: The file.
            input: Column or key with what the model reads, or a template of several, such as
                `"{premise} -> {hypothesis}"`.
            target: Column or key with what the model should answer; several columns of 0 and 1 are labels.
            kind: What a row with `input` and `target` becomes; `"completion"` unless told.
            shape: Name of the record shape, where recognition would be wrong.
            label_names: Names of labels that are written as numbers: a list, or a mapping from what is written.
            label_separator: What stands between the labels of a cell that holds several.
            format: Of the file, where recognition would be wrong.
            encoding: Of the text.
            delimiter: Between the cells of a table.
            quoting: Whether cells of a table may stand in double quotes; `"backslash"` where a quote inside them
                has one before it and is not written twice.
            header: Whether the first row names the columns, which row (from 1) does, or the names themselves.
            sheet: Sheet of a workbook, by name or position from 1; the first with a table unless told.
            part: Which split of a file with several.
            unit: What one row of a plain text is.
            limit: Stop after so many examples from the top. For a random part use `sample`.
            on_error: `"raise"` at rows that cannot be used, or `"skip"` and list them in `skipped`.

        Raises:
            DataError: With path, line and field: the file cannot be read, is no data, or a row is wrong.
            MissingExtraError: The format needs a package that is not installed.
            SpecError: An argument is wrong.

        Examples:
            >>> import pathlib, tempfile
            >>> from tunekit import Dataset
            >>> path = pathlib.Path(tempfile.mkdtemp(), "tickets.csv")
            >>> _ = path.write_text("text,label,day\nWhere is my parcel?,delivery,Mon\n")
            >>> data = Dataset.load(path, input="text", target="label")
            >>> data[0].completion, data[0].id, data[0].meta
            ('delivery', 'tickets.csv:2', {'day': 'Mon'})
        """
        from tunekit.data.sources.file import FileSource

        columns = Columns.of(input, target, kind, label_names, label_separator)
        source = FileSource.of(
            path,
            format=format,
            encoding=encoding,
            delimiter=delimiter,
            quoting=quoting,
            header=header,
            sheet=sheet,
            part=part,
            unit=unit,
            columns=columns,
        )
        return cls._read(source, Plan.of(columns, shape, limit, on_error))

    @classmethod
    def from_records(
        cls,
        records: Iterable[Any],
        *,
        input: str | None = None,
        target: str | Sequence[str] | None = None,
        kind: Kind | None = None,
        shape: str | None = None,
        label_names: LabelNames | None = None,
        label_separator: str | None = None,
        name: str = "records",
        limit: int | None = None,
        on_error: OnError = "raise",
    ) -> Self:
        """The same as `load` for dictionaries that are already in memory, or that any iterable makes.

        Args:
            records: Dictionaries of any shape that `load` reads; tuples are rows without names of columns.
            input: As for `load`.
            target: As for `load`.
            kind: As for `load`.
            shape: As for `load`.
            label_names: As for `load`.
            label_separator: As for `load`.
            name: First part of the row ids; the second is the position, from 1.
            limit: As for `load`.
            on_error: As for `load`.

        Raises:
            DataError: A record cannot be used; its `line` is the position, from 1.
            SpecError: An argument is wrong.

        Examples:
            >>> from tunekit import Dataset
            >>> Dataset.from_records([{"q": "2+2", "a": "4"}], input="q", target="a")[0].id
            'records:1'
        """
        from tunekit.data.sources.records import RecordSource

        columns = Columns.of(input, target, kind, label_names, label_separator)
        source = RecordSource(records, arguments.text("name", name, such_as="tickets"))
        return cls._read(source, Plan.of(columns, shape, limit, on_error))

    @classmethod
    def from_pandas(cls, frame: pandas.DataFrame, *, name: str = "frame", **options: Any) -> Self:
        """Rows of a pandas frame; NaN is an empty cell, the index is left out.

        Args:
            frame: The frame.
            name: First part of the row ids.
            **options: As for `from_records`.

        Raises:
            DataError: A row cannot be used.
            SpecError: It is no pandas frame, or another argument is wrong.
        """
        return cls._from_frame("pandas", frame, name, options)

    @classmethod
    def from_polars(
        cls, frame: polars.DataFrame | polars.LazyFrame, *, name: str = "frame", **options: Any
    ) -> Self:
        """Rows of a polars frame; a lazy one is read in pieces.

        Args:
            frame: The frame.
            name: First part of the row ids.
            **options: As for `from_records`.

        Raises:
            DataError: A row cannot be used.
            SpecError: It is no polars frame, or another argument is wrong.
        """
        return cls._from_frame("polars", frame, name, options)

    @classmethod
    def _from_frame(cls, package: str, frame: Any, name: str, options: Mapping[str, Any]) -> Self:
        from tunekit.data.sources.frames import RECORDS

        return cls.from_records(RECORDS[package](frame), name=name, **options)

    @classmethod
    def from_huggingface(
        cls, dataset: Any, *, split: str | None = None, name: str = "dataset", **options: Any
    ) -> Self:
        """Rows of a `datasets` object. Class labels get their names; an iterable one stays a stream in a stream.

        Args:
            dataset: A `Dataset`, `IterableDataset`, or a dictionary of them.
            split: Which of a dictionary.
            name: First part of the row ids.
            **options: As for `from_records`.

        Raises:
            DataError: A row cannot be used.
            SpecError: It is no such object, or has no such split.
        """
        from tunekit.data.sources.huggingface import HuggingFaceRecords

        return cls.from_records(HuggingFaceRecords(dataset, split), name=name, **options)

    @classmethod
    def from_hub(
        cls,
        repo: str,
        *,
        split: str = "train",
        config: str | None = None,
        revision: str | None = None,
        **options: Any,
    ) -> Self:
        """Rows of a dataset on the Hugging Face hub: its data files only, never its code.

        Args:
            repo: Such as `"PolyAI/banking77"`.
            split: Which split.
            config: Which configuration, where there are several.
            revision: Branch, tag or commit; a commit makes it repeatable.
            **options: As for `from_records`.

        Raises:
            NotFoundError: There is no such dataset, split or configuration.
            DataError: A row cannot be used.
            MissingExtraError: `huggingface_hub` is not installed.
        """
        from tunekit.data.sources.huggingface import HubRecords

        records = HubRecords(repo, split, config, revision)
        return cls.from_records(records, **{"name": repo.rpartition("/")[2], **options})

    @classmethod
    def from_parallel(
        cls,
        input_path: str | os.PathLike[str],
        target_path: str | os.PathLike[str],
        *,
        encoding: str | None = None,
        limit: int | None = None,
        on_error: OnError = "raise",
    ) -> Self:
        """Two files of which line n of the second answers line n of the first, as translation corpora come.

        Args:
            input_path: What the model reads.
            target_path: What it should answer.
            encoding: Of both; UTF-8 unless told.
            limit: As for `load`.
            on_error: As for `load`.

        Raises:
            DataError: One has more lines than the other, or a line cannot be used.
        """
        from tunekit.data.sources.parallel import ParallelSource

        columns = Columns.of("input", "target", "completion")
        source = ParallelSource(input_path, target_path, encoding=encoding)
        return cls._read(source, Plan.of(columns, None, limit, on_error))
