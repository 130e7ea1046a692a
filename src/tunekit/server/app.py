"""The ASGI application: routes behind a guard, as a host mounts it. Knows how the parts are put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount, Route, Router

from tunekit._settings import Settings
from tunekit.backends.base import Backend
from tunekit.errors import SpecError
from tunekit.refs import Target
from tunekit.server import batches, files, graders, inference, jobs, models, uploads
from tunekit.server.background import Background
from tunekit.server.disk import Disk
from tunekit.server.guard import Guard
from tunekit.server.keys import Keys
from tunekit.server.ledger import Ledger
from tunekit.server.limits import Limits
from tunekit.server.problems import answer
from tunekit.server.service import Served, Service
from tunekit.server.webhooks import Webhook
from tunekit.store.base import RunStore
from tunekit.store.sqlite import SqliteStore

ROUTES: Sequence[Route] = (
    *files.ROUTES,
    *uploads.ROUTES,
    *jobs.ROUTES,
    *inference.ROUTES,
    *graders.ROUTES,
    *models.ROUTES,
    *batches.ROUTES,
)


def create_app(
    models: Mapping[str, str | Served],
    *,
    keys: Mapping[str, str] | Keys,
    backends: Sequence[Backend] = (),
    limits: Limits | None = None,
    webhooks: Sequence[Webhook] = (),
    store: RunStore | None = None,
    settings: Settings | None = None,
) -> Starlette:
    """OpenAI's fine-tuning API in front of any backend, as an ASGI application.

    Routes lie at `/v1/...`. Mount it where you like, or run it alone. Several processes may serve the same `settings`
    and `store`: they share the work, and what one leaves undone another finishes.

    Args:
        models: Base models by the name that callers use: a target, or a `Served` with more to say. Callers see no
            others.
        keys: API keys and the tenant of each; what one tenant makes no other sees.
        backends: Configured backends; one that is not given is loaded by its name.
        limits: How much a caller may ask for.
        webhooks: Whom to tell of the end of a job.
        store: Where runs are remembered; None is the SQLite store of the settings.
        settings: Knobs of the host; None reads the environment.

    Raises:
        SpecError: There is no model, or a key is not one.
        RefError: A target is not one.

    Examples:
        >>> from tunekit.testing import ScriptedBackend
        >>> app = create_app(
        ...     {"gpt-4.1-mini": "scripted:base"},
        ...     keys={"sk-of-the-support-team": "support"},
        ...     backends=[ScriptedBackend()],
        ... )
        >>> app.state.service.base("gpt-4.1-mini").target
        Target('scripted:base')
    """
    service = _service(models, keys, backends, limits, webhooks, store, settings)
    background = Background(service)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        background.ensure_running()
        try:
            yield
        finally:
            await background.aclose()
            service.ledger.close()

    app = Starlette(
        # No redirects: where to, the `Host` header would say, which anybody may write.
        routes=[Mount("/v1", app=Router(ROUTES, redirect_slashes=False))],
        middleware=[Middleware(Guard, service=service, background=background)],
        exception_handlers={HTTPException: answer},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.service, app.state.background = service, background
    return app


def _service(
    models: Mapping[str, str | Served],
    keys: Mapping[str, str] | Keys,
    backends: Sequence[Backend],
    limits: Limits | None,
    webhooks: Sequence[Webhook],
    store: RunStore | None,
    settings: Settings | None,
) -> Service:
    settings = settings or Settings()
    if not models:
        raise SpecError(
            "there is no model to serve", hint='for example {"gpt-4.1-mini": "local:Qwen/Qwen3-0.6B"}'
        )
    served = {
        name: model if isinstance(model, Served) else Served(target=Target(model))
        for name, model in models.items()
    }
    home = settings.home / "server"
    return Service(
        served=served,
        backends={backend.name: backend for backend in backends},
        keys=keys if isinstance(keys, Keys) else Keys(keys),
        limits=limits or Limits(),
        store=SqliteStore(settings) if store is None else store,
        settings=settings,
        ledger=Ledger(home / "ledger.sqlite3"),
        disk=Disk(home / "files"),
        webhooks=tuple(webhooks),
    )
