"""Multipart forms with one file, which goes to disk while it arrives. Knows the encoding; not what is uploaded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from tunekit.data.wording import brief
from tunekit.server.limits import Limits
from tunekit.server.problems import invalid, refused
from tunekit.server.reading import bounded

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MAX_FIELDS = 16
_FIELD_BYTES = 4096
_FILENAME_CHARACTERS = 255
_OVERHEAD_BYTES = 1 << 16  # boundaries, headers and fields beside the file
_WRITE_BYTES = 1 << 20


@dataclass(slots=True)
class Form:
    """What a form held.

    Attributes:
        fields: Its text fields.
        filename: What the caller calls the file; None if there was none.
        size: Bytes of the file.
    """

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None
    size: int = 0


async def read_form(request: Request, file_field: str, into: BinaryIO, *, limit: int, limits: Limits) -> Form:
    """Read a form, its file into `into`.

    Args:
        request: The request.
        file_field: Name of the field with the file.
        into: Where its bytes go.
        limit: Most bytes of the file.
        limits: How long to wait for them.

    Raises:
        HTTPException: It is no such form, has no such file, or the file is too large.
    """
    reader = _Reader(file_field, limit)
    parser = MultipartParser(_boundary(request), reader.callbacks())
    try:
        async for piece in bounded(request, limit + _OVERHEAD_BYTES, limits):
            parser.write(piece)
            if len(reader.waiting) >= _WRITE_BYTES:
                await asyncio.to_thread(into.write, reader.taken())
        parser.finalize()
    except FormParserError as error:
        raise invalid(f"The body is not a multipart form: {brief(str(error), quote=False)}.") from None
    if not reader.ended:
        raise invalid("The multipart form ends in the middle.")
    if reader.form.filename is None:
        raise invalid(f"Missing required parameter: '{file_field}'.", param=file_field)
    await asyncio.to_thread(into.write, reader.taken())
    return reader.form


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 256:
        raise refused(415, "Send the file as multipart/form-data.")
    return boundary


class _Reader:
    """Takes what the parser calls out. Nothing here waits: the caller writes between two pieces."""

    def __init__(self, file_field: str, limit: int) -> None:
        self.form = Form()
        self.waiting = bytearray()
        self.ended = False
        self._file_field, self._limit = file_field, limit
        self._header, self._value = bytearray(), bytearray()
        self._name: str | None = None
        self._text: bytearray | None = None

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._lengthen(self._header, data[start:end]),
            "on_header_value": lambda data, start, end: self._lengthen(self._value, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_data,
            "on_part_data": self._take,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def taken(self) -> bytes:
        data = bytes(self.waiting)
        self.waiting.clear()
        return data

    def _begin(self) -> None:
        self._name, self._text = None, None

    def _lengthen(self, header: bytearray, data: bytes) -> None:
        if len(header) + len(data) > _FIELD_BYTES:
            raise invalid(f"A header of the form is longer than {_FIELD_BYTES} bytes.")
        header += data

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = _decoded(options.get(b"name", b""))
            if self._name == self._file_field and b"filename" in options:
                self._begin_file(_decoded(options[b"filename"]))
        self._header.clear()
        self._value.clear()

    def _begin_file(self, filename: str) -> None:
        if self.form.filename is not None:
            raise invalid(f"There is more than one '{self._file_field}' in the form.", param=self._file_field)
        # As the original, keep the last part of a path; it is only shown, and names no file here.
        name = filename.replace("\\", "/").rpartition("/")[2]
        self.form.filename = name[:_FILENAME_CHARACTERS]

    def _begin_data(self) -> None:
        if not self._name:
            raise invalid("A part of the multipart form has no name.")
        if self._name != self._file_field or self.form.filename is None:
            self._text = bytearray()
            if self._name in self.form.fields:
                raise invalid(f"There is more than one {brief(self._name)} in the form.", param=self._name)
            if len(self.form.fields) >= _MAX_FIELDS:
                raise invalid(f"The multipart form has more than {_MAX_FIELDS} fields.")

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._text is None:
            self.form.size += end - start
            if self.form.size > self._limit:
                raise refused(413, f"The file is larger than {self._limit} bytes.", code="file_too_large")
            self.waiting += memoryview(data)[start:end]
        elif len(self._text) + end - start > _FIELD_BYTES:
            raise invalid(f"A field of the form is longer than {_FIELD_BYTES} bytes.")
        else:
            self._text += data[start:end]

    def _end_part(self) -> None:
        if self._text is not None and self._name:
            self.form.fields[self._name] = _decoded(bytes(self._text))

    def _end(self) -> None:
        self.ended = True


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise invalid("A name or a field of the multipart form is not UTF-8.") from None
