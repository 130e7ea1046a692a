"""What the parts of the in-memory service share: an account's things, pages of them, refusals. Knows no routes."""

from __future__ import annotations

import itertools
from typing import Any, TypeAlias, TypeVar

from tests.wire.exchange import Request, Response

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")
STARTED_AT = 1_790_000_000


class Refusal(Exception):
    """An error of the API."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        self.response = Response.of({"error": error}, status=status)


class Account:
    """What an account has.

    Args:
        page_size: Most items of one page, whatever is asked for.
    """

    def __init__(self, *, page_size: int) -> None:
        self.page_size = page_size
        self.files: dict[str, Json] = {}
        self.contents: dict[str, bytes] = {}
        self.models: dict[str, Json] = {}
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """A number that nothing else has."""
        return next(self._numbers)

    def keep(self, filename: str, data: bytes, purpose: str = "fine-tune") -> Json:
        """Put a file into the account."""
        file_id = f"file-{self.number()}"
        self.contents[file_id] = data
        self.files[file_id] = {
            "id": file_id,
            "object": "file",
            "bytes": len(data),
            "created_at": STARTED_AT,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
        }
        return self.files[file_id]

    def page(self, items: list[Json], request: Request, *, first_and_last: bool = False) -> Json:
        """The page of a listing that is asked for."""
        query = dict(request.query)
        ids = [item["id"] for item in items]
        if "after" in query and query["after"] not in ids:
            raise Refusal(404, f"No such item: {query['after']}", "not_found")
        start = ids.index(query["after"]) + 1 if "after" in query else 0
        size = min(int(query.get("limit", 20)), self.page_size)
        data = items[start : start + size]
        found: Json = {"object": "list", "data": data, "has_more": start + size < len(items)}
        if first_and_last:
            found |= {"first_id": data[0]["id"] if data else "", "last_id": data[-1]["id"] if data else ""}
        return found


def known(items: dict[str, T], key: str, what: str) -> T:
    """A thing of the account by its id, or 404."""
    if key not in items:
        raise Refusal(404, f"No such {what}: {key}", "not_found")
    return items[key]
