"""`OpenAIBackend`: fine-tuning and inference at OpenAI and every host of its dialect. Knows the seam; not HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, ClassVar

from tunekit._clock import Clock, SystemClock
from tunekit._settings import Settings
from tunekit.backends.base import (
    Backend,
    EventPage,
    GenerateRequest,
    Generation,
    ScoreRequest,
    Scores,
    Snapshot,
    SubmitRequest,
    Version,
    all_answered,
)
from tunekit.backends.capabilities import Capabilities
from tunekit.backends.openai import (
    account,
    by_batch,
    connecting,
    embeddings,
    events,
    fitting,
    hosts,
    inference,
    lifecycle,
    money,
    results,
    scoring,
    translate,
    wire,
)
from tunekit.backends.openai.account import Permission
from tunekit.backends.openai.batches import Batches
from tunekit.backends.openai.files import Files
from tunekit.backends.openai.handover import Handover
from tunekit.backends.openai.jobs import Jobs, oldest_live
from tunekit.backends.openai.lifecycle import Inventory
from tunekit.backends.openai.questions import Asking, PlainText
from tunekit.backends.openai.remote import RemoteJob, RemoteModel
from tunekit.backends.openai.secret import Key
from tunekit.backends.openai.transport import Transport
from tunekit.data.wording import brief
from tunekit.errors import NotFoundError, SpecError, TunekitError, UnsupportedError
from tunekit.events import JobState
from tunekit.spec import Sampling, TuneSpec

if TYPE_CHECKING:
    from tunekit.data.advice.cost import Price


class OpenAIBackend(Backend):
    """Fine-tunes at OpenAI, or at another host that speaks its API.

    Args:
        host: Whose rules hold: "openai", "foundry", "bedrock", "nebius", "crusoe", "litellm", "portkey", "vllm", or
            "generic" for any other. "openai" with a `base_url` that is not OpenAI's is "generic".
        api_key: The key, or a function that gives it; None reads the environment, for OpenAI `TUNEKIT_OPENAI_API_KEY`
            and then `OPENAI_API_KEY`. It is kept secret.
        base_url: Address of the API; None takes the host's, for OpenAI after `TUNEKIT_OPENAI_BASE_URL` and
            `OPENAI_BASE_URL`. Off the loopback, https only.
        organization: For keys that belong to several.
        project: Likewise.
        headers: Sent with every call; never a secret.
        query: Sent with every call, such as LiteLLM's `custom_llm_provider`.
        files_expire_after_s: When the host shall remove what is uploaded; from an hour to 30 days, None keeps it.
        min_days_left: Refuse a job whose base stops answering in fewer days, by what the host says or else its
            profile; None only warns where the profile knows of fewer than 60.
        requests_at_once: How many questions of one `generate` are asked at a time.
        plain_text: What a prompt that is a plain text is: something that a user says in a "chat", or a text to go on
            with, as base models do ("completion"); "auto" goes by the name of the model.
        batch_from: From how many questions on a `generate` hands them in as a batch, for half the price and an answer
            within a day; None never does.
        answer_timeout_s: How long an answer of a model may take; of a stream, until its next piece.
        name: The part before the colon in a target, for products that use several hosts.
        transport: Carries the calls in place of one that is made of the above.
        clock: What core waits by.
        settings: Knobs of the library; the key of the host is none of them.

    Raises:
        SpecError: There is no such host, no key, or no safe address.

    Examples:
        >>> address = "https://acme.openai.azure.com/openai/v1"
        >>> backend = OpenAIBackend(host="foundry", base_url=address, api_key="k-1234")
        >>> backend, sorted(backend.capabilities.methods)
        (<OpenAIBackend foundry at https://acme.openai.azure.com/openai/v1>, ['dpo', 'rft', 'sft'])
    """

    name: ClassVar[str] = "openai"
    capabilities: ClassVar[Capabilities] = hosts.host_of("openai").capabilities()

    def __init__(
        self,
        *,
        host: str = "openai",
        api_key: Key = None,
        base_url: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        files_expire_after_s: int | None = None,
        min_days_left: int | None = None,
        requests_at_once: int = 8,
        plain_text: PlainText = "auto",
        batch_from: int | None = None,
        answer_timeout_s: float = connecting.ANSWER_TIMEOUT_S,
        name: str = "openai",
        transport: Transport | None = None,
        clock: Clock | None = None,
        settings: Settings | None = None,
    ) -> None:
        key, api_key = api_key, None  # a traceback may show what the variables of its frames hold
        connecting.check_values(files_expire_after_s, requests_at_once, plain_text, batch_from)
        given = base_url or connecting.base_url_from_environment(host)
        self._host = hosts.serving(host, given)
        self._base_url = hosts.address(self._host, given)
        if transport is None:
            transport = connecting.connected(
                self._host,
                self._base_url,
                connecting.key_from_environment(self._host.key_variables) if key is None else key,
                backend=name,
                organization=organization or "",
                project=project or "",
                headers=headers or {},
                query=query or {},
            )
        del key
        self.clock, self.place = clock or SystemClock(), self._base_url
        self._transport, self._answering = transport, connecting.patient(transport, answer_timeout_s)
        self._at_once, self._min_days_left = requests_at_once, min_days_left
        self._asking, self._batch_from = Asking(host=self._host, plain_text=plain_text), batch_from
        # Each question is a call of its own, unless they are handed in as a batch.
        self.answers_apart = requests_at_once if batch_from is None else 0
        self._jobs = Jobs(transport=transport)
        self._files = Files(
            transport=transport,
            clock=self.clock,
            takes_parts=self._host.uploads,
            expire_after_s=files_expire_after_s,
        )
        self._handover = Handover(host=self._host, files=self._files, backend=name)
        # Claims are of a class; here each instance may speak to another host.
        self.__dict__.update(name=name, capabilities=self._host.capabilities())

    def __repr__(self) -> str:
        return f"<OpenAIBackend {self._host.name} at {self._base_url}>"

    # --- jobs -----------------------------------------------------------------------------------------

    async def submit(self, request: SubmitRequest) -> str:
        """Upload the data, unless they are there already, and start one job.

        Raises:
            PreflightError: The host would refuse or ignore something; nothing was sent.
            DataError: A row cannot be written in the host's shape; nothing was sent.
            BackendError: The host refused; `ambiguous` where there may be a job all the same.
            DeadlineError: No answer came; there may be a job all the same.
        """
        today = self._today()
        fitting.check(request, self._host, backend=self.name, today=today)
        await lifecycle.check_days(
            self._transport,
            self._host,
            translate.base_of(request),
            at_least=self._min_days_left,
            today=today,
            backend=self.name,
        )
        training_file, validation_file = await self._handover.ids(request)
        body = translate.create_body(
            request, self._host, training_file=training_file, validation_file=validation_file
        )
        return await self._jobs.create(body)

    def price(self, model: str, spec: TuneSpec) -> Price | None:
        """What a source says that this host asks; None where none is at hand."""
        return money.price_at(self._host, model)

    async def snapshot(self, job_id: str) -> Snapshot:
        """Where the job stands; a state that is not known here is RUNNING.

        Of a host that only keeps checkpoints, the model is the last of these, as its deploy step takes it. What a job
        will have cost is projected nowhere: no host tells how much is left, or when it began to bill.
        """
        seen = translate.snapshot_of(await self._jobs.of(job_id))
        if seen.state is not JobState.SUCCEEDED or not self._host.deploy:
            return seen
        model = seen.model
        if not model and self.capabilities.supports("checkpoints"):
            model = next(reversed(await self.checkpoints(job_id)), None)
        return replace(seen, model=model, deploy=self._host.deploy)

    async def events(self, job_id: str, cursor: str | None) -> EventPage:
        """The job's log behind the cursor, with the changes of its state; the end comes last."""
        job = await self._jobs.of(job_id)  # first: of a job that has ended, the log is whole by then
        path = self._jobs.events_path(job_id) if self._host.lists_events else ""
        newest_first, deploy = self._host.lists_newest_first, self._host.deploy
        return await events.read(self._transport, job, path, cursor, newest_first=newest_first, deploy=deploy)

    async def find(self, idempotency_key: str) -> str | None:
        """The job with this key, by its tag; where a host cannot look for that, by the name of its training file."""
        if self._host.finds_by == "metadata":
            found = await self._jobs.tagged(idempotency_key)
        else:
            found = await self._handover.jobs_with(idempotency_key, await self._jobs.all())
        job = oldest_live(found, idempotency_key)
        return job.id if job else None

    async def jobs(self) -> tuple[RemoteJob, ...]:
        """Every job of the account as the host tells it, in its order; whoever made them."""
        return tuple(await self._jobs.all())

    async def cancel(self, job_id: str) -> None:
        """Ask the host to stop the job. One that has ended is left as it is."""
        self._claim("cancel")
        await self._jobs.turn(job_id, "cancel", pointless=())

    async def pause(self, job_id: str) -> None:
        """Ask the host to stop the job where it can go on; what it has learned so far becomes a checkpoint."""
        self._claim("pause")
        await self._jobs.turn(job_id, "pause", pointless=(JobState.PAUSED,))

    async def resume(self, job_id: str) -> None:
        """Let a paused job go on. Any other job is left as it is."""
        self._claim("resume")
        await self._jobs.turn(job_id, "resume", pointless=(JobState.RUNNING, JobState.QUEUED))

    async def checkpoints(self, job_id: str) -> tuple[str, ...]:
        """Names of the models saved along the way, oldest first."""
        self._claim("checkpoints")
        found = await self._jobs.checkpoints(job_id)
        return tuple(item.model or f"{job_id}:{item.id}" for item in found)

    async def results(self, job_id: str) -> tuple[Mapping[str, float], ...]:
        """The job's result files as rows of numbers, by the host's own names for the columns; none before its end.

        Raises:
            NotFoundError: The host does not know the job.
            BackendError: A file is no table.
        """
        job = await self._jobs.of(job_id)
        contents = [await self._files.content(file_id) for file_id in job.result_files]
        return tuple(row for content in contents for row in results.rows_of(content))

    async def artifact(self, job_id: str) -> str:
        """Address of the tuned model at the host, which does not give its weights out.

        Raises:
            NotFoundError: There is none (yet).
        """
        model = translate.snapshot_of(await self._jobs.of(job_id)).model
        if not model:
            raise NotFoundError(
                f"job {brief(job_id)} has no model (yet)", hint="wait for its result", backend=self.name
            )
        return f"{self._base_url}/models/{wire.quoted(model)}"

    async def delete_artifacts(self, job_id: str) -> None:
        """Remove the tuned model, the result files, and those of our data files that no unfinished job needs.

        Raises:
            NotFoundError: The host does not know the job.
            SpecError: The job is still going on; cancel it first.
        """
        job = await self._jobs.of(job_id)
        if not translate.state_of(job).is_terminal:
            raise SpecError(f"job {brief(job_id)} is still going on", hint="cancel it and wait, then delete")
        if job.fine_tuned_model:
            with suppress(NotFoundError):
                await account.delete_model(self._transport, job.fine_tuned_model)
        unneeded = await self._handover.unneeded(job, await self._jobs.all())
        for file_id in (*job.result_files, *unneeded):
            await self._files.delete(file_id)

    # --- models ---------------------------------------------------------------------------------------

    async def version(self, model: str) -> Version:
        """The model's name, which stands for the same weights where the host's profile says so."""
        name = f"{model}, plain text as {self._asking.plain_text}"
        return Version(name=name, fixed=self._host.is_snapshot(model))

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        """Answers of the model, some at a time or as a batch.

        Raises:
            PartialError: Some of several questions have no answer; those of the others are in it.
        """

        async def one_by_one(some: Sequence[GenerateRequest]) -> list[Generation | TunekitError]:
            return await inference.outcomes(
                self._answering, model, some, sampling, asking=self._asking, at_once=self._at_once
            )

        with self._explained():
            if self._batch_from is None or len(requests) < self._batch_from:
                return all_answered(await one_by_one(requests))
            return await by_batch.generate(self.batches, model, requests, sampling, instead=one_by_one)

    async def stream(
        self, model: str, request: GenerateRequest, sampling: Sampling
    ) -> AsyncIterator[str | Generation]:
        """An answer as it is written."""
        pieces = inference.stream(self._answering, model, request, sampling, asking=self._asking)
        with self._explained():
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece

    async def score(self, model: str, requests: Sequence[ScoreRequest]) -> list[Scores]:
        """Log-probabilities of choices behind a plain text, where the host echoes one with them.

        Raises:
            UnsupportedError: It does not.
        """
        if not self.capabilities.supports("score"):
            raise UnsupportedError(
                f"backend {self.name!r} cannot score: {scoring.WHY_NOT}",
                hint="serve the model with vLLM (host='vllm'), or let it generate and compare the answers",
                backend=self.name,
            )
        with self._explained():
            return await scoring.score(self._answering, model, requests, at_once=self._at_once)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in order."""
        with self._explained():
            return await embeddings.embed(self._answering, model, texts, at_once=self._at_once)

    @property
    def batches(self) -> Batches:
        """Questions by the thousand at half the price, answered within a day."""
        return Batches(files=self._files, asking=self._asking)

    async def models(self) -> tuple[RemoteModel, ...]:
        """Every model that the account sees, with the day on which it stops answering where one is announced."""
        return tuple(await account.models(self._transport))

    async def tuned_models(self) -> Inventory:
        """Every tuned model of the account with its base and its days, those that stop answering soonest first."""
        return await lifecycle.tuned_models(self._transport, self._host, today=self._today())

    async def delete_model(self, model: str) -> None:
        """Remove a tuned model.

        Raises:
            NotFoundError: There is no such model.
        """
        await account.delete_model(self._transport, model)

    async def permissions(self, checkpoint: str) -> tuple[Permission, ...]:
        """Which projects may use a checkpoint. Needs an admin's key."""
        return tuple(await account.permissions(self._transport, checkpoint))

    async def permit(self, checkpoint: str, project_ids: Sequence[str]) -> tuple[Permission, ...]:
        """Let projects use a checkpoint. Needs an admin's key."""
        return tuple(await account.permit(self._transport, checkpoint, project_ids))

    async def forbid(self, checkpoint: str, permission_id: str) -> None:
        """Withdraw what `permit` gave. Needs an admin's key."""
        await account.forbid(self._transport, checkpoint, permission_id)

    async def aclose(self) -> None:
        """Let go of the connections and of uploads that nobody waits for. Jobs go on."""
        await self._handover.aclose()
        await self._transport.aclose()

    # --- inside ---------------------------------------------------------------------------------------

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Says of a model that does not answer what this host needs before one does."""
        try:
            yield
        except NotFoundError as error:
            hint = self._host.deploy or (
                f"{error.hint}; a model that was just trained may need some minutes, and answers its own project alone"
            )
            details = {**error.details, "deploy": self._host.deploy}
            raise NotFoundError(error.message, hint=hint, backend=self.name, details=details) from error

    def _today(self) -> date:
        return datetime.fromtimestamp(self.clock.now(), tz=UTC).date()

    def _claim(self, verb: str) -> None:
        if not self.capabilities.supports(verb):
            self._unsupported(verb)
