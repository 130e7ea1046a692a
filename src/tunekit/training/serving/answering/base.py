"""What `generate` needs of a family: prompts and choices in tokens, logits, log-probabilities. It cuts no batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tunekit.data.wording import brief
from tunekit.errors import TOO_LONG, InvalidError
from tunekit.training.models.load import LoadedModel
from tunekit.training.serving.continuing import Texts
from tunekit.training.texts.render import ResolvedFormat


@dataclass(frozen=True)
class Answering(ABC):
    """A loaded model that answers the way of its family.

    Attributes:
        loaded: Model, tokenizer and how prompts are written for it.

    Class attributes:
        write_prompt: How a prompt becomes tokens, as `render.render_prompt`.
        write_answer: How an answer to it does, as `render.render_answer`.
    """

    loaded: LoadedModel

    write_prompt: ClassVar[Callable[..., list[int]]]
    write_answer: ClassVar[Callable[..., list[int]]]

    def prompt_ids(self, request: Mapping[str, Any]) -> list[int]:
        """Token ids of a request's prompt.

        Raises:
            InvalidError: It is empty, or leaves no room for an answer.
        """
        loaded, tools = self.loaded, request.get("tools", ())
        ids = self.write_prompt(loaded.template, request["prompt"], self.prompt_format(request), tools=tools)
        if not ids:
            raise InvalidError("the prompt is empty", hint="give the model at least one token to start from")
        if self.room(len(ids)) < 1:
            raise InvalidError(
                f"a prompt of {len(ids)} tokens leaves no room for an answer in a context of {self.loaded.max_length}",
                hint="shorten the prompt; nothing is cut silently",
                details={"code": TOO_LONG, "tokens": len(ids), "max_length": self.loaded.max_length},
            )
        return ids

    def prompt_format(self, request: Mapping[str, Any]) -> ResolvedFormat:
        """How a request's prompt is written, if it is a plain text: as in training, or as it is where that is asked."""
        return "text" if request.get("continues") else self.loaded.prompt_format

    def choice_ids(self, request: Mapping[str, Any], choice: str, prompt: Sequence[int]) -> list[int]:
        """Token ids of an answer to a request's prompt, stop token included.

        Raises:
            InvalidError: It is empty or does not fit.
        """
        loaded, tools = self.loaded, request.get("tools", ())
        ids = self.write_answer(
            loaded.template, choice, request["prompt"], loaded.prompt_format, tools=tools, prompt_ids=prompt
        )
        if not choice or not ids:
            raise InvalidError(f"choice {brief(choice)} has no tokens", hint="leave empty choices out")
        if len(ids) > self.room(len(prompt)):
            raise InvalidError(
                f"prompt and choice {brief(choice)} take {len(prompt) + len(ids)} tokens, more than the model's context"
                f" of {self.loaded.max_length}",
                hint="shorten the prompt; nothing is cut silently",
            )
        return ids

    def continued(self, request: Mapping[str, Any], prompt: Sequence[int]) -> Sequence[int]:
        """Tokens of the text that an answer goes on with; none where it is a text of its own."""
        return ()

    @abstractmethod
    def room(self, prompt: int) -> int:
        """Tokens that an answer to a prompt of `prompt` tokens may take."""

    @abstractmethod
    def begin(self, prompts: list[list[int]]) -> Texts:
        """Read prompts, and be ready to write behind each."""

    @abstractmethod
    def log_probs(self, prompt: list[int], choices: list[list[int]]) -> list[float]:
        """Summed log-probability (nats) of each choice after the prompt, which is computed once."""
