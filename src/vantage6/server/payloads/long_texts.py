"""Routes whose bodies may hold long texts: inputs and results that are sent inline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from vantage6.server.payloads.cutting import SHORT, Cutter, LongText
from vantage6.server.payloads.store import PIECE
from vantage6.server.services import Services
from vantage6.web.front import Message

_SCOPE = "vantage6.long_texts"


def long_text(request: Request, text: str) -> LongText | None:
    """The text that was cut out of the body where now `text` stands; None if that is the text."""
    texts: Mapping[str, LongText] = request.scope.get(_SCOPE, {})
    return texts.get(text)


class _WithLongTexts(APIRoute):
    key: str
    depth: int
    refused: bool

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if _is_short(request):
                return await handler(request)
            # Nobody is listened to for so long who cannot show a token.
            services: Services = request.app.state.services
            services.tokens.verify(request.headers.get("authorization"))
            cutter = Cutter(self.key, self.depth, refused=self.refused)
            try:
                async for chunk in request.stream():
                    for begin in range(0, len(chunk), PIECE):
                        cutter.feed(chunk[begin : begin + PIECE])
                        await asyncio.sleep(0)  # others get their turn
            except ClientDisconnect:
                raise HTTPException(400, "There was an error parsing the body") from None
            rest = cutter.finish()
            request.scope[_SCOPE] = cutter.texts

            async def receive() -> Message:
                return {"type": "http.request", "body": rest, "more_body": False}

            return await handler(Request(request.scope, receive))

        return handle


def _is_short(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return length.isdecimal() and int(length) <= SHORT


class WithInputs(_WithLongTexts):
    """``{"organizations": [{"input": …}]}``."""

    key, depth, refused = "input", 3, True


class WithResult(_WithLongTexts):
    """``{"result": …}``."""

    key, depth, refused = "result", 1, False
