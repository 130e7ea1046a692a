"""Fine-tune, evaluate and promote language models from product code.

Knows where each public name lives; imports a module only when one of its names is first used, so that
`import tunekit` costs a host nothing. The table, the `TYPE_CHECKING` block and `__all__` are one list written three
times (for the interpreter, for type checkers, for readers); `tests/test_architecture.py` keeps them equal.
"""

from __future__ import annotations

import logging

from tunekit._version import __version__

# Without it, Python prints a library's warnings to stderr in hosts that configured no logging.
logging.getLogger("tunekit").addHandler(logging.NullHandler())

# typing.TYPE_CHECKING without the cost of importing typing; type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from tunekit import backends as backends
    from tunekit import store as store
    from tunekit import testing as testing
    from tunekit._portal import BlockingCallWarning as BlockingCallWarning
    from tunekit._settings import Settings as Settings
    from tunekit.data.advice.hints import Hints as Hints
    from tunekit.data.checks.report import CheckReport as CheckReport
    from tunekit.data.dataset import Dataset as Dataset
    from tunekit.data.findings import Finding as Finding
    from tunekit.data.fixes.report import FixReport as FixReport
    from tunekit.data.stream import DatasetStream as DatasetStream
    from tunekit.data.writers.report import WriteReport as WriteReport
    from tunekit.errors import BackendError as BackendError
    from tunekit.errors import BudgetError as BudgetError
    from tunekit.errors import ConflictError as ConflictError
    from tunekit.errors import DataError as DataError
    from tunekit.errors import DeadlineError as DeadlineError
    from tunekit.errors import EvaluationError as EvaluationError
    from tunekit.errors import InvalidError as InvalidError
    from tunekit.errors import JobCancelledError as JobCancelledError
    from tunekit.errors import JobFailedError as JobFailedError
    from tunekit.errors import MissingExtraError as MissingExtraError
    from tunekit.errors import ModelError as ModelError
    from tunekit.errors import NotFoundError as NotFoundError
    from tunekit.errors import PreflightError as PreflightError
    from tunekit.errors import RefError as RefError
    from tunekit.errors import SpecError as SpecError
    from tunekit.errors import StaleLeaseError as StaleLeaseError
    from tunekit.errors import StorageError as StorageError
    from tunekit.errors import TunekitError as TunekitError
    from tunekit.errors import UnknownOutcomeError as UnknownOutcomeError
    from tunekit.errors import UnsupportedError as UnsupportedError
    from tunekit.evaluation import scorers as scorers
    from tunekit.evaluation.arms.arm import Arm as Arm
    from tunekit.evaluation.arms.constructors import few_shot as few_shot
    from tunekit.evaluation.arms.constructors import nearest as nearest
    from tunekit.evaluation.arms.constructors import zero_shot as zero_shot
    from tunekit.evaluation.arms.costs import CallPrice as CallPrice
    from tunekit.evaluation.arms.results import Arms as Arms
    from tunekit.evaluation.comparison import Comparison as Comparison
    from tunekit.evaluation.comparison import MetricComparison as MetricComparison
    from tunekit.evaluation.evaluator import Evaluator as Evaluator
    from tunekit.evaluation.results import Evaluation as Evaluation
    from tunekit.events import CheckpointSaved as CheckpointSaved
    from tunekit.events import Evaluated as Evaluated
    from tunekit.events import JobEvent as JobEvent
    from tunekit.events import JobState as JobState
    from tunekit.events import Notice as Notice
    from tunekit.events import Preflight as Preflight
    from tunekit.events import StateChanged as StateChanged
    from tunekit.events import Step as Step
    from tunekit.events import Usage as Usage
    from tunekit.examples import ChatExample as ChatExample
    from tunekit.examples import CompletionExample as CompletionExample
    from tunekit.examples import Example as Example
    from tunekit.examples import LabelledExample as LabelledExample
    from tunekit.examples import Message as Message
    from tunekit.examples import PreferenceExample as PreferenceExample
    from tunekit.examples import PromptExample as PromptExample
    from tunekit.examples import Segment as Segment
    from tunekit.examples import SegmentsExample as SegmentsExample
    from tunekit.examples import ToolCall as ToolCall
    from tunekit.examples import UnpairedExample as UnpairedExample
    from tunekit.inference import AnswerStream as AnswerStream
    from tunekit.inference import embed as embed
    from tunekit.inference import embed_async as embed_async
    from tunekit.inference import generate as generate
    from tunekit.inference import generate_async as generate_async
    from tunekit.inference import score as score
    from tunekit.inference import score_async as score_async
    from tunekit.inference import stream as stream
    from tunekit.jobs.job import FineTuneJob as FineTuneJob
    from tunekit.jobs.stream import EventStream as EventStream
    from tunekit.refs import JobRef as JobRef
    from tunekit.refs import ModelRef as ModelRef
    from tunekit.refs import Target as Target
    from tunekit.retrain.collecting.collector import Collector as Collector
    from tunekit.retrain.gate.rules import Gate as Gate
    from tunekit.retrain.gate.rules import Guardrail as Guardrail
    from tunekit.retrain.registry.records import ModelVersion as ModelVersion
    from tunekit.retrain.registry.registry import Registry as Registry
    from tunekit.retrain.retrainer import Retrainer as Retrainer
    from tunekit.retrain.rounds.records import Round as Round
    from tunekit.retrain.rounds.records import RoundState as RoundState
    from tunekit.retrain.rounds.rounds import Rounds as Rounds
    from tunekit.spec import DPO as DPO
    from tunekit.spec import EWC as EWC
    from tunekit.spec import KTO as KTO
    from tunekit.spec import RFT as RFT
    from tunekit.spec import SFT as SFT
    from tunekit.spec import Budget as Budget
    from tunekit.spec import Classify as Classify
    from tunekit.spec import EarlyStopping as EarlyStopping
    from tunekit.spec import FullWeights as FullWeights
    from tunekit.spec import L2ToStart as L2ToStart
    from tunekit.spec import LastLayers as LastLayers
    from tunekit.spec import LoRA as LoRA
    from tunekit.spec import Probe as Probe
    from tunekit.spec import Sampling as Sampling
    from tunekit.spec import TuneSpec as TuneSpec
    from tunekit.tuning.recommending.advising import recommend as recommend
    from tunekit.tuning.recommending.advising import recommend_async as recommend_async
    from tunekit.tuning.recommending.results import Recommendation as Recommendation

