"""Secrets and personal data in any text of a row. Shows where they are and of what kind, never what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import Finding, ProposedFix, Rows, Severity
from tunekit.data.fixes.privacy import MaskPersonalData, MaskSecrets, personal_data_in
from tunekit.data.patterns import personal, secrets
from tunekit.data.patterns.sensitive import Sensitive, masked
from tunekit.data.views import texts
from tunekit.data.wording import counted
from tunekit.examples import Example


class Privacy(Check):
    """What a model would learn by heart and could tell anyone."""

    codes = ("secrets", "possible-secrets", "personal-data")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._secrets, self._possible, self._personal = _Found(), _Found(), _Found()

    def see(self, example: Example) -> None:
        """Look at all its texts."""
        row = list(texts(example))
        # One look at all texts of the row is several times as fast as one at each, and most rows have nothing.
        whole = "\n".join([text for _, text, _ in row])
        if self.context.find_personal_data is None and not secrets.find(whole) and not personal.find(whole):
            return
        for field, text, _ in row:
            for found in secrets.find(text):
                where = self._possible if found.kind == secrets.ASSIGNED else self._secrets
                where.add(example, field, text, found)
            for found in personal_data_in(text, self.context):
                self._personal.add(example, field, text, found)

    def findings(self) -> Iterable[Finding]:
        """Each of the three, where there is any."""
        yield from self._secrets.finding(
            "secrets",
            "error",
            "keys, tokens or passwords",
            "the model would learn them, and they are known to all who have the data: replace them where they are used",
            MaskSecrets.proposed(),
        )
        yield from self._possible.finding(
            "possible-secrets",
            "warning",
            "values that look like passwords or tokens by their names",
            "if they are real, the model would learn them",
            MaskSecrets.proposed(),
        )
        yield from self._personal.finding(
            "personal-data",
            "warning",
            "personal data",
            "the model may repeat them to anyone; names and postal addresses are not looked for without a detector"
            if self.context.find_personal_data is None
            else "the model may repeat them to anyone",
            MaskPersonalData.proposed(),
        )


class _Found:
    """Rows and kinds of one finding."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.kinds: Counter[str] = Counter()

    def add(self, example: Example, field: str, text: str, found: Sensitive) -> None:
        self.rows.add(example.id, field, masked(text, found))
        self.kinds[found.kind] += 1

    def finding(
        self, code: str, severity: Severity, what: str, so: str, fix: ProposedFix
    ) -> Iterator[Finding]:
        if self.rows:
            kinds = dict(self.kinds.most_common())
            shown = ", ".join(f"{counted(count, kind)}" for kind, count in kinds.items())
            yield Finding(
                code=code,
                severity=severity,
                message=f"{what} in {counted(len(self.rows), 'row')} ({shown}): {so}",
                rows=tuple(self.rows.ids),
                places=tuple(self.rows.places),
                fix=fix,
                facts={"kinds": kinds},
            )
