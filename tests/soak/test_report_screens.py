"""The report page in a real browser: nothing runs over the edge of a phone, and every text can be read in both schemes.

It needs chromium (`apt-get install chromium`). The pictures stay in the directory that pytest names, to be looked at.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from tests.unit.evaluation.report.made import comparison
from tunekit.data.dataset import Dataset
from tunekit.evaluation.arms.arm import Arm
from tunekit.evaluation.arms.results import Arms
from tunekit.evaluation.compare import Rule
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.report.html import page
from tunekit.evaluation.scorers import ExactMatch, LabelMetric

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

# The page allows no script, so the one that measures it stands around it.
_MEASURE = """<!doctype html><meta charset="utf-8"><iframe width="WIDTH" height="900" srcdoc="PAGE"></iframe><pre></pre>
<script>
const frame = document.querySelector("iframe");
const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
const over = (top, back) => {
  const alpha = top[3] ?? 1;
  return top.slice(0, 3).map((value, at) => value * alpha + back[at] * (1 - alpha));
};
const light = colour => {
  const [r, g, b] = colour.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
frame.onload = () => {
  const inside = frame.contentDocument, style = frame.contentWindow.getComputedStyle;
  for (const fold of inside.querySelectorAll("details")) fold.open = true;
  const pale = [];
  const behind = node => {
    if (!node) return numbers(style(inside.body).backgroundColor);
    return over(numbers(style(node).backgroundColor), behind(node.parentElement));
  };
  for (const node of inside.body.querySelectorAll("*")) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!own || node.closest("title, desc")) continue;
    const text = numbers(node.closest("svg") ? style(node).fill : style(node).color);
    const [a, b] = [light(over(text, behind(node))), light(behind(node))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) pale.push([node.tagName, node.textContent.slice(0, 40), (a + .05) / (b + .05)]);
  }
  const wide = inside.documentElement.scrollWidth, dark = style(inside.body).backgroundColor;
  document.querySelector("pre").textContent = JSON.stringify({wide, dark, pale});
};
</script>"""


@pytest.fixture(scope="module", params=["comparison", "arms"])
def html(request: pytest.FixtureRequest) -> str:
    return page(lineup() if request.param == "arms" else compared())


def lineup() -> Arms:
    rows = [{"prompt": f"{n}", "completion": f"{n % 4}"} for n in range(300)]
    scorers = [ExactMatch(), LabelMetric("f1_macro")]
    return Evaluator(Dataset.from_records(rows), scorers=scorers, margin=0.02).arms(
        base=lambda prompt: "0",
        few=Arm(model=lambda prompt: str(int(prompt) % 3), name="few-shot, with a name that is rather long"),
        tuned=Arm(model=lambda prompt: str(int(prompt) % 4), name="tuned", training_usd=25.0),
    )


def compared() -> Comparison:
    return comparison(
        300, [*"abcd", *(f"a_class_with_a_long_name_{at}" for at in range(20))], rule=Rule(margin=0.01)
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_and_can_be_read(html: str, tmp_path: Path, width: int, scheme: str) -> None:
    measure = tmp_path / "measure.html"
    measure.write_text(_MEASURE.replace("WIDTH", str(width)).replace("PAGE", escape(html)))
    dumped = browsed(measure, width, scheme, "--dump-dom")
    [found] = re.findall(r"<pre>(\{.*?\})</pre>", dumped)
    seen: dict[str, Any] = json.loads(unescape(found))
    assert seen["wide"] <= width
    assert seen["pale"] == []
    assert (seen["dark"] != "rgb(255, 255, 255)") == (scheme == "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_its_picture_can_be_looked_at(html: str, tmp_path: Path, width: int, scheme: str) -> None:
    place, picture = tmp_path / "report.html", tmp_path / f"{width}-{scheme}.png"
    place.write_text(html)
    browsed(place, width, scheme, f"--screenshot={picture}")
    assert picture.stat().st_size > 20_000


def browsed(place: Path, width: int, scheme: str, what: str) -> str:
    """What chromium prints of a page. It has its own profile, and asks no network."""
    assert CHROMIUM is not None
    command = [
        *(
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
        ),
        *(f"--user-data-dir={place.parent / 'profile'}", f"--window-size={width},4000"),
        f"--blink-settings=preferredColorScheme={int(scheme == 'light')}",
        *("--virtual-time-budget=5000", what, place.as_uri()),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