_EXPORTS: dict[str, tuple[str, ...]] = {
    "tunekit._portal": ("BlockingCallWarning",),
    "tunekit._settings": ("Settings",),
    "tunekit.backends": ("backends",),
    "tunekit.data.checks.report": ("CheckReport",),
    "tunekit.data.dataset": ("Dataset",),
    "tunekit.data.findings": ("Finding",),
    "tunekit.data.fixes.report": ("FixReport",),
    "tunekit.data.advice.hints": ("Hints",),
    "tunekit.data.stream": ("DatasetStream",),
    "tunekit.data.writers.report": ("WriteReport",),
    "tunekit.errors": (
        "BackendError",
        "BudgetError",
        "ConflictError",
        "DataError",
        "DeadlineError",
        "EvaluationError",
        "InvalidError",
        "JobCancelledError",
        "JobFailedError",
        "MissingExtraError",
        "ModelError",
        "NotFoundError",
        "PreflightError",
        "RefError",
        "SpecError",
        "StaleLeaseError",
        "StorageError",
        "TunekitError",
        "UnknownOutcomeError",
        "UnsupportedError",
    ),
    "tunekit.evaluation.arms.arm": ("Arm",),
    "tunekit.evaluation.arms.constructors": ("few_shot", "nearest", "zero_shot"),
    "tunekit.evaluation.arms.costs": ("CallPrice",),
    "tunekit.evaluation.arms.results": ("Arms",),
    "tunekit.evaluation.evaluator": ("Evaluator",),
    "tunekit.evaluation.comparison": ("Comparison", "MetricComparison"),
    "tunekit.evaluation.results": ("Evaluation",),
    "tunekit.evaluation.scorers": ("scorers",),
    "tunekit.events": (
        "CheckpointSaved",
        "Evaluated",
        "JobEvent",
        "JobState",
        "Notice",
        "Preflight",
        "StateChanged",
        "Step",
        "Usage",
    ),
    "tunekit.examples": (
        "ChatExample",
        "CompletionExample",
        "Example",
        "LabelledExample",
        "Message",
        "PreferenceExample",
        "PromptExample",
        "Segment",
        "SegmentsExample",
        "ToolCall",
        "UnpairedExample",
    ),
    "tunekit.inference": (
        "AnswerStream",
        "embed",
        "embed_async",
        "generate",
        "generate_async",
        "score",
        "score_async",
        "stream",
    ),
    "tunekit.jobs.job": ("FineTuneJob",),
    "tunekit.jobs.stream": ("EventStream",),
    "tunekit.refs": ("JobRef", "ModelRef", "Target"),
    "tunekit.retrain.collecting.collector": ("Collector",),
    "tunekit.retrain.gate.rules": ("Gate", "Guardrail"),
    "tunekit.retrain.registry.records": ("ModelVersion",),
    "tunekit.retrain.registry.registry": ("Registry",),
    "tunekit.retrain.retrainer": ("Retrainer",),
    "tunekit.retrain.rounds.records": ("Round", "RoundState"),
    "tunekit.retrain.rounds.rounds": ("Rounds",),
    "tunekit.spec": (
        "DPO",
        "EWC",
        "KTO",
        "RFT",
        "SFT",
        "Budget",
        "Classify",
        "EarlyStopping",
        "FullWeights",
        "L2ToStart",
        "LastLayers",
        "LoRA",
        "Probe",
        "Sampling",
        "TuneSpec",
    ),
    "tunekit.store": ("store",),
    "tunekit.testing": ("testing",),
    "tunekit.tuning.recommending.advising": ("recommend", "recommend_async"),
    "tunekit.tuning.recommending.results": ("Recommendation",),
}
_HOMES = {name: home for home, names in _EXPORTS.items() for name in names}

