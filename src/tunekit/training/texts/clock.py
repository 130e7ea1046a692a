"""Chat templates that read the clock, and how their day is kept. Knows template texts; renders nothing.

Llama 3.2 and others write "Today Date: ..." into every prompt, from `strftime_now`, which transformers gives them. So
equal runs would end in other bytes on another day, a run that rested over midnight would go on with other rows, and the
tuned model would be asked with a date that it was never trained on.

A tuned model therefore has a day of its own, and its template says so itself: a macro of that name, put before it,
hides the clock. It lies in the artifact, so every program that serves it writes what training wrote. The day is the
same for all runs: nothing that a run is given names one, and equal data, recipe and seed are to give equal bytes
whenever they are handed in. A base model, which nobody tuned, is asked with today's date, as its makers ask it.
"""

from __future__ import annotations

import json
from typing import Any

PINNED_DATE = "2024-07-26"
"""The day that templates of tuned models take for today: the one that Llama 3's write where there is no clock."""

_CLOCK = "strftime_now"
# What strftime says of midnight of that day in the C locale; that of glibc, where C99 leaves it open.
_SAID = {
    **{"a": "Fri", "A": "Friday", "b": "Jul", "B": "July", "h": "Jul", "p": "AM", "P": "am"},
    **{"d": "26", "e": "26", "m": "07", "y": "24", "Y": "2024", "C": "20", "j": "208", "u": "5", "w": "5"},
    **{
        "-d": "26",
        "-m": "7",
        "-y": "24",
        "-j": "208",
        "U": "29",
        "V": "30",
        "W": "30",
        "g": "24",
        "G": "2024",
    },
    **{"H": "00", "I": "12", "M": "00", "S": "00", "k": " 0", "l": "12", "f": "000000", "z": "", "Z": ""},
    **{"-H": "0", "-I": "12", "-M": "0", "-S": "0", "D": "07/26/24", "F": "2024-07-26", "T": "00:00:00"},
    **{"R": "00:00", "r": "12:00:00 AM", "x": "07/26/24", "X": "00:00:00", "c": "Fri Jul 26 00:00:00 2024"},
}


def pin(tokenizer: Any) -> None:
    """Give the chat templates of a tokenizer that read the clock a day of their own; others stay as they are.

    Args:
        tokenizer: Changed in place. One that came with a tuned model may be pinned already, and stays so.
    """
    templates = getattr(tokenizer, "chat_template", None)
    if isinstance(templates, dict):
        tokenizer.chat_template = {name: _pinned(source) for name, source in templates.items()}
    elif templates:
        tokenizer.chat_template = _pinned(templates)


def pinned_date(tokenizer: Any) -> str:
    """The day that a tokenizer's chat templates take for today, ISO 8601; "" where they take none, or ask the clock."""
    templates = getattr(tokenizer, "chat_template", None) or ""
    sources = templates.values() if isinstance(templates, dict) else (templates,)
    return PINNED_DATE if any(source.startswith(_MACRO) for source in sources) else ""


def warning(date: str) -> list[str]:
    """What to say of a template that writes a date, if it does.

    Args:
        date: As `pinned_date` gives it.
    """
    if not date:
        return []
    return [
        f"the chat template writes today's date into prompts; in training and in the tuned model it is always {date}, "
        "so that equal runs give equal models and prompts are served as they were trained. Say what day it is in a "
        "message where the model should know, or write another date into the base model's chat template"
    ]


def _macro() -> str:
    """Jinja that hides the clock. Values hold no "%", so the order of replacement does not matter."""
    replaced = "".join(
        f"|replace({json.dumps('%' + directive)}, {json.dumps(said)})" for directive, said in _SAID.items()
    )
    return (
        f"{{%- macro {_CLOCK}(format) -%}}{{%- for part in format.split('%%') -%}}{{{{ part{replaced} }}}}"
        # A line break behind a block is not written (trim_blocks), and the template's own beginning is left alone.
        "{%- if not loop.last -%}%{%- endif -%}{%- endfor -%}{%- endmacro %}\n"
    )


_MACRO = _macro()


def _pinned(source: str) -> str:
    return _MACRO + source if _CLOCK in source and f"macro {_CLOCK}(" not in source else source
