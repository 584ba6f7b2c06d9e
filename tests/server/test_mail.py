"""Sending by SMTP, to a real mail server in this process."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailbox_server import Mailbox, certificate, html_of, mail_server, text_of
from vantage6.server.config import Smtp
from vantage6.server.mail import Code, Letter, send

LETTER = Letter("A subject", ["Dear <b>Ada</b> & Ünal,", Code("ey" + "x" * 300), "Bye."])


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


def plain(port: int) -> Smtp:
    return Smtp(server="127.0.0.1", port=port, MAIL_USE_TLS=False, email_from="v6@example.org")


def test_a_letter_arrives_as_text_and_as_html(box: Mailbox) -> None:
    send(plain(box.port), "ada@example.org", LETTER)
    message = box.wait()
    assert (message["Subject"], message["From"]) == ("A subject", "v6@example.org")
    assert message["To"] == message["X-Envelope-To"] == "ada@example.org"
    assert message["Date"]
    assert message["Message-ID"].endswith("@example.org>")
    assert text_of(message) == f"Dear <b>Ada</b> & Ünal,\n\ney{'x' * 300}\n\nBye.\n"
    assert "<p>Dear &lt;b&gt;Ada&lt;/b&gt; &amp; Ünal,</p>" in html_of(message)
    assert f">ey{'x' * 300}</pre>" in html_of(message)


def test_with_starttls_and_a_login(tls: tuple[ssl.SSLContext, Path]) -> None:
    context, ca_file = tls
    with mail_server(starttls=context, login=("v6", "secret")) as box:
        settings = {"server": "127.0.0.1", "port": box.port, "username": "v6", "ca_file": ca_file}
        send(Smtp(**settings, password="secret"), "ada@example.org", LETTER)
        assert (box.encrypted, box.logins) == ([True], ["v6"])
        with pytest.raises(smtplib.SMTPAuthenticationError):
            send(Smtp(**settings, password="wrong"), "ada@example.org", LETTER)


def test_a_certificate_that_nobody_vouches_for_is_refused(
    tls: tuple[ssl.SSLContext, Path],
) -> None:
    with mail_server(starttls=tls[0]) as box:
        with pytest.raises(ssl.SSLCertVerificationError):
            send(Smtp(server="127.0.0.1", port=box.port), "ada@example.org", LETTER)
        assert box.messages == []


def test_with_tls_from_the_first_byte(tls: tuple[ssl.SSLContext, Path]) -> None:
    context, ca_file = tls
    with mail_server(tls_from_start=context) as box:
        smtp = Smtp(server="127.0.0.1", port=box.port, MAIL_USE_SSL=True, ca_file=ca_file)
        send(smtp, "ada@example.org", LETTER)
        assert len(box.messages) == 1


def test_without_tls_where_it_is_wanted_nothing_is_sent(box: Mailbox) -> None:
    with pytest.raises(smtplib.SMTPNotSupportedError):
        send(Smtp(server="127.0.0.1", port=box.port), "ada@example.org", LETTER)
    assert box.messages == []


def test_a_name_cannot_smuggle_a_header_in(box: Mailbox) -> None:
    with pytest.raises(ValueError, match=r"linefeed|newline|carriage"):
        send(plain(box.port), "ada@example.org\r\nBcc: all@example.org", LETTER)
    assert box.messages == []
