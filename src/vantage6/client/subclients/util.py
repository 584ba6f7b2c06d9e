"""Server information, passwords, second factors, keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vantage6.client.subclients.base import UserSubClient
from vantage6.common.encryption import RSACryptor
from vantage6.common.sealing import Correspondence


class UtilSubClient(UserSubClient):
    """Utilities: server version and health, your password, your second factor, a private key."""

    def get_server_version(self, attempts_on_timeout: int | None = None) -> dict[str, Any]:
        """View the version of the server.

        Parameters
        ----------
        attempts_on_timeout : int, optional
            Repeat at most this often when the server can't be reached.

        Returns
        -------
        dict
            ``{"version": ...}``
        """
        return self._ask("version", attempts_on_timeout=attempts_on_timeout)

    def get_server_health(self) -> dict[str, Any]:
        """View whether the server and its database are well.

        Returns
        -------
        dict
            ``{"database": True}`` when they are.
        """
        return self._ask("health")

    def change_my_password(self, current_password: str, new_password: str) -> dict[str, Any]:
        """Change your own password while you are logged in.

        Parameters
        ----------
        current_password : str
            Your present password.
        new_password : str
            The new one: at least 8 characters, with a digit, an upper case letter, a lower case
            letter and another character.

        Returns
        -------
        dict
            Message from the server.
        """
        answer = self._ask(
            "password/change",
            method="patch",
            json={"current_password": current_password, "new_password": new_password},
        )
        self._tell(answer)
        return answer

    def reset_my_password(
        self, email: str | None = None, username: str | None = None
    ) -> dict[str, Any] | None:
        """Ask for a mail with a token that allows you to set a new password.

        Works without login. The server answers the same whether or not such a user exists.

        Parameters
        ----------
        email : str, optional
            Your e-mail address.
        username : str, optional
            Your user name; one of both is needed.

        Returns
        -------
        dict
            Message from the server.
        """
        if not (email or username):
            self.parent.log.error("--> You need to provide username or email")
            return None
        who = {"email": email, "username": username}
        answer = self._ask(
            "recover/lost",
            method="post",
            json={key: value for key, value in who.items() if value},
        )
        self._tell(answer)
        return answer

    def set_my_password(self, token: str, password: str) -> dict[str, Any]:
        """Set a new password with a token from ``reset_my_password``.

        Parameters
        ----------
        token : str
            The token from the mail.
        password : str
            The new password.

        Returns
        -------
        dict
            Message from the server.
        """
        answer = self._ask(
            "recover/reset", method="post", json={"reset_token": token, "password": password}
        )
        self._tell(answer)
        return answer

    def reset_two_factor_auth(
        self, password: str, email: str | None = None, username: str | None = None
    ) -> dict[str, Any]:
        """Ask for a mail with a token that allows you to set up a new second factor.

        Parameters
        ----------
        password : str
            Your password.
        email : str, optional
            Your e-mail address.
        username : str, optional
            Your user name; one of both is needed.

        Returns
        -------
        dict
            Message from the server.

        Raises
        ------
        AssertionError
            If neither e-mail address nor user name is given.
        """
        if not (email or username):
            raise AssertionError("You need to provide username or email!")
        answer = self._ask(
            "recover/2fa/lost",
            method="post",
            json=self._clean_update_data(
                {"username": username, "email": email, "password": password}
            ),
            retry=False,
        )
        self._tell(answer)
        return answer

    def set_two_factor_auth(self, token: str) -> dict[str, Any]:
        """Set up a new second factor with a token from ``reset_two_factor_auth``.

        Prints a QR code for your authenticator app.

        Parameters
        ----------
        token : str
            The token from the mail.

        Returns
        -------
        dict
            ``qr_uri`` and ``otp_secret``, or a message from the server.
        """
        answer = self._ask(
            "recover/2fa/reset", method="post", json={"reset_token": token}, retry=False
        )
        if "qr_uri" in answer:
            from vantage6.client.second_factor import show_qr_code

            show_qr_code(answer)
        else:
            self._tell(answer)
        return answer

    def generate_private_key(self, file_: str | Path | None = None) -> None:
        """Make a private key for your organization and use it from now on.

        The public half goes to the server. A file of that name that is already there is kept
        under another name: without the old key, older results can't be read.

        Parameters
        ----------
        file_ : str, optional
            Where to put it; by default ``private_key.pem`` in the current directory.

        Raises
        ------
        NotAuthenticatedError
            Before login.
        """
        self.parent._identity()
        if not file_:
            self.parent.log.info("--> Using current directory")
            file_ = "private_key.pem"
        path = Path(file_)
        if path.exists():
            kept = _free_name(path)
            path.rename(kept)
            self.parent.log.warning("--> The key that was in %s is now in %s", path, kept)
        self.parent.log.info("--> Generating private key %s", path)
        self.parent._connection.aside(RSACryptor.create_new_rsa_key, path)
        self.parent.setup_encryption(path)

    def fingerprint(self) -> str:
        """The fingerprint of your organization's keys, to read to others by telephone.

        Returns
        -------
        str
            Eight groups of four characters.

        Raises
        ------
        ValueError
            If authenticated encryption is not set up.
        """
        return self._correspondence().own.public.fingerprint

    def known_fingerprints(self) -> dict[int, str]:
        """The fingerprints of the organizations that are known here.

        Returns
        -------
        dict[int, str]
            By the organizations' ids.

        Raises
        ------
        ValueError
            If authenticated encryption is not set up.
        """
        peers = self._correspondence().known.peers()
        return {peer.organization: peer.keys.fingerprint for peer in peers}

    def forget_fingerprint(self, organization: int) -> None:
        """Forget an organization's keys, so that the next ones it comes with are accepted.

        Compare the new fingerprint with the organization by telephone first.

        Parameters
        ----------
        organization : int
            Its id.

        Raises
        ------
        ValueError
            If authenticated encryption is not set up.
        """
        if self._correspondence().known.forget(organization):
            self.parent.log.info("--> The keys of organization %s are forgotten", organization)
        else:
            self.parent.log.warning("--> Organization %s was not known", organization)

    def _correspondence(self) -> Correspondence:
        letters = self.parent._letters
        if letters is None:
            raise ValueError(
                "Authenticated encryption is not set up: call client.setup_encryption() first"
            )
        found: Correspondence = letters.correspondence
        return found

    def _get_server_url_header(self) -> dict[str, str]:
        """The header that tells an algorithm store which server the user comes from."""
        return {"server_url": self.parent.base_path}


def _free_name(path: Path) -> Path:
    number = 1
    while (kept := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return kept
