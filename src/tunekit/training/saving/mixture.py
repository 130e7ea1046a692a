"""The record of a model that was mixed from others: its parts, its files. Knows one file, `mixture.json`; no tensor.

It lies beside the card of the artifact and names every other file there with size and SHA-256.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tunekit import _files
from tunekit.errors import ModelError
from tunekit.spec import parse_model

MIXTURE_NAME = "mixture.json"


class FileFacts(BaseModel):
    """What one file must be.

    Attributes:
        size: In bytes.
        sha256: Of its content, in hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    sha256: str


class Ingredient(BaseModel):
    """One of the models that went into a mixture.

    Attributes:
        model: What it was called, such as `"local:run-9f2c"`.
        fingerprint: Of its files; of a hub model its id.
        weight: Its share of every weight; those of all ingredients add up to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    fingerprint: str
    weight: float


class Mixture(BaseModel):
    """What a mixed model consists of.

    Attributes:
        run_id: The name that it has among local runs; the same ingredients and weights give the same name.
        ingredients: What went in, the one that configuration and tokenizer were taken from first.
        files: Every file of the artifact but this record, by name.
        notes: What whoever uses it should know.

    Examples:
        >>> whole = Ingredient(model="local:run-9f2c", fingerprint="c0ffee", weight=1.0)
        >>> Mixture(run_id="run-1", ingredients=(whole,), files={}).ingredients[0].weight
        1.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    run_id: str
    ingredients: tuple[Ingredient, ...]
    files: dict[str, FileFacts]
    notes: tuple[str, ...] = ()


def read_mixture(artifact: Path) -> Mixture:
    """The record of an artifact, once every file that it names was hashed again.

    Raises:
        ModelError: There is none, it is damaged, or a file is not what it says.
        StorageError: A file cannot be read.
    """
    path = artifact / MIXTURE_NAME
    with _files.storage_errors(f"cannot read {str(path)!r}"):
        try:
            text = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise ModelError(
                f"{str(artifact)!r} was not mixed from other models: it has no {MIXTURE_NAME}",
                hint="point at a model that blend() or merge_siblings() returned",
            ) from None
    try:
        mixture: Mixture = parse_model(Mixture, text)
    except ValueError as error:
        raise ModelError(f"{str(path)!r} is damaged: {error}", hint="mix the models again") from error
    found = facts_of(artifact)
    if found != mixture.files:
        name = min(name for name, _ in found.items() ^ mixture.files.items())
        raise ModelError(
            f"the file {name!r} in {str(artifact)!r} is not as it was when the models were mixed",
            hint="remove that directory and mix them again",
        )
    return mixture


def facts_of(artifact: Path) -> dict[str, FileFacts]:
    """Size and SHA-256 of every file of an artifact but its record, by path within it.

    Raises:
        StorageError: A file cannot be read.
    """
    with _files.storage_errors(f"cannot read {str(artifact)!r}"):
        paths = sorted(path for path in artifact.rglob("*") if path.is_file() and path.name != MIXTURE_NAME)
        return {
            path.relative_to(artifact).as_posix(): FileFacts(
                size=path.stat().st_size, sha256=_files.sha256_file(path)
            )
            for path in paths
        }
