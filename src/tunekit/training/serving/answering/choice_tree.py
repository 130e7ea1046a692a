"""Choices behind a prompt as one text, in which what some of them begin with stands once. Knows masks; no request.

A token of a choice sees the prompt and what stands before it in that choice, and is told its position there. So one
forward pass says what a pass for each choice would, without a copy of the prompt's keys and values for any of them.
Models whose layers heed more than masks and positions would answer otherwise: it is tried out which do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tunekit.training.models.attention import close, sees_all_before

_TOKENS = 1 << 12  # of a prompt and its choices: the mask has the square of that
_LOGITS = 1 << 26  # 256 MB in fp32


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceTree:
    """A prompt, and behind it each token of a choice that another one follows.

    Attributes:
        ids: The tokens, prompt first.
        before: For each token of a choice, the place of the one that it follows.
        paths: For each choice, the places that its tokens are predicted from.
    """

    ids: list[int]
    before: list[int]
    paths: list[list[int]]

    @classmethod
    def of(cls, prompt: Sequence[int], choices: Sequence[Sequence[int]]) -> ChoiceTree:
        """The tree of some choices; neither they nor the prompt are empty."""
        places: dict[tuple[int, int], int] = {}
        paths = []
        for choice in choices:
            path = [len(prompt) - 1]
            for token in choice[:-1]:
                path.append(places.setdefault((path[-1], token), len(prompt) + len(places)))
            paths.append(path)
        return cls(
            ids=[*prompt, *(token for _, token in places)],
            before=[place for place, _ in places],
            paths=paths,
        )

    def logits(self, model: Any) -> torch.Tensor:
        """What the model says behind the prompt and behind each token of a choice, in order."""
        hidden, positions = self._hidden(model.device), self._positions()
        mask = torch.zeros(hidden.shape, dtype=model.dtype, device=model.device)
        said: torch.Tensor = model(
            input_ids=torch.tensor([self.ids], device=model.device),
            # Numbers to be added: attention that is written out in Python takes no booleans.
            attention_mask=mask.masked_fill_(hidden, torch.finfo(mask.dtype).min)[None, None],
            position_ids=torch.tensor([positions], device=model.device),
            use_cache=False,
            logits_to_keep=len(self.before) + 1,
        ).logits
        return said[0]

    def log_probs(self, logits: torch.Tensor, choices: Sequence[Sequence[int]]) -> list[float]:
        """Summed log-probability of each choice, from `logits`."""
        first = len(self.ids) - len(self.before) - 1
        rows = torch.tensor([place - first for path in self.paths for place in path], device=logits.device)
        tokens = torch.tensor([token for choice in choices for token in choice], device=logits.device)
        exact = logits.float()
        found = exact[rows, tokens] - exact.logsumexp(dim=-1)[rows]
        return [float(part.sum()) for part in found.cpu().split([len(path) for path in self.paths])]

    def _hidden(self, device: torch.device) -> torch.Tensor:
        """Whom each token does not see, bool, shape (tokens, tokens)."""
        sees = torch.ones((len(self.ids), len(self.ids)), dtype=torch.bool).tril_()
        for place, before in enumerate(self.before, start=len(self.ids) - len(self.before)):
            sees[place] = sees[before]
            sees[place, place] = True
        return sees.logical_not_().to(device)

    def _positions(self) -> list[int]:
        """Where each token stands in its own text."""
        positions = list(range(len(self.ids) - len(self.before)))
        for before in self.before:
            positions.append(positions[before] + 1)
        return positions


def takes_trees(model: Any) -> bool:
    """Whether a tree gives what each choice alone gives. Tried out, since no configuration tells.

    Args:
        model: A decoder-only model in evaluation mode.
    """
    vocabulary = model.config.get_text_config().vocab_size
    prompt, choices = [0, 1, 2], [[3, 4, 5, 6], [3, 4, 7, 4], [8, 9, 4, 3]]
    prompt, *choices = ([token % vocabulary for token in tokens] for tokens in (prompt, *choices))
    tree = ChoiceTree.of(prompt, choices)
    try:
        together = tree.logits(model)
    except (TypeError, ValueError, IndexError, RuntimeError, AttributeError):
        return False
    texts = torch.tensor([prompt + choice[:-1] for choice in choices], device=model.device)
    apart = model(input_ids=texts, use_cache=False, logits_to_keep=len(choices[0])).logits
    rows = torch.tensor(tree.paths, device=model.device) - (len(prompt) - 1)
    return close(together[rows], apart)


def fits(model: Any, prompt: Sequence[int], choices: Sequence[Sequence[int]]) -> bool:
    """Whether memory bears their tree, and every token may see all before it in every layer."""
    config = model.config.get_text_config()
    behind, longest = sum(map(len, choices)), len(prompt) + max(map(len, choices))
    return (
        len(prompt) + behind <= _TOKENS
        and behind * config.vocab_size <= _LOGITS
        and sees_all_before(config, longest)
    )
