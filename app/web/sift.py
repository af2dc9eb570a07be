"""/api/sift: which files of a folder to send, before any of them is."""

from typing import Any

from fastapi import APIRouter

from app.access.limits import Work
from app.contexts.readers import read_apart
from app.contexts.sift import sift
from app.web import context_answers
from app.web.description import gives, problems
from app.web.rooms import InRooms, Visiting
from app.web.schemas import SiftBody, left_out_json

router = APIRouter(prefix="/api/sift", tags=["contexts"])


@router.post(
    "",
    response_model=None,
    responses=gives(200, context_answers.Sifted, "Which files to send.")
    | problems("invalid_request", "body_too_large", "limit_reached"),
)
async def sift_folder(body: SiftBody, rooms: InRooms, visitor: Visiting) -> dict[str, Any]:
    """Which files of a folder to send: what is to be left out need not leave its machine. Keeps nothing."""
    await rooms.limits.work(visitor, Work.SIFTING)
    rules = {path: content.encode("utf-8", "surrogatepass") for path, content in body.gitignores.items()}
    sifted = await read_apart(lambda: sift(body.paths, rules))
    return {"taken": sifted.taken} | left_out_json(sifted.skipped, sifted.ignored)
