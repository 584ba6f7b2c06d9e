"""Links to algorithm stores: ``/algorithmstore``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BeforeValidator, Field
from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from vantage6.server.api.collaboration import find_collaboration
from vantage6.server.auth.caller import Caller
from vantage6.server.auth.visibility import visible
from vantage6.server.call import ByUser, ByUserOrNode, Call, Work
from vantage6.server.model.tables import AlgorithmStore, Task
from vantage6.server.stores import Errand, is_on_this_machine, own_address
from vantage6.web.errors import Refusal, bad_request, lacks_permission, not_found, unauthorized
from vantage6.web.links import Links
from vantage6.web.pagination import Paged
from vantage6.web.parameters import Body, Flag, Id, Pattern, WebAddress
from vantage6.web.responses import JSON
from vantage6.web.rules import Operation, Scope

router = APIRouter(tags=["algorithmstore"])

_SORT = {
    "id": AlgorithmStore.id,
    "name": AlgorithmStore.name,
    "url": AlgorithmStore.url,
    "collaboration_id": AlgorithmStore.collaboration_id,
}


def _bare(value: Any) -> Any:
    # The contract's client sends the id as the only one of a list.
    return value[0] if isinstance(value, list) and len(value) == 1 else value


StoreName = Annotated[str, Field(min_length=1, max_length=128)]
CollaborationId = Annotated[Id | None, BeforeValidator(_bare)]


class NewStore(Body):
    """A store to link; without a collaboration it is for all."""

    name: StoreName
    algorithm_store_url: WebAddress
    collaboration_id: CollaborationId = None
    server_url: WebAddress | None = None
    force: bool = False

    @property
    def url(self) -> str:
        """The store's address as it is kept."""
        return self.algorithm_store_url.rstrip("/")


class StoreChange(Body):
    """What may change of a link; the addresses are accepted but stay."""

    name: StoreName = ""
    collaboration_id: CollaborationId = None
    algorithm_store_url: WebAddress | None = None
    server_url: WebAddress | None = None
    force: bool | None = None


def store_json(store: AlgorithmStore, link: Links) -> dict[str, Any]:
    """A store as the contract shows it."""
    return {
        "id": store.id,
        "name": store.name,
        "url": store.url,
        "collaborations": None
        if store.collaboration_id is None
        else link.many("collaboration", "algorithm_store_id", store.id),
    }


def find_store(db: Session, id_: int) -> AlgorithmStore:
    """The store with an id.

    Raises
    ------
    Refusal
        404 if there is none.
    """
    store = db.get(AlgorithmStore, id_)
    if store is None:
        raise not_found(f"Algorithm store id={id_} not found!")
    return store


def errand(call: Call, store_url: str, server_url: str | None) -> Errand:
    """What a store must know to answer the caller.

    Raises
    ------
    Refusal
        400 if nobody says what our own address is.
    """
    config = call.services.config
    return Errand(
        store_url=store_url,
        server_url=own_address(server_url, config.server_url, config.api_path),
        authorization=call.request.headers["authorization"],
    )


@router.get("/algorithmstore")
def list_algorithm_stores(
    call: ByUser,
    page: Paged,
    name: Pattern | None = None,
    url: Pattern | None = None,
    collaboration_id: Id | None = None,
) -> JSON:
    """List the stores of the caller's collaborations and those for all."""
    with call.read() as work:
        where: list[ColumnElement[bool]] = [visible(work.caller, "algorithmstore")]
        if name is not None:
            where.append(AlgorithmStore.name.like(name))
        if url is not None:
            where.append(AlgorithmStore.url.like(url))
        if collaboration_id is not None:
            find_collaboration(work.db, collaboration_id)
            _must_see(work.caller, collaboration_id)
            where.append(
                or_(
                    AlgorithmStore.collaboration_id == collaboration_id,
                    AlgorithmStore.collaboration_id.is_(None),
                )
            )
        return page.fetch(
            work.db,
            select(AlgorithmStore).where(*where),
            lambda rows: [store_json(row[0], work.link) for row in rows],
            sort=_SORT,
            default=AlgorithmStore.id,
        )


@router.post("/algorithmstore", status_code=201)
async def create_algorithm_store(call: ByUser, body: NewStore) -> JSON:
    """Link a store to a collaboration or to all; the store is told of this server."""
    await run_in_threadpool(_check_link, call, body)
    await call.services.stores.link(errand(call, body.url, body.server_url), force=body.force)
    return await run_in_threadpool(_link, call, body)


def _check_link(call: Call, body: NewStore) -> None:
    with call.read() as work:
        _check_new(work, body)
    if is_on_this_machine(body.url) and not body.force:
        raise bad_request(
            "An algorithm store at localhost can be reached from this machine only. To link it "
            "nevertheless, set 'force'"
        )


