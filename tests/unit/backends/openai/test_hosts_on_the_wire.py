"""What each host really gets: a job is submitted over sockets with its profile, and the raw requests are read.

Facts and sources are those of the profiles; what a host lacks is refused with its date, before a byte is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.unit.backends.openai.backends import backend_of
from tests.unit.backends.openai.test_backend import GRADER, PREFERENCES, PROMPTS
from tests.wire.exchange import Request
from tests.wire.faults import FaultyServer
from tests.wire.forms import form_of
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit import FineTuneJob, TuneSpec
from tunekit.backends.base import GenerateRequest
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.backends.openai.hosts import host_of
from tunekit.data.dataset import Dataset
from tunekit.errors import NotFoundError, PreflightError, SpecError
from tunekit.events import Notice
from tunekit.spec import DPO, RFT, SFT, LoRA, Sampling
from tunekit.store.memory import MemoryStore
from tunekit.testing import tiny_dataset

CHATS = tiny_dataset(rows=12).to_chat()
MANY_PROMPTS = Dataset.from_records(
    [{"messages": [{"role": "user", "content": f"{row}?"}], "reference_answer": "x"} for row in range(100)]
)
LAMBDA = {"type": "lambda", "lambda": {"function": "arn:aws:lambda:us-west-2:123456789012:function:grade"}}
KEY = "k-of-the-support-team"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What reached the host on behalf of one job."""

    requests: tuple[Request, ...]

    @property
    def create(self) -> Request:
        """The call that made the job."""
        (made,) = (
            item for item in self.requests if (item.method, item.path) == ("POST", "/v1/fine_tuning/jobs")
        )
        return made

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.create.body)
        return found

    def uploads(self) -> list[tuple[str, bytes]]:
        """Names and bytes of the files."""
        posts = (item for item in self.requests if (item.method, item.path) == ("POST", "/v1/files"))
        files = [form_of(item)["file"] for item in posts]
        return [(str(name), data) for name, data in files]


@contextmanager
def at(host: str, **options: Any) -> Iterator[tuple[OpenAIBackend, Service, FaultyServer]]:
    """The backend of a host that listens on the loopback."""
    service = Service()
    with FaultyServer(service) as server:
        backend = OpenAIBackend(host=host, base_url=f"{server.url}/v1", api_key=KEY, **options)
        yield backend, service, server
        backend.close()


def sent(host: str, model: str, spec: TuneSpec, train: Dataset = CHATS, **options: Any) -> Sent:
    """Submit one job, and read what the host got."""
    validation = options.pop("validation", None)
    with at(host, **options) as (backend, _, server):
        FineTuneJob.submit(
            train, f"openai:{model}", spec, validation=validation, backend=backend, store=MemoryStore()
        )
    return Sent(requests=tuple(exchange.request for exchange in server.seen))


# --- one test for each host ---------------------------------------------------------------------------


def test_foundry() -> None:
    options = {"trainingType": "developerTier", "prompt_loss_weight": 0.1}
    got = sent("foundry", "gpt-4.1-mini-2025-04-14", TuneSpec(name="s" * 40, options=options))
    assert got.create.headers["api-key"] == KEY and "authorization" not in got.create.headers
    assert (got.body["trainingType"], got.body["suffix"]) == ("developerTier", "s" * 40)
    assert got.body["method"]["supervised"]["hyperparameters"]["prompt_loss_weight"] == 0.1
    ((name, data),) = got.uploads()
    assert data.startswith(b'\xef\xbb\xbf{"messages"') and data.count(b"\xef\xbb\xbf") == 1
    assert name.startswith("tunekit-") and name.endswith(".jsonl") and len(name) > 60, "it bears the key"
    preferred = TuneSpec(method=DPO(beta=0.2), options={"trainingType": "Standard", "l2_multiplier": 0.2})
    dpo = sent("foundry", "gpt-4.1-2025-04-14", preferred, PREFERENCES).body["method"]["dpo"]
    assert dpo["hyperparameters"] == {"n_epochs": 3, "beta": 0.2, "l2_multiplier": 0.2}


