"""How a run is kept near the weights that it begins with. Knows the choices and their papers; not how they pull.

Part of a `TuneSpec`; see `spec`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, NonNegativeFloat

from tunekit._validation import Spec


class L2ToStart(Spec):
    """Pull what is trained to where it began: L2-SP (Li et al. 2018, arXiv 1802.01483).

    Adds strength / 2 * sum_i (w_i - w_i at the start)^2 to the loss of a step. The start is what the run begins with:
    the weights of the base, or those of the artifact that it goes on from. An adapter is pulled as it is stored, its A
    and B each to where they were, not their product: of one that begins anew B was 0, so its whole change is pulled
    back, and of one that goes on what it has learned since.

    Attributes:
        strength: Of the pull; 0 is none. The `pull` of the steps' metrics says what it comes to, in units of the loss.

    Examples:
        >>> from tunekit import TuneSpec
        >>> TuneSpec(stay_near=L2ToStart(strength=0.1)).stay_near.type
        'l2-to-start'
    """

    type: Literal["l2-to-start"] = "l2-to-start"
    strength: NonNegativeFloat = 0.01


class EWC(Spec):
    """The same, harder where a weight mattered: elastic weight consolidation.

    Adds strength / 2 * sum_i f_i (w_i - w_i at the start)^2 to the loss of a step (Kirkpatrick et al. 2017, arXiv
    1612.00796). f_i is the diagonal of the Fisher information of the run that made the start, divided by its mean, so
    that one strength means as much here as for `L2ToStart`. That run keeps it with its weights when it is asked to
    (`TuneSpec(keep_fisher=True)`); its rows are not needed again.

    Attributes:
        strength: Of the pull; 0 is none.

    Examples:
        >>> from tunekit import TuneSpec
        >>> TuneSpec(stay_near=EWC(strength=1.0), warm_start="local:run-9f2c").stay_near.strength
        1.0
    """

    type: Literal["ewc"] = "ewc"
    strength: NonNegativeFloat = 0.01


StayNear: TypeAlias = Annotated[L2ToStart | EWC, Field(discriminator="type")]
