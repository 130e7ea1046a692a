"""`datasets` objects and the hub. The hub is a server on loopback that speaks what the hub's own client asks for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import datasets
import pytest

from tests.processes import run_python
from tunekit import Dataset, DatasetStream, LabelledExample, SpecError
from tunekit.data.sources.huggingface import data_files

ROWS = {"text": ["hi", "win!", "yo"], "label": [0, 1, -1]}
FEATURES = datasets.Features(
    {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["ham", "spam"])}
)


def made() -> datasets.Dataset:
    return datasets.Dataset.from_dict(ROWS, features=FEATURES)


def test_class_labels_get_their_names() -> None:
    data = Dataset.from_huggingface(
        made(), input="text", target="label", kind="labelled", on_error="skip", name="sms"
    )
    assert list(data) == [LabelledExample(text="hi", label="ham"), LabelledExample(text="win!", label="spam")]
    assert [row.id for row in data.skipped] == ["sms:3"], "-1 is how datasets writes a row without a label"


def test_iterable_dataset_stays_a_stream_and_starts_anew() -> None:
    stream = DatasetStream.from_huggingface(
        made().to_iterable_dataset(), input="text", target="label", kind="labelled", on_error="skip"
    )
    assert len(list(stream)) == len(list(stream)) == 2


def test_split_of_a_dictionary_is_named() -> None:
    both = datasets.DatasetDict({"train": made(), "test": made().select([0])})
    assert len(Dataset.from_huggingface(both, split="test", input="text", target="label")) == 1
    with pytest.raises(SpecError, match="no split was named"):
        Dataset.from_huggingface(both)
    with pytest.raises(SpecError, match="there is no split 'dev'"):
        Dataset.from_huggingface(both, split="dev")
    with pytest.raises(SpecError, match="found 'list'"):
        Dataset.from_huggingface([{"a": 1}])


@pytest.mark.parametrize(
    ("files", "split", "config", "found"),
    [
        (["train.jsonl", "test.jsonl"], "train", None, ["train.jsonl"]),
        (["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"], "train", None, 2),
        (["en/train-0.parquet", "de/train-0.parquet"], "train", "de", ["de/train-0.parquet"]),
        (
            ["default/train/0000.parquet", "other/train/0000.parquet"],
            "train",
            None,
            ["default/train/0000.parquet"],
        ),
        (["constraint.csv", "x_train.csv"], "train", None, ["x_train.csv"]),
        (["train.py", "README.md"], "train", None, []),
    ],
)
def test_data_files_of_a_split(
    files: list[str], split: str, config: str | None, found: list[str] | int
) -> None:
    chosen = data_files(files, split, config)
    assert (len(chosen) if isinstance(found, int) else chosen) == found


def test_several_configurations_must_be_told_apart() -> None:
    with pytest.raises(SpecError, match="is in 'de', 'en'"):
        data_files(["en/train-0.parquet", "de/train-0.parquet"], "train", None)


# --- the hub ------------------------------------------------------------------------------------------

TRAIN = b'{"prompt": "2+2", "completion": "4"}\n{"prompt": "3+3", "completion": "6"}\n'
COMMIT = "0123456789012345678901234567890123456789"


class _Hub(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/datasets/acme/sums/tree/"):
            listing = [{"type": "file", "path": "train.jsonl", "size": len(TRAIN), "oid": "1" * 40}]
            self._send(200, json.dumps(listing).encode(), {"Content-Type": "application/json"}, body)
        elif path.startswith("/api/datasets/acme/sums"):
            info = {"id": "acme/sums", "sha": COMMIT, "siblings": [{"rfilename": "train.jsonl"}]}
            self._send(200, json.dumps(info).encode(), {"Content-Type": "application/json"}, body)
        elif path == "/datasets/acme/sums/resolve/main/train.jsonl":
            etag = hashlib.sha1(TRAIN).hexdigest()
            self._send(200, TRAIN, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, body)
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)

    def _send(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(endpoint: str, home: Path, code: str, offline: str = "0") -> str:
    # The client reads its endpoint when it is imported, so it gets an interpreter of its own.
    return run_python(
        "import os, warnings\n"
        "warnings.simplefilter('ignore')\n"
        f"os.environ.update(HF_ENDPOINT={endpoint!r}, HF_HOME={str(home)!r}, HF_HUB_OFFLINE={offline!r},"
        " HF_HUB_DISABLE_TELEMETRY='1',"
        " HF_HUB_DISABLE_PROGRESS_BARS='1', HF_HUB_DISABLE_XET='1')\n"
        "import tunekit as tk\n" + code
    )


def test_hub_dataset_is_downloaded_and_read(hub: str, tmp_path: Path) -> None:
    out = ask(
        hub,
        tmp_path,
        "data = tk.Dataset.from_hub('acme/sums')\nprint(len(data), data[1].completion, data[0].id)",
    )
    assert out == "2 6 sums:1\n"


def test_unknown_hub_dataset_and_unreachable_hub_are_typed(hub: str, tmp_path: Path) -> None:
    code = "try:\n    tk.Dataset.from_hub({!r})\nexcept tk.TunekitError as error:\n    print(type(error).__name__)"
    assert ask(hub, tmp_path, code.format("acme/none")) == "NotFoundError\n"
    assert ask(hub, tmp_path, code.format("acme/sums"), offline="1") == "DataError\n"
