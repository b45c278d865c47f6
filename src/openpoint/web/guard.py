"""The door of the server: who has the token comes in, bodies have a limit, and pages may ask no other host."""

from __future__ import annotations

import hashlib
import hmac
import http.cookies
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self'"
)
"""NiceGUI compiles its templates in the browser and keeps its scripts in the page; nothing comes from another host."""
REPORT_POLICY = "sandbox allow-scripts allow-downloads; frame-ancestors 'self'"
"""Of pages of results, which have a policy of their own inside: they reach neither pages nor cookies of the server."""
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_NOT_IN = (
    "The address that `openpoint serve` printed lets you in; it has the token. Programs send it as a bearer token."
)


class Guard:
    """The application behind the door (ASGI)."""

    def __init__(self, application: Application, token: str, port: int, upload_mb: int) -> None:
        """`port`: the cookie is named by it, since browsers keep one cookie for all ports of a host."""
        self._application = application
        self._token = token
        self._cookie = f"openpoint_{port}"
        self._session = hashlib.sha256(f"openpoint session {token}".encode()).hexdigest()
        self._most = (upload_mb << 20) + (1 << 20)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        if scope["type"] == "websocket":
            if self._is_in(headers) and _same_origin(headers):
                await self._application(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 4401})
            return
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = dict(query).get("token")
        if scope["method"] == "GET" and token is not None and _same(token, self._token):
            rest = urlencode([(key, value) for key, value in query if key != "token"])
            await self._let_in(scope["path"] + (f"?{rest}" if rest else ""), send)
        elif not self._is_in(headers) or not (scope["method"] in ("GET", "HEAD") or _same_origin(headers)):
            await _answer(send, 401, _NOT_IN)
        elif int(headers.get("content-length") or 0) > self._most:
            await _answer(send, 413, self._too_large)
        else:
            await self._pass(scope, receive, send)

    @property
    def _too_large(self) -> str:
        return f"more was sent than {self._most >> 20} MB; openpoint serve --upload-mb allows more"

    def _is_in(self, headers: dict[str, str]) -> bool:
        """Whether a request has the token, or the cookie that it was changed for."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return _same(given.strip(), self._token)
        try:
            cookie = http.cookies.SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except http.cookies.CookieError:
            return False
        return cookie is not None and _same(cookie.value, self._session)

    async def _let_in(self, path: str, send: Send) -> None:
        """Change the token for a cookie, and leave it out of the address."""
        cookie = f"{self._cookie}={self._session}; HttpOnly; SameSite=Strict; Path=/"
        where = "/" + path.lstrip("/\\")  # never another host
        headers = [(b"location", where.encode("latin-1", "replace")), (b"set-cookie", cookie.encode())]
        await send(
            {"type": "http.response.start", "status": 303, "headers": [*headers, (b"cache-control", b"no-store")]}
        )
        await send({"type": "http.response.body", "body": b""})

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, count what it sends, and add headers to what is answered."""
        taken, answered = 0, False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            return {"type": "http.disconnect"} if taken > self._most else message

        async def headed(message: Message) -> None:
            nonlocal answered
            if taken > self._most:
                if not answered:
                    answered = True
                    await _answer(send, 413, self._too_large)
                return
            if message["type"] == "http.response.start":
                there = {key.lower() for key, _ in message["headers"]}
                more = [(key.encode(), value.encode()) for key, value in _HEADERS.items() if key.encode() not in there]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self._application(scope, counted, headed)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _same_origin(headers: dict[str, str]) -> bool:
    """Whether a browser that names the page it asks from names one of this server."""
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host")


async def _answer(send: Send, status: int, text: str) -> None:
    body = json.dumps({"detail": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    headers += [(key.encode(), value.encode()) for key, value in _HEADERS.items()]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
