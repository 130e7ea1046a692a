"""lm-evaluation-harness on the items of `evaluate.py`, in an environment of its own: it says its accuracy and its time.

    python benchmarks/evaluate_harness.py MODEL ADAPTER ITEMS.jsonl

Each item has the text of the prompt as tunekit renders it, the choices with what ends an answer, and the right one, so
that both weigh the very same tokens.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def main(model: str, adapter: str, items: str) -> None:
    """Evaluate, and print JSON."""
    import torch
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(2)
    loaded = HFLM(
        pretrained=model, peft=adapter, device="cpu", dtype="float32", batch_size=32, add_bos_token=False
    )
    task: dict[str, Any] = {
        "task": "tickets",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": items}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": lambda doc: doc["text"],
        "doc_to_choice": lambda doc: doc["choices"],
        "doc_to_target": lambda doc: doc["right"],
        "target_delimiter": "",
        "metric_list": [{"metric": "acc"}],
    }
    started = time.monotonic()
    found = simple_evaluate(model=loaded, tasks=[task], bootstrap_iters=0, log_samples=True)
    seconds = time.monotonic() - started
    samples = found["samples"]["tickets"]
    picks = [
        max(range(len(sample["filtered_resps"])), key=lambda at: sample["filtered_resps"][at][0])
        for sample in samples
    ]
    print(
        json.dumps({"accuracy": found["results"]["tickets"]["acc,none"], "seconds": seconds, "picks": picks})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
