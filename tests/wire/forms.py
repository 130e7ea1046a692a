"""Multipart forms, read. Knows the few headers that clients send in them."""

from __future__ import annotations

import re

from tests.wire.exchange import Request


def form_of(request: Request) -> dict[str, tuple[str, bytes]]:
    """Fields by name, each with its file name ("" for a plain field) and its bytes."""
    boundary = re.search(r'boundary="?([^";]+)', request.headers.get("content-type", ""))
    assert boundary, f"no form: {request.headers}"
    fields = {}
    for piece in request.body.split(f"--{boundary[1]}".encode())[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        names = dict(re.findall(r'(?<![\w*])(name|filename)="([^"]*)"', head.decode()))
        fields[names["name"]] = (names.get("filename", ""), content.removesuffix(b"\r\n"))
    return fields