__all__ = [
    "DPO",
    "EWC",
    "KTO",
    "RFT",
    "SFT",
    "AnswerStream",
    "Arm",
    "Arms",
    "BackendError",
    "BlockingCallWarning",
    "Budget",
    "BudgetError",
    "CallPrice",
    "ChatExample",
    "CheckReport",
    "CheckpointSaved",
    "Classify",
    "Collector",
    "Comparison",
    "CompletionExample",
    "ConflictError",
    "DataError",
    "Dataset",
    "DatasetStream",
    "DeadlineError",
    "EarlyStopping",
    "Evaluated",
    "Evaluation",
    "EvaluationError",
    "Evaluator",
    "EventStream",
    "Example",
    "Finding",
    "FineTuneJob",
    "FixReport",
    "FullWeights",
    "Gate",
    "Guardrail",
    "Hints",
    "InvalidError",
    "JobCancelledError",
    "JobEvent",
    "JobFailedError",
    "JobRef",
    "JobState",
    "L2ToStart",
    "LabelledExample",
    "LastLayers",
    "LoRA",
    "Message",
    "MetricComparison",
    "MissingExtraError",
    "ModelError",
    "ModelRef",
    "ModelVersion",
    "NotFoundError",
    "Notice",
    "PreferenceExample",
    "Preflight",
    "PreflightError",
    "Probe",
    "PromptExample",
    "Recommendation",
    "RefError",
    "Registry",
    "Retrainer",
    "Round",
    "RoundState",
    "Rounds",
    "Sampling",
    "Segment",
    "SegmentsExample",
    "Settings",
    "SpecError",
    "StaleLeaseError",
    "StateChanged",
    "Step",
    "StorageError",
    "Target",
    "ToolCall",
    "TuneSpec",
    "TunekitError",
    "UnknownOutcomeError",
    "UnpairedExample",
    "UnsupportedError",
    "Usage",
    "WriteReport",
    "__version__",
    "backends",
    "embed",
    "embed_async",
    "few_shot",
    "generate",
    "generate_async",
    "nearest",
    "recommend",
    "recommend_async",
    "score",
    "score_async",
    "scorers",
    "store",
    "stream",
    "testing",
    "zero_shot",
]


if not TYPE_CHECKING:  # a visible __getattr__ would make every misspelt name an Any to type checkers

    def __getattr__(name):
        import importlib

        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'tunekit' has no attribute {name!r}{_nearest(name)}")
        module = importlib.import_module(home)
        # A module is exported under its own last name (tunekit.scorers); everything else lives in its home.
        value = module if home.endswith(f".{name}") else getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, __all__, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
