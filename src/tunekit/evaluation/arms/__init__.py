"""Arms of an evaluation: a model, and how it is asked. Knows prompts, demonstrations and functions of the host.

| module | what it has |
|---|---|
| `arm` | `Arm`: a reference, a function, and how it is asked |
| `constructors` | the usual ones: `zero_shot`, `few_shot`, `nearest` |
| `templates` | how a question is put |
| `demonstrations` | which solved examples are shown before it |
| `functions` | functions of the host, answering as a backend does |
| `nearest` | the nearest class by embeddings: a baseline for models that cannot generate |
| `draws` | several draws of demonstrations, averaged item by item |
| `lineup` | arms as they were passed, with their names |
| `weighing` | evaluations of several arms -> `Arms`: what to use, what it costs, whether training pays |
| `results`, `spending`, `costs`, `words`, `table` | that record, its money, its verdict in words, its table |
| `record` | what an evaluation keeps of its arm |
"""

from __future__ import annotations
