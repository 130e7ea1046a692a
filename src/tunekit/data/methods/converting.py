"""From one example kind to another, and to records of any shape. Knows what users ask; `shapes.convert` knows how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self

from tunekit.data import arguments
from tunekit.data.methods.base import Examples
from tunekit.data.shapes import convert
from tunekit.examples import Example


class Converting(Examples):
    """Each method gives the same rows, with the same ids, as another kind; where that has no meaning it says so."""

    __slots__ = ()

    def to_chat(self, system: str | None = None) -> Self:
        """Every row as a chat: prompts become user turns, completions assistant turns.

        Args:
            system: A system message to begin each chat with that has none.

        Raises:
            DataError: A row cannot be a chat; it names the row and why.

        Examples:
            >>> from tunekit import Dataset
            >>> chats = Dataset.from_records([{"prompt": "2+2", "completion": "4"}]).to_chat(system="Be brief.")
            >>> [turn.role for turn in chats[0].messages]
            ['system', 'user', 'assistant']
        """
        said = arguments.optional_text("system", system, such_as="Be brief.")
        return self._through(_each(lambda example: convert.to_chat(example, system=said)))

    def to_completion(self) -> Self:
        """Every row as a prompt with its completion.

        Raises:
            DataError: A row has several turns, tools or labels, which one prompt and one completion cannot hold.
        """
        return self._through(_each(convert.to_completion))

    def to_labelled(self) -> Self:
        """Every row as a text with its label.

        Raises:
            DataError: A row's answer is no label.
        """
        return self._through(_each(convert.to_labelled))

    def to_prompt(self) -> Self:
        """Every row as a prompt to be graded, its answer as the reference (RFT).

        Raises:
            DataError: A row does not end with one answer.
        """
        return self._through(_each(convert.to_prompt))

    def to_unpaired(self) -> Self:
        """Preferences as two rows each, one desirable and one not; other rows as desirable ones.

        Raises:
            DataError: A row has no answer.
        """
        return self._through(convert.to_unpaired)

    def to_preference(self) -> Self:
        """Unpaired rows of the same prompt as pairs of a desirable and an undesirable answer.

        Raises:
            DataError: A row has no verdict, or a prompt has answers of one verdict only.
        """
        return self._through(convert.to_preference)

    def to_text(self) -> Self:
        """Every row as raw text, all of which is learned: prompt and completion, or the segments, end to end.

        Raises:
            DataError: A row has turns or labels, which are no text before a template has made them one.
        """
        return self._through(_each(convert.to_text))

    def to_segments(self) -> Self:
        """Every row as segments: the prompt is read, the completion is learned.

        Raises:
            DataError: A row is no prompt with its completion and cannot become one.

        Examples:
            >>> from tunekit import Dataset
            >>> rows = Dataset.from_records([{"prompt": "2+2=", "completion": "4"}]).to_segments()
            >>> [segment.learn for segment in rows[0].segments]
            [False, True]
        """
        return self._through(_each(convert.to_segments))

    def to_records(self, shape: str = "tunekit") -> Iterator[dict[str, Any]]:
        """Every row as a dictionary of a record shape, one at a time.

        Args:
            shape: Its name, such as `"openai"`, `"alpaca"` or `"sharegpt"`.

        Raises:
            SpecError: There is no such shape.
            DataError: The shape cannot hold a row; it names the row and why.
        """
        from tunekit.data.shapes.catalogue import shape as named

        return map(named(shape).write, self)


def _each(function: Any) -> Any:
    def step(examples: Iterable[Example]) -> Iterator[Example]:
        return map(function, examples)

    return step
