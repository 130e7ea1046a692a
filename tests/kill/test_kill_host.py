"""The process that submitted a job is killed; another one attaches, and the job has lost nothing."""

from __future__ import annotations

import json

import pytest

from tests.kill.harness import STEPS, Outcome, Site, artifact_of, starts, trainer_of
from tests.processes import is_running, kill, run_python, start_python

SUBMIT_AND_FOLLOW = """
import json, sys
from pathlib import Path
from tests.kill.harness import Site
site = Site(Path(sys.argv[1]), Path(sys.argv[2]))
job = site.submit()
print(job.ref, flush=True)
stream = job.events()
for event in stream:
    print(json.dumps([event.id, event.type, getattr(event, "step", 0), stream.cursor]), flush=True)
"""
ATTACH = """
import json, sys
from pathlib import Path
from tests.kill.harness import LONG_S, Site
site = Site(Path(sys.argv[1]), Path(sys.argv[2]))
job = site.attach(sys.argv[3])
for cursor in sys.argv[4:]:
    print(json.dumps([[event.id, event.type] for event in job.events(json.loads(cursor))]))
print(job.result(timeout_s=LONG_S))
assert not {"torch", "transformers", "peft"} & set(sys.modules)
"""


@pytest.mark.timeout(300)
def test_a_job_outlives_the_host_that_submitted_it(site: Site, reference: Outcome) -> None:
    seen: list[list[str]] = []
    cursor = ""
    with start_python(SUBMIT_AND_FOLLOW, site.home, site.model) as host:
        assert host.stdout is not None
        ref = host.stdout.readline().strip()
        run = site.run(ref)
        for line in host.stdout:
            number, kind, step, cursor = json.loads(line)
            seen.append([number, kind])
            if step >= 3:
                break
        trainer = trainer_of(run)
        assert trainer is not None
        assert kill(host.pid)
        host.wait()
        assert is_running(trainer), "killing the host does not touch training"

    # In new interpreters: from the stored cursor on, and from the first event.
    rest, everything, model = run_python(
        ATTACH, site.home, site.model, ref, json.dumps(cursor), "null", timeout_s=240
    ).splitlines()
    assert seen + json.loads(rest) == json.loads(everything)
    assert [number for number, _ in json.loads(everything)] == [
        str(n) for n in range(1, len(json.loads(everything)) + 1)
    ]
    assert sum(kind == "step" for _, kind in json.loads(everything)) == STEPS
    assert model == str(reference.model) == ref
    assert artifact_of(run) == reference.artifact


@pytest.mark.timeout(300)
def test_a_job_whose_host_and_trainer_both_die_goes_on_in_the_next_host(
    site: Site, reference: Outcome
) -> None:
    with start_python(SUBMIT_AND_FOLLOW, site.home, site.model) as host:
        assert host.stdout is not None
        ref = host.stdout.readline().strip()
        next(line for line in host.stdout if json.loads(line)[2] >= 3)
        run = site.run(ref)
        host.kill()
        host.wait()
    trainer = trainer_of(run)
    assert trainer is not None
    assert kill(trainer)
    everything, model = run_python(ATTACH, site.home, site.model, ref, "null", timeout_s=240).splitlines()
    assert sum(kind == "step" for _, kind in json.loads(everything)) == STEPS
    assert model == ref
    assert artifact_of(run) == reference.artifact


FORK = """
import os, sys, warnings
from pathlib import Path
from tests.kill.harness import LONG_S, Site
warnings.filterwarnings("ignore", message=".*fork")
site = Site(Path(sys.argv[1]), Path(sys.argv[2]))
job = site.submit()
next(job.events())  # store, portal and backend are in use when the fork comes, and the trainer runs
child = os.fork()
print(site.attach(job.ref).result(timeout_s=LONG_S), flush=True)
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.timeout(300)
def test_a_host_that_forks_while_its_job_runs_is_two_hosts(site: Site, reference: Outcome) -> None:
    said = run_python(FORK, site.home, site.model, timeout_s=240).splitlines()
    assert said == [str(reference.model)] * 2
    run = site.run(said[0])
    assert starts(run) == 1
    assert artifact_of(run) == reference.artifact
