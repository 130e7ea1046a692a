"""What tests of host applications and of plugins stand on: a scripted backend and a clock that does not wait."""

from __future__ import annotations

from tunekit.testing.clock import FakeClock
from tunekit.testing.scripted import Fault, ScriptedBackend, tiny_dataset, training_script
from tunekit.testing.service import Counters

__all__ = ["Counters", "FakeClock", "Fault", "ScriptedBackend", "tiny_dataset", "training_script"]
