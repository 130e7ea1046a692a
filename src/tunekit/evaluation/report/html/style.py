"""The look of the page, in light, in dark and on paper. Knows colours and widths only.

Text has at least 4.5 times the contrast of what is behind it (WCAG 2.2 AA) in both schemes, and no meaning is in a
colour alone.
"""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --back: #fff; --text: #1a1a1a; --quiet: #565b63; --line: #c9ccd1; --soft: #f4f5f7;
  --a: #6b4fa0; --b: #1f6fc4; --heat: 31 111 196; --wrong: 200 90 20;
  --better: #1a7f37; --worse: #b42318; --equivalent: #0b5cad; --inconclusive: #805300;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #16181c; --text: #e8e8e8; --quiet: #a8adb5; --line: #434851; --soft: #1f2228;
    --a: #b79cf0; --b: #6cb6ff; --heat: 88 166 255; --wrong: 240 140 60;
    --better: #4ac26b; --worse: #ff8178; --equivalent: #6cb6ff; --inconclusive: #e3b341;
  }
}
* { box-sizing: border-box; }
body {
  font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 64rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere;
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: .2rem 0 .6rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 1.4rem 0 .4rem; }
h4 { font-size: .9rem; margin: .6rem 0 .3rem; color: var(--quiet); font-weight: 600; }
p { margin: .4rem 0; }
.quiet { color: var(--quiet); font-size: .9rem; }
.better { --tone: var(--better); } .worse { --tone: var(--worse); }
.equivalent { --tone: var(--equivalent); } .inconclusive { --tone: var(--inconclusive); }
.a { --tone: var(--a); } .b { --tone: var(--b); }
.verdict { border-left: .4rem solid var(--tone); padding-left: .9rem; }
.verdict h1, strong.tone { color: var(--tone); }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; margin: 1rem 0; }
.card > :first-child { margin-top: 0; }
figure { margin: .6rem 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 0 2rem; }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin-top: .8rem; }
.sides > div { min-width: 0; border-top: .2rem solid var(--tone); padding-top: .3rem; }
dl { margin: .5rem 0; }
dl div { display: grid; grid-template-columns: 12rem 1fr; gap: 0 1rem; padding: .15rem 0; }
dt { color: var(--quiet); }
dd { margin: 0; min-width: 0; }
ul { padding-left: 1.2rem; }
.said {
  white-space: pre-wrap; font: .875rem/1.45 ui-monospace, monospace; background: var(--soft);
  border-radius: .3rem; padding: .5rem .6rem; margin: .2rem 0;
}
summary { cursor: pointer; padding: .3rem 0; }
summary:focus-visible, .wide:focus-visible { outline: 3px solid var(--equivalent); outline-offset: 2px; }
.wide { overflow-x: auto; margin: .3rem 0; }
table { border-collapse: collapse; font-size: .9rem; overflow-wrap: normal; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; vertical-align: top; border-bottom: 1px solid var(--line); }
th[scope=row] { font-weight: 600; min-width: 7rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.number { white-space: normal; }
.matrix td, .matrix th { padding: .3rem .45rem; text-align: right; min-width: 2.2rem; }
.matrix th[scope=row] { text-align: left; font-weight: 400; }
.matrix td.right { background: rgb(var(--heat) / calc(.05 * var(--share))); }
.matrix td.wrong { background: rgb(var(--wrong) / calc(.05 * var(--share))); }
svg { display: block; width: 100%; max-width: 27rem; height: auto; margin: .4rem 0; }
svg.square { max-width: 22rem; }
svg text { font-size: 12px; fill: var(--text); paint-order: stroke; stroke: var(--back); stroke-width: 4px; }
svg.square text { font-size: 9px; }
svg path { fill: none; stroke: var(--quiet); stroke-width: 1; }
svg .zone { fill: var(--quiet); fill-opacity: .18; }
svg .zero { stroke: var(--text); stroke-width: 1.5; }
svg .mark, svg .ideal { stroke-dasharray: 4 3; stroke: var(--text); }
svg .line { fill: none; stroke: var(--tone); stroke-width: 3; }
svg .thin { stroke-width: 1.5; }
svg .point { fill: var(--tone); }
svg.square .point { fill-opacity: .85; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .6rem; }
@media (max-width: 40rem) {
  body { padding: .75rem; }
  h1 { font-size: 1.5rem; }
  .sides { grid-template-columns: 1fr; }
  dl div { grid-template-columns: 1fr; padding: .3rem 0; }
}
@media print {
  :root { --back: #fff; --text: #000; --quiet: #444; --soft: #fff; --a: #6b4fa0; --b: #1f6fc4; --better: #1a7f37;
    --worse: #b42318; --equivalent: #0b5cad; --inconclusive: #805300; --line: #999; color-scheme: light; }
  body { max-width: none; font-size: 11pt; padding: 0; }
  .card, tr, svg { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .wide { overflow: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
