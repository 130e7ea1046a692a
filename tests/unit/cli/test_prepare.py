"""`tunekit prepare` as a person types it, and as a script runs it. Knows the command only."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from tunekit import Dataset
from tunekit.cli import INTERRUPTED, main
from tunekit.cli.prepare import ERRORS_REMAIN

ROWS = (
    [{"prompt": f"Is parcel {n} late?", "completion": "delivery" if n % 2 else "billing"} for n in range(40)]
    + [{"prompt": "Is parcel 1 late?", "completion": "delivery"}] * 3
    + [{"prompt": "A\u200bB", "completion": "delivery"}, {"prompt": "empty", "completion": ""}]
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tickets.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def answers(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_enter_to_everything_is_what_quiet_does(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, *[""] * 20)
    assert main(["prepare", str(file), "-o", str(tmp_path / "asked.jsonl")]) == 0
    assert "[y/N]" in capsys.readouterr().out
    assert main(["prepare", str(file), "--quiet", "-o", str(tmp_path / "quiet.jsonl")]) == 0
    assert "[y/N]" not in capsys.readouterr().out
    assert (tmp_path / "asked.jsonl").read_bytes() == (tmp_path / "quiet.jsonl").read_bytes()
    written = Dataset.load(tmp_path / "quiet.jsonl")
    assert len(written) == 44, "quiet must leave out nothing but the row without an answer"
    assert "\u200b" not in str(list(written))


def test_nobody_to_answer_is_the_same_as_enter(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch)
    assert main(["prepare", str(file), "-o", str(tmp_path / "out.jsonl")]) == 0
    assert len(Dataset.load(tmp_path / "out.jsonl")) == 44


def test_what_is_agreed_to_is_done(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, *["y"] * 20)
    assert main(["prepare", str(file)]) == 0
    said = capsys.readouterr().out
    assert "drop-duplicates (lossy): 3 rows left out" in said
    train = Dataset.load(tmp_path / "tickets_prepared_train.jsonl")
    test = Dataset.load(tmp_path / "tickets_prepared_test.jsonl")
    assert len(train) + len(test) <= 41
    assert not {row.prompt for row in train} & {row.prompt for row in test}  # type: ignore[union-attr]


def test_fixes_and_split_by_option_need_nobody(file: Path, tmp_path: Path) -> None:
    options = ["--quiet", "--fix", "drop-duplicates", "--test", "0.25", "-o", str(tmp_path / "out.jsonl.gz")]
    assert main(["prepare", str(file), *options]) == 0
    train, test = (Dataset.load(tmp_path / f"out_{part}.jsonl.gz") for part in ("train", "test"))
    assert (len(train), len(test)) == (31, 10)


def test_after_a_split_nobody_is_told_to_split(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(file), "-q", "--test", "0.25", "-o", str(tmp_path / "out.jsonl")]) == 0
    assert "hold out" not in capsys.readouterr().out
    assert main(["prepare", str(file), "-q", "-o", str(tmp_path / "out.jsonl")]) == 0
    assert "hold out" in capsys.readouterr().out


def test_target_decides_the_form(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", str(file), "-q", "--target", "foundry", "-o", str(tmp_path / "out.jsonl")]) == 0
    said = capsys.readouterr().out
    assert "foundry: passes" in said
    assert (tmp_path / "out.jsonl").read_bytes().startswith(b'\xef\xbb\xbf{"messages":[{"role":"user"')


def test_json_is_one_document_with_everything(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["prepare", str(file), "--json", "--target", "openai", "-o", str(tmp_path / "out.jsonl")]) == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {"report", "fixes", "files", "hints", "cost", "remaining_errors"}
    assert [fix["name"] for fix in said["fixes"]] == ["strip-zero-width"]
    assert said["files"][0]["rows"] == 44
    codes = {finding["code"] for finding in said["report"]["findings"]}
    assert {"duplicate-rows", "skipped-rows"} <= codes


def test_page_is_written(file: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert main(["prepare", str(file), "-q", "--html", str(page), "-o", str(tmp_path / "out.jsonl")]) == 0
    assert page.read_text().startswith("<!doctype html>")


def test_a_page_that_cannot_be_written_is_an_error_with_a_hint(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(file), "-q", "--html", str(tmp_path / "none" / "report.html")]) == 1
    assert "give --html a path that can be written" in capsys.readouterr().err


def test_yes_in_full_is_a_yes(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, *["Yes"] * 20)
    assert main(["prepare", str(file), "-o", str(tmp_path / "out.jsonl")]) == 0
    assert "drop-duplicates (lossy): 3 rows left out" in capsys.readouterr().out


@pytest.mark.parametrize("name", [b"\xff\x1b[2J.csv", "\u202etickets\x1b[31m.csv".encode()])
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_no_name_and_no_terminal_is_too_strange(
    name: bytes, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / os.fsdecode(name)
    file.write_text("prompt,completion\nWo?,Grüße\n", encoding="utf-8")
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr("sys.stdout", out)
    page = tmp_path / "page.html"
    for option in ("--quiet", "--json"):
        assert main(["prepare", str(file), option, "--html", str(page), "-o", str(tmp_path / "o.jsonl")]) == 0
    out.seek(0)
    shown = out.read()
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert json.loads(shown[shown.index("\n{") :])["report"]["rows"] == 1


def test_errors_that_remain_have_a_code_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p {n}", "completion": "yes"}) + "\n" for n in range(30)))
    assert main(["prepare", str(path), "-q"]) == ERRORS_REMAIN
    assert "identical-completions" in capsys.readouterr().out.splitlines()[-1]
    assert (tmp_path / "one_prepared.jsonl").exists()


def test_nothing_is_overwritten_unasked(file: Path, tmp_path: Path) -> None:
    original = file.read_bytes()
    for name in ("tickets_prepared.jsonl", "tickets_prepared (1).jsonl", "tickets_prepared (2).jsonl"):
        assert main(["prepare", str(file), "-q"]) == 0
        assert (tmp_path / name).exists()
    assert file.read_bytes() == original


def test_two_runs_give_the_same_bytes(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "again"
    other.mkdir()
    shutil.copy(file, other)
    said = []
    for path in (file, other / file.name):
        assert main(["prepare", str(path), "-q", "--test", "0.2"]) == 0
        said.append(capsys.readouterr().out.replace(str(path.parent), ""))
    assert said[0] == said[1]
    for part in ("train", "test"):
        name = f"tickets_prepared_{part}.jsonl"
        assert (tmp_path / name).read_bytes() == (other / name).read_bytes()


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n" + "".join(f"text {n},x{n},yes or no {n}\n" for n in range(12)))
    assert main(["prepare", str(path), "-q", "--input", "a", "--answer", "c"]) == 0
    assert Dataset.load(tmp_path / "t_prepared.jsonl")[0].prompt == "text 0"  # type: ignore[union-attr]


def test_unusable_file_and_wrong_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", str(tmp_path / "none.csv"), "-q"]) == 1
    assert "no such file" in capsys.readouterr().err
    assert main(["prepare", str(tmp_path / "none.csv"), "-q", "--target", "opanai"]) == 1
    with pytest.raises(SystemExit):
        main(["prepare", "x", "--test", "1.5"])


# --- labels and targets -------------------------------------------------------------------------------


@pytest.fixture
def several(tmp_path: Path) -> Path:
    path = tmp_path / "several.jsonl"
    path.write_text(
        '{"text": "late bill", "label": ["delivery", "billing"]}\n{"text": "hi", "label": ["other"]}\n'
    )
    return path


@pytest.mark.parametrize("target", ["openai", "base", "nebius"])
def test_several_labels_are_no_answer_unless_they_are_joined(
    target: str, several: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    assert main(["prepare", str(several), "-q", "--target", target, "-o", str(out)]) == 1
    said = capsys.readouterr().err
    assert "2 rows with a list of labels, the first is 'several.jsonl:1'" in said
    assert "nothing was written" in said
    assert "--join-labels ', '" in said
    assert not out.exists()
    options = ["--target", target, "--join-labels", "; ", "-o", str(out)]
    assert main(["prepare", str(several), "-q", *options]) in (0, ERRORS_REMAIN)  # there are few rows
    assert '"delivery; billing"' in out.read_text()


def test_the_local_trainer_takes_several_labels_as_they_are(several: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert main(["prepare", str(several), "-q", "--target", "local", "-o", str(out)]) in (0, ERRORS_REMAIN)
    assert '["delivery","billing"]' in out.read_text().replace(", ", ",")


def test_rows_that_were_left_out_are_told_where_labels_are_joined(
    several: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several.write_text(several.read_text() + '{"text": "no label", "label": null}\n')
    assert main(["prepare", str(several), "-q", "--join-labels", "; "]) == 0
    said = capsys.readouterr().out
    assert "several.jsonl: 2 rows (labelled)" in said
    assert "skipped-rows: left out 1 row" in said


def test_rows_that_a_target_does_not_train_on_are_not_written(
    several: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    assert main(["prepare", str(several), "-q", "--target", "bedrock", "-o", str(out)]) == 1
    assert "bedrock trains on prompt rows, and these are labelled rows" in capsys.readouterr().err
    assert not out.exists()


# --- places, and nobody there -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "tickets.jsonl"], "'tickets.jsonl' is the file that is read"),
        (["-o", "./tickets.jsonl"], "is the file that is read"),
        (["--html", "tickets.jsonl"], "is the file that is read"),
        (["-o", "same.jsonl", "--html", "same.jsonl"], "--html and -o are both 'same.jsonl'"),
        (["-o", "out.xlsx"], "no format is written under the name 'out.xlsx'"),
    ],
)
def test_a_place_that_will_not_do_is_refused_before_anything_is_asked(
    options: list[str],
    message: str,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(file.parent)
    before = file.read_bytes()
    assert main(["prepare", file.name, *options]) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert "hint: " in said.err
    assert not said.out
    assert os.listdir() == [file.name]
    assert file.read_bytes() == before


def test_columns_are_called_as_the_command_calls_them(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", str(file), "-q", "--input", "nope"]) == 1
    assert "on the command line, input= is --input and target= is --answer" in capsys.readouterr().err


def test_stopping_at_a_question_writes_nothing_and_shows_no_trace(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopped:
        def readline(self) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", Stopped())
    assert main(["prepare", str(file)]) == INTERRUPTED
    assert capsys.readouterr().err == "tunekit: stopped\n"
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize("closed", ["sys.stdin", "sys.stdout"])
def test_a_closed_terminal_is_nobody_to_ask(file: Path, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, None)
    assert main(["prepare", str(file)]) == 0
    assert len(Dataset.load(file.with_name("tickets_prepared.jsonl"))) == 44


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux: a disk that is always full")
def test_output_that_finds_no_room_is_an_error(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main(["prepare", str(file), "-q"]) == 1
        assert "cannot print: No space left on device" in capsys.readouterr().err
        with contextlib.suppress(OSError):
            full.close()


def test_a_file_that_vanishes_is_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.unlink()
    assert main(["prepare", str(file), "-q"]) == 1
    assert "tickets.jsonl: no such file" in capsys.readouterr().err
