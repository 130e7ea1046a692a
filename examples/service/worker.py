"""Carries rounds on: as a task beside the endpoints, or as a process of its own (`python -m service.worker`).

Any number may run at once, on one machine or several that share the stores: the pipeline's lease lets one of them work,
and the others wait. One that is killed loses the lease, and the next goes on at the last step that was written down.
"""

from __future__ import annotations

import asyncio
import logging
import signal

import tunekit as tk
from service.pipeline import Pipeline
from tunekit.retrain.rounds import Transition

LOOK_S = 1.0
RETRY_S = 30.0
"""After an error that may pass, such as a host that is away."""

log = logging.getLogger("service.worker")


async def carry_on(retrainer: tk.Retrainer, *, look_s: float = LOOK_S, retry_s: float = RETRY_S) -> None:
    """Work on whatever is asked for, until cancelled.

    Cancelling it between two steps or within one loses nothing. A local training job runs in a process of its own and
    goes on meanwhile; a hosted one does so anyway.
    """
    while True:
        pause_s = look_s
        try:
            await retrainer.resume_async(on_event=show)
        except tk.TunekitError as error:
            log.warning("cannot go on now, trying again in %g s: %s", retry_s, error)
            pause_s = retry_s
        except Exception:
            # A bug must not stop all retraining silently: this task has nobody who waits for its result.
            log.exception("trying again in %g s", retry_s)
            pause_s = retry_s
        await asyncio.sleep(pause_s)


def show(event: object) -> None:
    """One line for each transition; steps of training and answers of a test are too many."""
    if isinstance(event, Transition):
        log.info("%s is %s: %s", event.round_id, event.state, event.reason)


async def main() -> None:
    """Run until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    working = asyncio.create_task(carry_on(Pipeline.from_environment().retrainer()))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, working.cancel)
    try:
        await working
    except asyncio.CancelledError:
        log.info("stopped; what was begun goes on with the next start")


if __name__ == "__main__":
    asyncio.run(main())
