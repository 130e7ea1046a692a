"""One retraining from cron or a systemd timer: hands in what is new, sees it through, and says how it ended.

    30 2 * * 1  cd /srv/app && SERVICE_...=... .venv/bin/python -m service.cron

Exit codes: 0 promoted, or nothing to do; 1 refused by the gate; 2 failed, or a file was left out; 3 waits for approval.
Run it again after a crash: it goes on. Two at once: the second waits for the first.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import tunekit as tk
from service.pipeline import Pipeline
from service.worker import show

OK, REFUSED, FAILED, WAITS = range(4)
_REFUSALS = (tk.RoundState.REJECTED, tk.RoundState.INCONCLUSIVE)
_IN_ORDER = (tk.RoundState.PROMOTED, tk.RoundState.SUPERSEDED)  # superseded: a later one was promoted already

log = logging.getLogger("service.cron")


def main() -> int:
    """Hand every batch in, work until nothing is left to do, and return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        return retrain(Pipeline.from_environment())
    except tk.TunekitError as error:
        log.error("%s: %s", type(error).__name__, error)
        return FAILED


def retrain(pipeline: Pipeline) -> int:
    """One run.

    Raises:
        TunekitError: A setting or a file is wrong, or a round cannot go on now; the next run goes on with it.
    """
    retrainer, left_out = pipeline.retrainer(), []
    for name in pipeline.batch_names():
        # Without a key the rows are the key: what was handed in before is the round of then, and costs nothing.
        # Of several that are new, the last stands for all and has the rows of all.
        try:
            retrainer.request(pipeline.batch(name), trigger=f"cron: {name}")
        except tk.DataError as error:  # spoilt, or withdrawn: the weeks behind it are not
            log.error("%s is left out: %s", name, error)
            left_out.append(name)
    ended = retrainer.resume(on_event=show)
    code = exit_code(ended, waiting=any(each.state.is_with_the_host for each in retrainer.rounds.list()))
    for each in dict.fromkeys(str(each) for each in ended):  # coalesced requests end in the same round
        log.info("%s", each)
    if not ended:
        log.info("nothing to do")
    return FAILED if left_out and code == OK else code


def exit_code(ended: Sequence[tk.Round], *, waiting: bool) -> int:
    """What a run has to say; the last round counts, for it has the data of all before it.

    Args:
        ended: Rounds that were gone on with, oldest first.
        waiting: Whether any round waits for a person, of this run or an earlier one.
    """
    if not ended:
        return WAITS if waiting else OK
    state = ended[-1].state
    if state.is_with_the_host:
        return WAITS
    if state in _REFUSALS:
        return REFUSED
    # Declined, cancelled or rolled back meanwhile: somebody stopped it, and a person should know that it did not end.
    return OK if state in _IN_ORDER else FAILED


if __name__ == "__main__":
    sys.exit(main())