def _link(call: Call, body: NewStore) -> JSON:
    with call.write() as work:
        # Again: the store was asked outside of any transaction, and much may have happened.
        _check_new(work, body)
        store = AlgorithmStore(name=body.name, url=body.url, collaboration_id=body.collaboration_id)
        work.db.add(store)
        work.db.flush()
        _supersede(work.db, store)
        return JSON(store_json(store, work.link), 201)


@router.get("/algorithmstore/{id_:int}")
def get_algorithm_store(call: ByUserOrNode, id_: int) -> JSON:
    """Get one store."""
    with call.read() as work:
        store = find_store(work.db, id_)
        _must_see(work.caller, store.collaboration_id)
        return JSON(store_json(store, work.link))


@router.patch("/algorithmstore/{id_:int}")
def update_algorithm_store(call: ByUser, id_: int, body: StoreChange) -> JSON:
    """Rename a store, or link it to another collaboration or (null) to all."""
    with call.write() as work:
        store = find_store(work.db, id_)
        work.caller.must("collaboration", Operation.EDIT, collaboration=store.collaboration_id)
        changes = body.model_dump(include={"name", "collaboration_id"}, exclude_unset=True)
        new = changes.pop("collaboration_id", store.collaboration_id)
        if new != store.collaboration_id:
            if new is not None:
                find_collaboration(work.db, new)
            work.caller.must("collaboration", Operation.EDIT, collaboration=new)
            _refuse_linked(work.db, store.url, new)
            store.collaboration_id = new
            work.db.flush()
            _supersede(work.db, store)
        store.name = changes.get("name", store.name)
        return JSON(store_json(store, work.link))


@router.delete("/algorithmstore/{id_:int}")
async def delete_algorithm_store(
    call: ByUser, id_: int, server_url: WebAddress | None = None, force: Flag = False
) -> JSON:
    """Remove the link to a store, which is told; tasks made with it stay.

    If other collaborations use the same store, only with global rights, and for all of them. With
    `force` also if the store cannot be reached or refuses.
    """
    url = await run_in_threadpool(_check_unlink, call, id_)
    try:
        await call.services.stores.unlink(errand(call, url, server_url))
    except Refusal:
        if not force:
            raise
    return await run_in_threadpool(_unlink, call, id_)


def _check_unlink(call: Call, id_: int) -> str:
    with call.read() as work:
        return _find_to_unlink(work, id_).url


def _unlink(call: Call, id_: int) -> JSON:
    with call.write() as work:
        store = _find_to_unlink(work, id_)
        work.db.execute(delete(AlgorithmStore).where(AlgorithmStore.url == store.url))
        return JSON({"msg": f"Algorithm store id={id_} successfully deleted"})


def _find_to_unlink(work: Work, id_: int) -> AlgorithmStore:
    store = find_store(work.db, id_)
    work.caller.must("collaboration", Operation.EDIT, collaboration=store.collaboration_id)
    shared = work.db.scalar(
        select(AlgorithmStore.id).where(
            AlgorithmStore.url == store.url, AlgorithmStore.id != store.id
        )
    )
    if shared and not work.caller.rights.has("collaboration", Operation.EDIT, Scope.GLOBAL):
        raise unauthorized(
            "Other collaborations use this algorithm store as well: only somebody who may edit "
            "all collaborations can delete it"
        )
    return store


def _must_see(caller: Caller, collaboration_id: int | None) -> None:
    """A store for all belongs to everybody, any other to the members of its collaboration."""
    own = collaboration_id is None or caller.is_in(collaboration_id)
    if not caller.may(
        "collaboration",
        Operation.VIEW,
        organization=caller.organization_id if own else None,
    ):
        raise lacks_permission()


def _check_new(work: Work, body: NewStore) -> None:
    if body.collaboration_id is not None:
        find_collaboration(work.db, body.collaboration_id)
    work.caller.must("collaboration", Operation.EDIT, collaboration=body.collaboration_id)
    _refuse_linked(work.db, body.url, body.collaboration_id)


def _supersede(db: Session, store: AlgorithmStore) -> None:
    """A link for all takes the place of those of single collaborations."""
    if store.collaboration_id is not None:
        return
    others = select(AlgorithmStore.id).where(
        AlgorithmStore.url == store.url, AlgorithmStore.id != store.id
    )
    db.execute(
        update(Task)
        .where(Task.algorithm_store_id.in_(others))
        .values(algorithm_store_id=store.id)
        .execution_options(synchronize_session=False)
    )
    db.execute(
        delete(AlgorithmStore)
        .where(AlgorithmStore.url == store.url, AlgorithmStore.id != store.id)
        .execution_options(synchronize_session=False)
    )


def _refuse_linked(db: Session, url: str, collaboration_id: int | None) -> None:
    linked = db.scalars(
        select(AlgorithmStore.collaboration_id).where(AlgorithmStore.url == url)
    ).all()
    if None in linked:
        raise bad_request("Algorithm store is already available for all collaborations")
    if collaboration_id is not None and collaboration_id in linked:
        raise bad_request("Algorithm store is already available for this collaboration")