def test_bedrock() -> None:
    got = sent("bedrock", "openai.gpt-oss-20b", TuneSpec(method=RFT(grader=LAMBDA)), MANY_PROMPTS)
    assert got.create.headers["authorization"] == f"Bearer {KEY}"
    assert got.body["method"]["type"] == "reinforcement"
    assert got.body["method"]["reinforcement"]["grader"] == LAMBDA
    assert {"suffix", "metadata"}.isdisjoint(got.body)
    ((_, data),) = got.uploads()
    first = json.loads(data.splitlines()[0])
    assert (first["messages"][-1]["role"], first["reference_answer"]) == ("user", "x")


def test_nebius() -> None:
    spec = TuneSpec(
        method=SFT(adapter=LoRA(rank=8, dropout=0.1)),
        learning_rate=2e-5,
        warmup_ratio=0.1,
        weight_decay=0.01,
        name="support",
        options={"packing": False},
    )
    got = sent("nebius", "meta-llama/Llama-3.3-70B-Instruct", spec)
    assert got.create.headers["authorization"] == f"Bearer {KEY}"
    assert {"method", "metadata"}.isdisjoint(got.body) and got.body["suffix"] == "support"
    assert got.body["hyperparameters"] == {
        "n_epochs": 3,
        "learning_rate_multiplier": 2e-5,
        "warmup_ratio": 0.1,
        "weight_decay": 0.01,
        "packing": False,
        "lora": True,
        "lora_r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.1,
    }
    ((name, data),) = got.uploads()
    assert data.startswith(b'{"messages"') and name.count("-") > 1, "it bears the key, as there is no tag"


def test_crusoe() -> None:
    got = sent("crusoe", "meta-llama/Llama-3.1-8B-Instruct", TuneSpec(epochs=2, batch_size=4))
    assert got.create.headers["authorization"] == f"Bearer {KEY}"
    assert got.body["hyperparameters"] == {"n_epochs": 2, "batch_size": 4}
    assert {"method", "metadata"}.isdisjoint(got.body)


def test_litellm() -> None:
    query = {"custom_llm_provider": "azure"}
    got = sent("litellm", "gpt-4.1-mini", TuneSpec(), query=query)
    assert all(("custom_llm_provider", "azure") in item.query for item in got.requests)
    assert {"method", "metadata"}.isdisjoint(got.body) and got.body["hyperparameters"] == {"n_epochs": 3}
    with pytest.raises(SpecError, match="custom_llm_provider"):
        OpenAIBackend(host="litellm", base_url="http://localhost:4000/v1", api_key=KEY)


def test_portkey() -> None:
    got = sent("portkey", "gpt-4.1", TuneSpec(), headers={"x-portkey-provider": "@openai-prod"})
    assert got.create.headers["x-portkey-api-key"] == KEY and "authorization" not in got.create.headers
    assert {item.headers["x-portkey-provider"] for item in got.requests} == {"@openai-prod"}
    assert got.body["method"]["type"] == "supervised"


def test_any_other() -> None:
    rft = TuneSpec(method=RFT(grader=GRADER), options={"response_format": {"type": "json_schema"}})
    got = sent("generic", "o9", rft, PROMPTS, validation=PROMPTS, files_expire_after_s=3600)
    assert got.body["method"]["reinforcement"]["response_format"] == {"type": "json_schema"}
    assert got.body["metadata"]["tunekit_run"] and got.body["validation_file"]
    forms = [form_of(item) for item in got.requests if (item.method, item.path) == ("POST", "/v1/files")]
    assert all(form["expires_after[seconds]"][1] == b"3600" for form in forms)


# --- and what they lack -------------------------------------------------------------------------------

