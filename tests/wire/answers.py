"""Answers of models as the API words them, whole and as server-sent events. Knows no model."""

from __future__ import annotations

import json
import zlib
from typing import Any

from tests.wire.exchange import Response

Json = dict[str, Any]
_CREATED = 1_790_000_000


def chat_completion(body: Json, said: str) -> Response:
    """One answer; cut, with the reason "length", at as many words as tokens were asked for."""
    text, reason = _cut(body, said)
    message = {"role": "assistant", "content": text, "refusal": None}
    return Response.of(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": _CREATED,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
            "usage": _usage(body, text),
        }
    )


def chat_stream(body: Json, said: str) -> Response:
    """The same as events, word by word."""
    text, reason = _cut(body, said)
    words = text.split(" ")
    pieces = [word if at == 0 else f" {word}" for at, word in enumerate(words)]
    choices: list[Json] = [{"delta": {"content": piece}, "finish_reason": None} for piece in pieces]
    choices = [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}, *choices]
    choices.append({"delta": {}, "finish_reason": reason})
    events = [_chunk(body, choices=[{"index": 0, **choice}]) for choice in choices]
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append(_chunk(body, choices=[], usage=_usage(body, text)))
    lines = [
        ": keep-alive",
        *(f"data: {json.dumps(event, ensure_ascii=False)}" for event in events),
        "data: [DONE]",
    ]
    return Response(
        headers={"content-type": "text/event-stream"}, body="".join(f"{line}\n\n" for line in lines).encode()
    )


def embeddings(body: Json) -> Response:
    """Vectors that tell texts apart, in an order that is not theirs."""
    data = [
        {"object": "embedding", "index": at, "embedding": [zlib.crc32(text.encode()) / 2**32, 1.0]}
        for at, text in enumerate(body["input"])
    ]
    usage = {"prompt_tokens": len(data), "total_tokens": len(data)}
    return Response.of({"object": "list", "model": body["model"], "data": data[::-1], "usage": usage})


def _cut(body: Json, said: str) -> tuple[str, str]:
    most = body.get("max_completion_tokens") or body.get("max_tokens") or 1000
    words = said.split(" ")
    return (" ".join(words[:most]), "length") if len(words) > most else (said, "stop")


def _usage(body: Json, text: str) -> Json:
    asked = sum(len(str(message.get("content")).split()) for message in body["messages"])
    answered = len(text.split())
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _chunk(body: Json, **more: Any) -> Json:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": body["model"],
        **more,
    }
