"""An OpenAI-like service in memory. Knows what OpenAI's description says of requests, and holds every one to it.

It is a `Handler`: in-process transports and loopback servers can both put it on. Jobs go through a script; a look at a
job brings it forward.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from tests.wire.account import STARTED_AT, Json, Refusal, known
from tests.wire.answers import chat_completion, chat_stream, echo, embeddings, text_completion, text_stream
from tests.wire.exchange import Request, Response
from tests.wire.fine_tuning import Jobs, training
from tests.wire.forms import form_of
from tests.wire.openai_spec import Description


class Service(Jobs):
    """Files, uploads, jobs, models and answers, for one account.

    Args:
        described: OpenAI's description, to which requests and replies are held; None where it is not at hand.
        script: What happens to each job.
        reveal: Entries of the script that each look at a job plays; 0 plays all at once.
        page_size: Most items of one page, whatever is asked for.
        answer: What the model says to the messages of a chat.
    """

    def __init__(
        self,
        *,
        described: Description | None = None,
        script: Callable[[], list[Json]] = training,
        reveal: int = 0,
        page_size: int = 10_000,
        answer: Callable[[list[Json]], str] = lambda messages: f"answer to {messages[-1]['content']}",
    ) -> None:
        super().__init__(script=script, reveal=reveal, page_size=page_size)
        self.described, self.answer = described, answer
        self.uploads: dict[str, Json] = {}
        self.batches: dict[str, Json] = {}
        self.slow_looks = 0  # at batches, before one is seen to have ended
        self.refuses: Callable[[str], bool] = lambda path: False  # paths at which nothing is deployed
        self.requests: list[Request] = []
        self.problems: list[str] = []
        self._lock = threading.RLock()

    def __call__(self, request: Request) -> Response:
        with self._lock:
            self.requests.append(request)
            path = request.path.removeprefix("/v1")
            self._check_request(request, path)
            try:
                response = self._routed(request, path)
            except Refusal as refusal:
                return refusal.response
            self._check_reply(request, path, response)
            return response

    def bodies(self, method: str, path: str) -> list[Json]:
        """JSON bodies of the requests that came in."""
        found = [item for item in self.requests if (item.method, item.path) == (method, f"/v1{path}")]
        return [json.loads(item.body) for item in found]

    # --- held to the description ----------------------------------------------------------------------

    def _check_request(self, request: Request, path: str) -> None:
        if self.described is None:
            return
        is_json = request.headers.get("content-type") == "application/json"
        body = json.loads(request.body) if is_json else None
        if is_json or not request.body:
            self.problems += self.described.request_problems(request.method, path, body)
        else:
            self.problems += _form_problems(path, request)
        names = [name for name, _ in request.query]
        self.problems += self.described.query_problems(request.method, path, names)

    def _check_reply(self, request: Request, path: str, response: Response) -> None:
        if self.described is not None and response.headers.get("content-type") == "application/json":
            self.problems += self.described.response_problems(request.method, path, json.loads(response.body))

    # --- routes ---------------------------------------------------------------------------------------

    def _routed(self, request: Request, path: str) -> Response:
        if self.refuses(path):
            raise Refusal(404, "DeploymentNotFound: there is none of this name", "DeploymentNotFound")
        for method, pattern, function in _ROUTES:
            matched = re.fullmatch(pattern, path)
            if matched and method == request.method:
                answer = function(self, request, *map(unquote, matched.groups()))
                return answer if isinstance(answer, Response) else Response.of(answer)
        raise Refusal(404, f"Unknown request URL: {request.method} {path}", "unknown_url")

    def list_files(self, request: Request) -> Json:
        query = dict(request.query)
        files = [item for item in self.files.values() if query.get("purpose") in (None, item["purpose"])]
        return self.page(files[::-1], request, first_and_last=True)

    def create_file(self, request: Request) -> Json:
        form = form_of(request)
        filename, data = form["file"]
        return self.keep(str(filename), data, form["purpose"][1].decode())

    def file(self, request: Request, file_id: str) -> Json:
        return known(self.files, file_id, "file")

    def content(self, request: Request, file_id: str) -> Response:
        known(self.files, file_id, "file")
        return Response(headers={"content-type": "application/octet-stream"}, body=self.contents[file_id])

    def delete_file(self, request: Request, file_id: str) -> Json:
        known(self.files, file_id, "file")
        del self.files[file_id], self.contents[file_id]
        return {"id": file_id, "object": "file", "deleted": True}

    def create_upload(self, request: Request) -> Json:
        body = json.loads(request.body)
        upload = {
            "id": f"upload-{self.number()}",
            "object": "upload",
            "bytes": body["bytes"],
            "created_at": STARTED_AT,
            "expires_at": STARTED_AT + 3600,
            "filename": body["filename"],
            "purpose": body["purpose"],
            "status": "pending",
        }
        self.uploads[upload["id"]] = {"body": upload, "parts": {}}
        return upload

    def add_part(self, request: Request, upload_id: str) -> Json:
        upload = known(self.uploads, upload_id, "upload")
        part_id = f"part-{self.number()}"
        upload["parts"][part_id] = form_of(request)["data"][1]
        return {"id": part_id, "object": "upload.part", "created_at": STARTED_AT, "upload_id": upload_id}

    def complete_upload(self, request: Request, upload_id: str) -> Json:
        upload, body = known(self.uploads, upload_id, "upload"), json.loads(request.body)
        if upload["body"]["status"] != "pending":
            raise Refusal(400, f"Upload is {upload['body']['status']}", "invalid_upload_state")
        data = b"".join(upload["parts"][part_id] for part_id in body["part_ids"])
        if len(data) != upload["body"]["bytes"]:
            raise Refusal(400, "The total of the parts is not what was declared", "invalid_size")
        if body.get("md5") not in (None, hashlib.md5(data).hexdigest()):
            raise Refusal(400, "The checksum does not match", "invalid_checksum")
        kept = self.keep(upload["body"]["filename"], data, upload["body"]["purpose"])
        upload["body"] |= {"status": "completed", "file": kept}
        return dict(upload["body"])

    def cancel_upload(self, request: Request, upload_id: str) -> Json:
        upload = known(self.uploads, upload_id, "upload")
        upload["body"]["status"] = "cancelled"
        return dict(upload["body"])

    def list_models(self, request: Request) -> Json:
        return {"object": "list", "data": list(self.models.values())}

    def delete_model(self, request: Request, model: str) -> Json:
        known(self.models, model, "model")
        del self.models[model]
        return {"id": model, "object": "model", "deleted": True}

    def chat(self, request: Request) -> Response:
        body = json.loads(request.body)
        said = self.answer(body["messages"])
        return chat_stream(body, said) if body.get("stream") else chat_completion(body, said)

    def go_on(self, request: Request) -> Response:
        body = json.loads(request.body)
        if body.get("echo"):
            return echo(body)
        said = self.answer([{"content": body["prompt"]}])
        return text_stream(body, said) if body.get("stream") else text_completion(body, said)

    def create_batch(self, request: Request) -> Json:
        body = json.loads(request.body)
        lines = self.contents[body["input_file_id"]].splitlines()
        answers = [self._answered(json.loads(line)) for line in lines][::-1]  # in any order
        good = b"".join(json.dumps(item).encode() + b"\n" for item in answers if not item["error"])
        bad = b"".join(json.dumps(item).encode() + b"\n" for item in answers if item["error"])
        batch = {
            "id": f"batch_{self.number()}",
            "object": "batch",
            "endpoint": body["endpoint"],
            "input_file_id": body["input_file_id"],
            "completion_window": body["completion_window"],
            "status": "completed",
            "output_file_id": self.keep("output.jsonl", good, "batch_output")["id"],
            "created_at": STARTED_AT,
            "request_counts": {
                "total": len(lines),
                "completed": good.count(b"\n"),
                "failed": bad.count(b"\n"),
            },
            "metadata": body.get("metadata"),
        }
        if bad:
            batch["error_file_id"] = self.keep("errors.jsonl", bad, "batch_output")["id"]
        self.batches[str(batch["id"])] = batch
        return batch

    def _answered(self, question: Json) -> Json:
        path, sent = question["url"].removeprefix("/v1"), json.dumps(question["body"]).encode()
        if self.described is not None:
            self.problems += self.described.request_problems("POST", path, question["body"])
        response, error = None, None
        if b"BLOCK" in sent:
            error = {"code": "blocked", "message": "the question is blocked"}
        else:
            whole = json.loads(self._routed(Request(method="POST", path=path, body=sent), path).body)
            response = {"status_code": 200, "request_id": "req_1", "body": whole}
        return {
            "id": "batch_req_1",
            "custom_id": question["custom_id"],
            "response": response,
            "error": error,
        }

    def list_batches(self, request: Request) -> Json:
        return self.page(list(self.batches.values())[::-1], request)

    def batch(self, request: Request, batch_id: str) -> Json:
        self.slow_looks -= 1
        going = {"status": "in_progress"} if self.slow_looks >= 0 else {}
        return known(self.batches, batch_id, "batch") | going

    def cancel_batch(self, request: Request, batch_id: str) -> Json:
        return known(self.batches, batch_id, "batch") | {"status": "cancelling"}

    def embed(self, request: Request) -> Response:
        return embeddings(json.loads(request.body))


_ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", r"/files", Service.list_files),
    ("POST", r"/files", Service.create_file),
    ("GET", r"/files/([^/]+)", Service.file),
    ("GET", r"/files/([^/]+)/content", Service.content),
    ("DELETE", r"/files/([^/]+)", Service.delete_file),
    ("POST", r"/uploads", Service.create_upload),
    ("POST", r"/uploads/([^/]+)/parts", Service.add_part),
    ("POST", r"/uploads/([^/]+)/complete", Service.complete_upload),
    ("POST", r"/uploads/([^/]+)/cancel", Service.cancel_upload),
    ("POST", r"/fine_tuning/jobs", Service.create_job),
    ("GET", r"/fine_tuning/jobs", Service.list_jobs),
    ("GET", r"/fine_tuning/jobs/([^/]+)", Service.job),
    ("POST", r"/fine_tuning/jobs/([^/]+)/(cancel|pause|resume)", Service.turn),
    ("GET", r"/fine_tuning/jobs/([^/]+)/events", Service.list_events),
    ("GET", r"/fine_tuning/jobs/([^/]+)/checkpoints", Service.list_checkpoints),
    ("GET", r"/fine_tuning/checkpoints/([^/]+)/permissions", Service.list_permissions),
    ("POST", r"/fine_tuning/checkpoints/([^/]+)/permissions", Service.permit),
    ("DELETE", r"/fine_tuning/checkpoints/([^/]+)/permissions/([^/]+)", Service.forbid),
    ("GET", r"/models", Service.list_models),
    ("DELETE", r"/models/([^/]+)", Service.delete_model),
    ("POST", r"/chat/completions", Service.chat),
    ("POST", r"/completions", Service.go_on),
    ("POST", r"/embeddings", Service.embed),
    ("POST", r"/batches", Service.create_batch),
    ("GET", r"/batches", Service.list_batches),
    ("GET", r"/batches/([^/]+)", Service.batch),
    ("POST", r"/batches/([^/]+)/cancel", Service.cancel_batch),
]


def _form_problems(path: str, request: Request) -> Iterator[str]:
    """What is wrong with a multipart form, of which the description has two."""
    form = form_of(request)
    if path == "/files":
        known_fields = {"file", "purpose", "expires_after[anchor]", "expires_after[seconds]"}
        yield from (f"no form field {name!r}" for name in form if name not in known_fields)
        yield from (f"form field {name!r} is missing" for name in ("file", "purpose") if name not in form)
    elif set(form) != {"data"} or len(form["data"][1]) > 64_000_000:
        yield f"{path} takes one field 'data' of at most 64 MB"
