"""Do the statistics of an evaluation keep their word? Coverage of every interval, size of every test, by simulation.

    python benchmarks/evaluation_statistics.py [--fast] [--only WORD]

Each line draws many tests from a known truth, inside the range of validity that the function states, and counts how
often its interval holds the truth, its test rejects, or its plan succeeds. A line passes if the count is within three
Monte-Carlo standard errors of the promised band. "outside" lines show why a range ends where it ends; they promise
nothing. The exit code is 1 if a line fails. A few minutes on one core; `--fast` takes a twentieth of the trials.

It is not called statistics.py: that would hide the standard library's module from every script beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from simulated.claims import Claim, simulate
from simulated.corpora import corpora
from simulated.families import families
from simulated.groups import groups
from simulated.means import means
from simulated.plans import plans
from simulated.recipes import recipes
from simulated.shares import shares


def main() -> int:
    """Simulate every claim, print the table, and tell whether all hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--fast", action="store_true", help="a twentieth of the trials")
    parser.add_argument("--only", default="", help="claims whose name contains this")
    said = parser.parse_args()
    began, failed = time.perf_counter(), 0
    print(f"{'what':<36} {'where':<40} {'nominal':>7} {'promised':>13} {'simulated':>9} {'+-':>6}")
    for claim in claims():
        if said.only in claim.name:
            failed += not simulate(claim, claim.trials // (20 if said.fast else 1))
    print(f"{failed} failed, {time.perf_counter() - began:.0f} s")
    return 1 if failed else 0


def claims() -> Iterator[Claim]:
    """All of them."""
    for some in (shares, means, groups, corpora, families, plans, recipes):
        yield from some()


if __name__ == "__main__":
    sys.exit(main())
