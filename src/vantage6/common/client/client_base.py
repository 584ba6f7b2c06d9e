"""What every client of a server shares: address, token, requests, blobs, the cryptor."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2 as httpx
import jwt

from vantage6.common import WhoAmI
from vantage6.common.client.blobs import BlobCalls
from vantage6.common.client.connection import PATIENCE, Connection
from vantage6.common.client.refusal import Refusal, decode_json, read_refusal
from vantage6.common.clock import Clock
from vantage6.common.encryption import CryptorBase, DummyCryptor, RSACryptor
from vantage6.common.exceptions import (
    NotAuthenticatedError,
    ServerUnreachableError,
    SessionExpiredError,
)
from vantage6.common.transport import READ_TIMEOUT

#: Highest HTTP status that counts as success.
LAST_SUCCESS = 210
#: A token that is valid for less than this many seconds is renewed before it is used.
REFRESH_MARGIN = 60.0

_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


class ClientBase(BlobCalls):
    """A connection to a vantage6 server under some identity.

    Parameters
    ----------
    host : str
        Scheme and host name, for example ``https://server.example``.
    port : int | None
        Port; None leaves it out of the address.
    path : str
        Path under which the server's API lies.
    timeout : float
        Seconds to wait for the next bytes of an answer before giving up.
    patience : float
        Seconds for which a server that can't be reached is tried again.
    proxy : str, optional
        Address of a proxy for all requests; by default what the environment says.
    ca_file : str or pathlib.Path, optional
        File or folder with certificates to trust besides the machine's own.
    transport : httpx2.BaseTransport, optional
        Replaces the network, for tests.
    clock : Clock, optional
        Replaces the machine's clock, for tests.
    """

    #: What carries the requests; the asynchronous client has another.
    _Connection: type[Connection] = Connection

    def __init__(
        self,
        host: str,
        port: int | None,
        path: str = "/api",
        *,
        timeout: float = READ_TIMEOUT,
        patience: float = PATIENCE,
        proxy: str | None = None,
        ca_file: str | Path | None = None,
        transport: Any = None,
        clock: Clock | None = None,
    ) -> None:
        self.__host = host
        self.__port = port
        self.__path = path
        self.log = logging.getLogger("vantage6.client")
        self._connection = self._Connection(
            self.log,
            transport=transport,
            timeout=timeout,
            patience=patience,
            proxy=proxy,
            ca_file=ca_file,
            clock=clock,
        )
        self._close_at_end = weakref.finalize(self, self._connection.close)
        self._access_token: str | None = None
        self._refresh_token: str | None = None
        self._refresh_url: str | None = None
        self._expires: float | None = None
        self._refresh_margin = REFRESH_MARGIN
        self._refreshing = self._connection.lock()
        self.cryptor: CryptorBase | None = None
        self.whoami: WhoAmI | None = None
        self.collaboration_id: int | None = None

    # -- address and identity ---------------------------------------------------------------

    @property
    def host(self) -> str:
        """Scheme and host of the server, as given."""
        return self.__host

    @property
    def port(self) -> int | None:
        """Port of the server, as given."""
        return self.__port

    @property
    def path(self) -> str:
        """Path of the server's API, as given."""
        return self.__path

    @property
    def base_path(self) -> str:
        """Full URL of the server's API."""
        return f"{self._origin}{self.path.rstrip('/')}"

    @property
    def _origin(self) -> str:
        host = self.host.rstrip("/")
        return f"{host}:{self.port}" if self.port else host

    @property
    def name(self) -> str:
        """First name of who is logged in."""
        return self._identity().name

    @property
    def token(self) -> str | None:
        """The access token, None before login."""
        return self._access_token

    @property
    def headers(self) -> dict[str, str]:
        """The header that proves who asks; empty before login."""
        return {"Authorization": f"Bearer {self._access_token}"} if self._access_token else {}

    def _identity(self) -> WhoAmI:
        if self.whoami is None:
            raise NotAuthenticatedError(
                "You are not logged in (or who you are could not be found out): "
                "call client.authenticate() first"
            )
        return self.whoami

    def close(self) -> None:
        """Close the connections to the server; the client stays usable."""
        self._connection.close()

    def __enter__(self) -> ClientBase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- requests ---------------------------------------------------------------------------

    def generate_path_to(self, endpoint: str, is_for_algorithm_store: bool = False) -> str:
        """Full URL of an endpoint.

        Parameters
        ----------
        endpoint : str
            Path below the API path.
        is_for_algorithm_store : bool
            Whether it is one of the selected algorithm store instead of the server.

        Returns
        -------
        str
            The URL.
        """
        base = self._store_url() if is_for_algorithm_store else self.base_path
        return f"{base}{endpoint}" if endpoint.startswith("/") else f"{base}/{endpoint}"

    def _store_url(self) -> str:
        raise NotImplementedError("This client does not talk to algorithm stores")

    def request(
        self,
        endpoint: str,
        json: Any = None,
        method: str = "get",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        first_try: bool = True,
        retry: bool = True,
        attempts_on_timeout: int | None = None,
        is_for_algorithm_store: bool = False,
    ) -> Any:
        """Ask the server (or the selected algorithm store) for something.

        Parameters
        ----------
        endpoint : str
            Path below the API path.
        json : Any, optional
            Body; None sends none.
        method : str
            ``get``, ``post``, ``put``, ``patch`` or ``delete``.
        params : dict, optional
            Query parameters; those that are None are left out.
        headers : dict, optional
            Further headers.
        first_try, retry : bool
            Whether an expired token may be renewed and the request repeated.
        attempts_on_timeout : int, optional
            Repeat at most this often when the server can't be reached, then answer
            ``{"msg": "Connection error"}`` instead of raising.
        is_for_algorithm_store : bool
            Ask the algorithm store instead of the server.

        Returns
        -------
        Any
            The JSON of the answer; when the server refused, a ``Refusal``: its
            ``{"msg": ...}`` dictionary.

        Raises
        ------
        ServerUnreachableError
            If no answer came within the client's patience.
        SessionExpiredError
            If the login expired and could not be renewed.
        NotAuthenticatedError
            If the request needs a login and there is none.
        UnexpectedAnswerError
            If the answer is not JSON.
        """
        url = self.generate_path_to(endpoint, is_for_algorithm_store)
        verb = method.upper() if method.lower() in _METHODS else "GET"
        if retry:
            self._refresh_when_due()
        asked_with = self._access_token
        self.log.debug("Making request: %s | %s | %s", verb, url, params)
        try:
            response = self._connection.send(
                verb,
                url,
                json=json,
                params=params,
                headers={**(headers or {}), **self.headers},
                attempts=None if attempts_on_timeout is None else attempts_on_timeout + 1,
            )
        except ServerUnreachableError:
            if attempts_on_timeout is None:
                raise
            return {"msg": "Connection error"}
        if response.status_code <= LAST_SUCCESS:
            return decode_json(response)

        refusal = read_refusal(response, f"{verb} {endpoint}")
        # Recovery needs no login: what it is refused for is something else.
        wants_login = response.status_code == 401 and not endpoint.startswith("recover/")
        if wants_login and not self._access_token:
            raise NotAuthenticatedError(f"{refusal.explain()}: call client.authenticate() first")
        if retry and first_try and self._may_have_expired(refusal):
            self._refresh_unless_done(asked_with)
            return self.request(
                endpoint,
                json,
                method,
                params,
                headers,
                first_try=False,
                attempts_on_timeout=attempts_on_timeout,
                is_for_algorithm_store=is_for_algorithm_store,
            )
        self._log_refusal(refusal, endpoint)
        if not first_try:
            self.log.error("Nope, refreshing the token didn't fix it.")
        return refusal

    def _log_refusal(self, refusal: Refusal, endpoint: str) -> None:
        self.log.error("Server responded with error code: %s", refusal.status_code)
        self.log.error("msg: %s. Endpoint: %s", refusal["msg"].removesuffix("."), endpoint)
        if refusal.get("errors"):
            self.log.error("errors:%s", refusal["errors"])

    # -- tokens -----------------------------------------------------------------------------

    def _log_in(self, path: str, credentials: dict[str, Any]) -> httpx.Response:
        """Send credentials; what the answer means is for the caller to say."""
        url = self.generate_path_to(path)
        return self._connection.send("POST", url, json=credentials, patience=0)

    def _keep_tokens(self, answer: Mapping[str, Any]) -> None:
        self._access_token = answer["access_token"]
        self._refresh_token = answer["refresh_token"]
        self._refresh_url = answer.get("refresh_url") or self._refresh_url
        # The token's own lifetime, counted from now: the two clocks need not agree.
        self._expires = None
        try:
            claims = self._claims()
            lifetime = float(claims["exp"]) - float(claims["iat"])
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            self.log.debug("The token does not say how long it is valid")
            return
        self._refresh_margin = min(REFRESH_MARGIN, lifetime / 10)
        self._expires = self._connection.clock.now() + lifetime

    def _claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            self._access_token or "", options={"verify_signature": False}
        )
        return claims

    def _nearly_expired(self) -> bool:
        return (
            self._expires is not None
            and self._connection.clock.now() >= self._expires - self._refresh_margin
        )

    def _refresh_when_due(self) -> None:
        if self._nearly_expired():
            with self._refreshing:
                if self._nearly_expired():
                    self.refresh_token()

    def _refresh_unless_done(self, token: str | None) -> None:
        """Renew a token that was refused, unless another thread has done so meanwhile."""
        with self._refreshing:
            if self._access_token == token:
                self.refresh_token()

    def _may_have_expired(self, refusal: Refusal) -> bool:
        """Whether renewing the token can help; a 401 also means "you may not"."""
        if refusal.status_code != 401 or not self._refresh_url:
            return False
        said = refusal["msg"].lower()
        return "expired" in said or not refusal.from_server or self._nearly_expired()

    def refresh_token(self) -> None:
        """Renew the access token.

        Raises
        ------
        NotAuthenticatedError
            Before login.
        SessionExpiredError
            If the server does not renew it.
        """
        self.log.info("Refreshing token")
        if not self._refresh_url or not self._refresh_token:
            raise NotAuthenticatedError("Refresh URL not found, did you authenticate?")
        url = f"{self._origin}{self._refresh_url}"
        headers = {"Authorization": f"Bearer {self._refresh_token}"}
        response = self._connection.send("POST", url, headers=headers, repeatable=True)
        if response.status_code != 200:
            self.log.critical("Could not refresh token")
            said = read_refusal(response, f"POST {self._refresh_url}").explain()
            raise SessionExpiredError(
                f"Authentication Error! Your login has expired, authenticate again: {said}"
            )
        answer = decode_json(response)
        if not isinstance(answer, dict) or not {"access_token", "refresh_token"} <= answer.keys():
            self.log.critical("Could not refresh token")
            raise SessionExpiredError(
                "Authentication Error! The server's answer holds no new token: authenticate again"
            )
        self._keep_tokens(answer)

    # -- encryption -------------------------------------------------------------------------

    def setup_encryption(self, private_key_file: Any) -> None:
        """Choose the private key of your organization; needed in encrypted collaborations.

        The public half is put on the server if another one, or none, is there.

        Parameters
        ----------
        private_key_file : str | pathlib.Path | None
            PEM file with the private key. None means that nothing is encrypted.

        Raises
        ------
        NotAuthenticatedError
            Before login.
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file holds no usable private key.
        RefusedError
            If the server does not show your organization.
        """
        if not self._access_token:
            raise NotAuthenticatedError("Encryption can only be setup after authentication")
        if private_key_file is None:
            self.cryptor = DummyCryptor()
            return
        if self.whoami is None:
            raise NotAuthenticatedError("Organization unknown... Did you authenticate?")
        cryptor = RSACryptor(private_key_file)
        self._publish_key(cryptor, self.whoami.organization_id)
        self.cryptor = cryptor

    def _publish_key(self, cryptor: RSACryptor, organization_id: int) -> None:
        endpoint = f"organization/{organization_id}"
        organization = self.request(endpoint)
        known = organization["public_key"]
        if known and cryptor.verify_public_key(known):
            self.log.info("Public key matches the server key! Good to go!")
            return
        if known:
            self.log.critical(
                "Local public key does not match server public key. You will not able to read "
                "any messages that are intended for you!"
            )
        answer = self.request(endpoint, method="patch", json={"public_key": cryptor.public_key_str})
        if isinstance(answer, Refusal):
            self.log.critical(
                "The public key on the server is NOT updated, so nobody can encrypt for you: %s",
                answer.explain(),
            )
        else:
            self.log.info("The public key on the server is updated!")

    class SubClient:
        """A group of calls of a client.

        Parameters
        ----------
        parent : ClientBase or a sub-client of one
        """

        def __init__(self, parent: Any) -> None:
            self.parent: Any = getattr(parent, "parent", parent)

        @staticmethod
        def _clean_update_data(data: dict[str, Any]) -> dict[str, Any]:
            """Leave out what is None, that is, what is not to be changed."""
            return {key: value for key, value in data.items() if value is not None}

    class AlgorithmStoreSubClientBase(SubClient):
        """The algorithm store the client talks to.

        Attributes
        ----------
        url : str | None
            Address of the selected store's API.
        store_id : int | None
            Its identifier at the server.
        """

        def __init__(self, parent: Any) -> None:
            super().__init__(parent)
            self.url: str | None = None
            self.store_id: int | None = None
