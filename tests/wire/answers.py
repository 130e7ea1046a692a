"""Answers of models as the API words them, whole and as server-sent events. Knows no model."""

from __future__ import annotations

import base64
import json
import re
import struct
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


def text_completion(body: Json, said: str) -> Response:
    """How a text goes on."""
    text, reason = _cut(body, said)
    choice = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
    return Response.of(_of_text(body, [choice], usage=_counted(body["prompt"], text)))


def text_stream(body: Json, said: str) -> Response:
    """The same as events, word by word."""
    text, reason = _cut(body, said)
    words = [(word if at == 0 else f" {word}", None) for at, word in enumerate(text.split(" "))]
    choices = [{"index": 0, "text": word, "finish_reason": end} for word, end in [*words, ("", reason)]]
    events = [_of_text(body, [choice]) for choice in choices]
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append(_of_text(body, [], usage=_counted(body["prompt"], text)))
    lines = [*(f"data: {json.dumps(event)}" for event in events), "data: [DONE]"]
    return Response(
        headers={"content-type": "text/event-stream"}, body="".join(f"{line}\n\n" for line in lines).encode()
    )


def echo(body: Json, begin: tuple[str, ...] = ()) -> Response:
    """Texts as they were sent, with what each token is worth: -1 for each of its characters.

    Args:
        body: Of the request.
        begin: Tokens that stand before each text and are not in it, as some models have them.
    """
    choices = []
    for at, text in enumerate(body["prompt"]):
        tokens = [*begin, *re.findall(r" ?\w+|\W", text)]
        values: list[float | None] = [-float(len(token)) for token in tokens]
        told = {
            "tokens": tokens,
            "token_logprobs": [None, *values[1:]],
            "text_offset": [],
            "top_logprobs": [],
        }
        choices.append({"index": at, "text": text, "finish_reason": "length", "logprobs": told})
    return Response.of(_of_text(body, choices[::-1]))


def embeddings(body: Json) -> Response:
    """Vectors that tell texts apart, in an order that is not theirs; packed where that is asked for."""
    as_asked = _packed if body.get("encoding_format") == "base64" else list
    data = [
        {
            "object": "embedding",
            "index": at,
            "embedding": as_asked((zlib.crc32(text.encode()) / 2**32, 1.0)),
        }
        for at, text in enumerate([body["input"]] if isinstance(body["input"], str) else body["input"])
    ]
    usage = {"prompt_tokens": len(data), "total_tokens": len(data)}
    return Response.of({"object": "list", "model": body["model"], "data": data[::-1], "usage": usage})


def _packed(vector: tuple[float, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _cut(body: Json, said: str) -> tuple[str, str]:
    most = body.get("max_completion_tokens") or body.get("max_tokens") or 1000
    words = said.split(" ")
    return (" ".join(words[:most]), "length") if len(words) > most else (said, "stop")


def _usage(body: Json, text: str) -> Json:
    return _counted(" ".join(str(message.get("content")) for message in body["messages"]), text)


def _counted(question: str, answer: str) -> Json:
    asked, answered = len(question.split()), len(answer.split())
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _of_text(body: Json, choices: list[Json], **more: Any) -> Json:
    head = {"id": "cmpl-1", "object": "text_completion", "created": _CREATED, "model": body["model"]}
    return {**head, "choices": choices, **more}


def _chunk(body: Json, **more: Any) -> Json:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": body["model"],
        **more,
    }
