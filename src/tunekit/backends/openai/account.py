"""What an account has beside its jobs: models, and who may use a checkpoint. Knows no training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunekit.backends.openai import listing, wire
from tunekit.backends.openai.remote import RemoteModel
from tunekit.backends.openai.transport import Call, Safety, Transport
from tunekit.data.wording import brief
from tunekit.errors import NotFoundError, SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Leave for a project to use a checkpoint.

    Attributes:
        id: What it is withdrawn by.
        project_id: The project.
        created_at: When it was given, in Unix seconds.
    """

    id: str
    project_id: str
    created_at: float = 0.0


async def models(transport: Transport) -> list[RemoteModel]:
    """Every model that the account sees."""
    return await listing.everything(transport, "/models", wire.listed_model, size=None)


async def model(transport: Transport, name: str) -> RemoteModel | None:
    """What the host says of a model; None if it does not know it by this name."""
    try:
        reply = await transport.send(Call(method="GET", path=_model_path(name), safety=Safety.READ))
    except NotFoundError:
        return None
    return wire.model(reply.json())


async def delete_model(transport: Transport, name: str) -> None:
    """Remove a tuned model."""
    await transport.send(Call(method="DELETE", path=_model_path(name), safety=Safety.REPEATABLE))


async def permissions(transport: Transport, checkpoint: str) -> list[Permission]:
    """Who may use a checkpoint. Needs an admin's key."""
    return await listing.everything(transport, _path(checkpoint), _permission)


async def permit(transport: Transport, checkpoint: str, project_ids: Sequence[str]) -> list[Permission]:
    """Let projects use a checkpoint. Needs an admin's key.

    Raises:
        SpecError: The projects are not a list: a text would be taken for one project a letter.
    """
    if isinstance(project_ids, str):
        raise SpecError(f"project_ids is {brief(project_ids)}", hint=f"write [{brief(project_ids)}]")
    body = {"project_ids": list(project_ids)}
    call = Call(method="POST", path=_path(checkpoint), safety=Safety.REPEATABLE, body=body)
    return list(wire.page((await transport.send(call)).json(), _permission).items)


async def forbid(transport: Transport, checkpoint: str, permission_id: str) -> None:
    """Withdraw the leave. Needs an admin's key."""
    path = f"{_path(checkpoint)}/{wire.quoted(permission_id)}"
    await transport.send(Call(method="DELETE", path=path, safety=Safety.REPEATABLE))


def _model_path(name: str) -> str:
    return f"/models/{wire.quoted(name)}"


def _path(checkpoint: str) -> str:
    return f"/fine_tuning/checkpoints/{wire.quoted(checkpoint)}/permissions"


def _permission(body: Any) -> Permission:
    return Permission(
        id=wire.id_of(body, "a permission"),
        project_id=wire.text(body, "project_id"),
        created_at=wire.number(body, "created_at"),
    )