LACKING: list[tuple[str, str, TuneSpec, str]] = [
    ("foundry", "gpt-4.1-mini", TuneSpec(), "the base model does not support fine-tuning"),
    ("foundry", "gpt-4.1-mini", TuneSpec(options={"trainingType": "free"}), "not one of 'Standard'"),
    (
        "foundry",
        "gpt-4.1",
        TuneSpec(name="s" * 41, options={"trainingType": "Standard"}),
        "41 characters, more than 40",
    ),
    (
        "foundry",
        "gpt-4.1",
        TuneSpec(options={"trainingType": "Standard", "l2_multiplier": 0.1}),
        "'l2_multiplier' says nothing of method 'sft'",
    ),
    ("bedrock", "openai.gpt-oss-20b", TuneSpec(), "method 'sft' is not supported"),
    ("bedrock", "openai.gpt-oss-20b", TuneSpec(method=RFT(grader=GRADER)), "not taken there, but 'lambda'"),
    ("bedrock", "openai.gpt-oss-20b", TuneSpec(method=RFT(grader=LAMBDA), name="x"), "takes no suffix"),
    ("nebius", "m", TuneSpec(method=DPO()), "method 'dpo' is not supported"),
    (
        "nebius",
        "m",
        TuneSpec(options={"learning_rate_multiplier": 2}),
        "'learning_rate_multiplier' is not known",
    ),
    ("nebius", "m", TuneSpec(options={"metadata": {"a": "b"}}), "'metadata' is not known"),
    ("crusoe", "m", TuneSpec(method=SFT(adapter=LoRA(rank=8))), r"adapter\.rank would be ignored"),
    ("litellm", "m", TuneSpec(method=DPO()), "method 'dpo' is not supported"),
    ("vllm", "m", TuneSpec(), "method 'sft' is not supported"),
]
ADDRESSES = {
    "foundry": "https://acme.openai.azure.com/openai/v1",
    "bedrock": "https://bedrock-mantle.us-west-2.api.aws/v1",
    "litellm": "http://localhost:4000/v1",
    "vllm": "http://localhost:8000/v1",
}


@pytest.mark.parametrize(("host", "model", "spec", "reason"), LACKING)
def test_what_a_host_lacks_is_refused_with_its_date(
    transport: InProcess, host: str, model: str, spec: TuneSpec, reason: str
) -> None:
    train = {"dpo": PREFERENCES, "rft": MANY_PROMPTS}.get(spec.method.type, CHATS)
    backend = backend_of(transport, host=host, base_url=ADDRESSES.get(host))
    with pytest.raises(PreflightError, match=reason) as caught:
        FineTuneJob.submit(train, f"openai:{model}", spec, backend=backend, store=MemoryStore())
    assert f"{host_of(host).title} as of {host_of(host).as_of}" in caught.value.hint
    assert transport.calls == []


# --- deployments --------------------------------------------------------------------------------------


def foundry(transport: InProcess) -> OpenAIBackend:
    return backend_of(transport, host="foundry", base_url=ADDRESSES["foundry"])


def test_model_that_must_be_deployed_says_so_to_programs(transport: InProcess, service: Service) -> None:
    service.described = None
    job = FineTuneJob.submit(
        CHATS,
        "openai:gpt-4.1-2025-04-14",
        TuneSpec(options={"trainingType": "Standard"}),
        backend=foundry(transport),
        store=MemoryStore(),
    )
    *_, told, ending = job.events()
    model = job.result().id
    assert isinstance(told, Notice) and told.level == "warning"
    assert (told.data["type"], told.data["model"]) == ("deployment_needed", model)
    assert ending.type == "state"
    assert "Azure Resource Manager" in job.snapshot().deploy


def test_model_that_answers_at_once_says_nothing_of_that(transport: InProcess) -> None:
    job = FineTuneJob.submit(CHATS, "openai:gpt-4.1", backend=backend_of(transport), store=MemoryStore())
    assert job.wait().deploy == ""
    assert not any("deploy" in event.message for event in job.events())


ASKED: dict[str, Callable[[OpenAIBackend], Any]] = {
    "generate": lambda backend: backend.generate("ft-1", [GenerateRequest(prompt="hi")], Sampling()),
    "embed": lambda backend: backend.embed("ft-1", ["hi"]),
}


@pytest.mark.parametrize("verb", ASKED)
@pytest.mark.parametrize("host", ["foundry", "nebius", "crusoe"])
def test_model_that_is_not_deployed_is_explained(host: str, verb: str) -> None:
    with at(host) as (backend, service, _):
        service.refuses = lambda path: "completions" in path or "embeddings" in path
        with pytest.raises(NotFoundError, match="DeploymentNotFound") as caught:
            asyncio.run(ASKED[verb](backend))
        asyncio.run(backend.aclose())
    assert caught.value.hint == host_of(host).deploy == caught.value.details["deploy"]
