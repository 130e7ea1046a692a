"""Image references: whether they can be one, where they stand, and what each target takes. Opens none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from tunekit.data import images, turns
from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import Finding, Rows, Severity, evidence
from tunekit.data.images import Image
from tunekit.data.profiles import Profile
from tunekit.data.wording import counted
from tunekit.examples import Example, Message

Place: TypeAlias = tuple[str, str, str]
"""Code, field, evidence."""

_SAYS: dict[str, tuple[Severity, str]] = {
    "image-reference": ("error", "an image cannot be read"),
    "image-placeholder": ("warning", "the texts promise more or fewer images than there are"),
    "image-in-answer": (
        "warning",
        "an image stands in a turn that is not the user's; models learn to say text only",
    ),
}
_TARGET_SAYS = {
    "target-images": "takes no images",
    "target-images-beside": "would get these texts without the images, which stand in a column",
    "target-image-form": "does not take images given like this",
    "target-image-count": "takes fewer images in one row",
    "target-image-bytes": "takes smaller images only",
}


class Images(Check):
    """Looks at the images of every row that has messages."""

    codes = (*_SAYS, *_TARGET_SAYS)

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._found: dict[tuple[str, str], Rows] = {(code, ""): Rows() for code in _SAYS}
        for profile in context.profiles:
            self._found.update({(code, profile.target): Rows() for code in _TARGET_SAYS})

    def see(self, example: Example) -> None:
        """Look at one row."""
        messages = turns.conversation(example)
        if messages is None:
            return
        found = list(images.images(messages))
        for code, field, shown in _problems(example, messages, found):
            self._found[code, ""].add(example.id, field, shown)
        beside = images.placeholders(messages) if not found else 0
        for profile in self.context.profiles if found or beside else ():
            for code, field, shown in _target_problems(example, found, profile):
                self._found[code, profile.target].add(example.id, field, shown)

    def findings(self) -> Iterable[Finding]:
        """What is wrong."""
        for (code, target), rows in self._found.items():
            if not rows:
                continue
            severity, says = _SAYS[code] if not target else ("error", f"{target} {_TARGET_SAYS[code]}")
            yield Finding(
                code=code,
                severity=severity,
                message=f"{counted(len(rows), 'row')} with images: {says}" if target else _in(rows, says),
                rows=tuple(rows.ids),
                places=tuple(rows.places),
                target=target,
            )


def _in(rows: Rows, says: str) -> str:
    return f"in {counted(len(rows), 'row')} {says}"


def _problems(example: Example, messages: tuple[Message, ...], found: list[Image]) -> Iterator[Place]:
    for image in found:
        if image.problem:
            yield "image-reference", image.field, evidence(image.problem)
        if image.role != "user":
            yield "image-in-answer", image.field, image.role
    promised = images.placeholders(messages)
    there = len(found) or images.beside(example)
    if promised and promised != there:
        yield (
            "image-placeholder",
            "messages",
            f"{counted(promised, 'placeholder')}, {counted(there, 'image')}",
        )


def _target_problems(example: Example, found: list[Image], profile: Profile) -> Iterator[Place]:
    if not found:
        if images.beside(example) and any(column in images.COLUMNS for column in profile.left_out(example)):
            yield "target-images-beside", "messages", images.PLACEHOLDER
        return
    if profile.image_forms is None:
        return
    if not profile.image_forms:
        yield "target-images", found[0].field, evidence(found[0].reference)
        return
    for image in found:
        if image.form != "other" and image.form not in profile.image_forms:
            yield "target-image-form", image.field, evidence(image.reference)
        if profile.max_image_bytes is not None and image.bytes > profile.max_image_bytes:
            yield "target-image-bytes", image.field, f"{image.bytes:,} bytes"
    if profile.max_images_per_row is not None and len(found) > profile.max_images_per_row:
        yield "target-image-count", "messages", counted(len(found), "image")
