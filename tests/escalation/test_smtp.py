"""Mail against a real SMTP server on loopback."""

from __future__ import annotations

import ssl
from dataclasses import replace
from email import message_from_bytes
from email import policy as mail_policy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalation.config import DeliverySettings, SMTPSettings
from escalation.delivery import smtp as channel_module
from escalation.delivery.mail_message import build_mail
from escalation.errors import DeliveryTakenError, PermanentDeliveryError, TransientDeliveryError
from escalation.model import Delivery, DeliveryState, Message, Severity
from escalation.rules import decide
from escalation.scripts.render import render
from tests.escalation.conftest import AT, make_context
from tests.escalation.desk import HOSTILE
from tests.simulator.smtp import SMTPServer
from trust_store.checkpoints import parse_all
from trust_store.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

PASSWORD = "pass word 'with' signs"


def make_delivery(**changes: Any) -> Delivery:
    """The story's message in the outbox."""
    draft = decide(make_context())
    _, message = render("alert_1", draft)
    delivery = Delivery("delivery_1", "alert_1", "smtp", "delivery_1.alert_1@rootwarden.invalid", message,
                        DeliveryState.QUEUED, 0, AT, AT)  # fmt: skip
    return replace(delivery, **changes)


def hostile_delivery(value: str) -> Delivery:
    """Every text of the message is ``value``."""
    message = Message("alert_1", Severity.HIGH, value, value, ((value, value),), (value,), value, value + "\n", value)
    return make_delivery(message=message)


class Post:
    """A configured channel to a simulator, and whether the first byte was announced."""

    def __init__(self, server: SMTPServer, now: Callable[[], datetime], folder: Path, **changes: Any) -> None:
        values: dict[str, Any] = {
            "host": "127.0.0.1", "port": server.port, "sender": "rootwarden@example.org",
            "recipients": ("soc@example.org", "oncall@example.org"), "starttls": False, "timeout_seconds": 5.0,
        }  # fmt: skip
        chosen = SMTPSettings(**{**values, **changes})
        channel = channel_module.open_channel(DeliverySettings(folder / "c.toml", smtp=chosen), {}, now)
        assert channel is not None
        self.channel, self.announced = channel, 0

    async def announce(self) -> None:
        self.announced += 1

    async def send(self, delivery: Delivery | None = None) -> Any:
        return await self.channel.deliver(delivery or make_delivery(), self.announce)


@pytest.fixture
def post(smtp: SMTPServer, clock: Callable[[], datetime], tmp_path: Path) -> Post:
    """The channel to the plain server."""
    return Post(smtp, clock, tmp_path)


async def test_a_mail_arrives_with_text_html_sheet_and_script(smtp: SMTPServer, post: Post) -> None:
    """multipart: text first, HTML second without remote content, call sheet and script attached; stable Message-ID."""
    receipt = await post.send()
    await post.channel.close()
    assert receipt.answer.startswith("250")
    (received,) = smtp.messages
    mail = received.mail
    assert received.recipients == ("soc@example.org", "oncall@example.org")
    assert mail["Message-ID"] == "<delivery_1.alert_1@rootwarden.invalid>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Subject"] == "[rootwarden] HIGH: DTEN: update.zip: signed, but no root we know vouches for the key"
    body = list(next(mail.iter_parts()).iter_parts())  # type: ignore[attr-defined]
    assert [p.get_content_type() for p in body] == ["text/plain", "text/html"]
    assert "https://community.example/t/firmware/77/43" in body[0].get_content()
    html = body[1].get_content()
    assert not any(mark in html for mark in ("<img", "src=", "href=", "url(", "<script", "<link"))
    files = {p.get_filename(): p for p in mail.iter_attachments()}
    assert set(files) == {"call-sheet.txt", "escalation.sh"}
    script = files["escalation.sh"].get_content()
    assert script == make_delivery().message.script.encode()
    assert files["call-sheet.txt"].get_content().replace("\r\n", "\n") == make_delivery().message.sheet
    assert post.announced == 1


@pytest.mark.parametrize("implicit", [False, True])
async def test_tls_and_authentication(implicit: bool, clock: Callable[[], datetime], tmp_path: Path) -> None:  # noqa: FBT001
    """STARTTLS or TLS at once, a trusted certificate, a login from a password file."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    with SMTPServer(tls=not implicit, implicit=implicit, user="alerts", password=PASSWORD) as server:
        post = Post(server, clock, tmp_path, starttls=not implicit, tls=implicit, ca_file=server.ca_file,
                    username="alerts", password_file=secret)  # fmt: skip
        await post.send()
        assert [(m.tls, m.user) for m in server.messages] == [(True, "alerts")]
        secret.write_text("wrong")
        wrong = Post(server, clock, tmp_path, starttls=not implicit, tls=implicit, ca_file=server.ca_file,
                     username="alerts", password_file=secret)  # fmt: skip
        with pytest.raises(TransientDeliveryError, match="535") as caught:
            await wrong.send()
        assert "wrong" not in str(caught.value)
        assert wrong.announced == 0


async def test_an_untrusted_certificate_or_missing_starttls_sends_nothing(
    smtp: SMTPServer, clock: Callable[[], datetime], tmp_path: Path
) -> None:
    """No fall-back to plain text or to an unknown certificate."""
    with SMTPServer(tls=True) as server:
        with pytest.raises(TransientDeliveryError) as caught:
            await Post(server, clock, tmp_path, starttls=True).send()
        assert server.messages == []
        assert not caught.value.outcome_unknown
    post = Post(smtp, clock, tmp_path, starttls=True)
    with pytest.raises(TransientDeliveryError):
        await post.send()
    assert smtp.messages == []
    assert post.announced == 0


@pytest.mark.parametrize(
    ("fault", "error", "unknown", "announced"),
    [
        ("451", TransientDeliveryError, False, 0),
        ("550", PermanentDeliveryError, False, 0),
        ("data:451", TransientDeliveryError, False, 1),
        ("data:554", PermanentDeliveryError, False, 1),
        ("hang", TransientDeliveryError, True, 1),
        ("drop", TransientDeliveryError, True, 1),
        ("lost", TransientDeliveryError, True, 1),
    ],
)
async def test_faults_of_the_mail_server(
    fault: str, error: type[Exception], unknown: bool, announced: int, smtp: SMTPServer,  # noqa: FBT001
    clock: Callable[[], datetime], tmp_path: Path,
) -> None:  # fmt: skip
    """451 later, 550 never, no answer: later and marked; a refused envelope announces nothing."""
    smtp.faults += [fault, fault]
    post = Post(smtp, clock, tmp_path, timeout_seconds=0.3, recipients=("soc@example.org",))
    with pytest.raises(error) as caught:
        await post.send()
    assert getattr(caught.value, "outcome_unknown", False) is unknown
    assert post.announced == announced
    assert len(smtp.messages) == (1 if fault == "lost" else 0)


async def test_a_server_that_is_down_is_tried_later(clock: Callable[[], datetime], tmp_path: Path) -> None:
    """Connection refused: nothing was announced, the outcome is known."""
    with SMTPServer() as server:
        post = Post(server, clock, tmp_path)
    with pytest.raises(TransientDeliveryError) as caught:
        await post.send()
    assert (post.announced, caught.value.outcome_unknown) == (0, False)


async def test_one_bad_recipient_does_not_cost_the_others_their_mail(smtp: SMTPServer, post: Post) -> None:
    """550 for one: the others get it at once and the refusal is on record; 451 for one: the others wait a few attempts only."""
    smtp.refused_recipients["oncall@example.org"] = "550 no such user"
    receipt = await post.send()
    assert receipt.refused == ("oncall@example.org: 550 no such user",)
    smtp.refused_recipients["oncall@example.org"] = "451 mailbox full"
    with pytest.raises(TransientDeliveryError, match="mailbox full"):
        await post.send()
    assert (await post.send(make_delivery(attempts=3))).refused == ("oncall@example.org: 451 mailbox full",)
    assert [m.recipients for m in smtp.messages] == [("soc@example.org",)] * 2


async def test_a_refused_announcement_sends_nothing(smtp: SMTPServer, post: Post) -> None:
    """If another run has the row, no content leaves."""

    async def taken() -> None:
        raise DeliveryTakenError("taken")

    with pytest.raises(DeliveryTakenError):
        await post.channel.deliver(make_delivery(), taken)
    assert smtp.messages == []


async def test_a_repeat_says_so(smtp: SMTPServer, post: Post) -> None:
    """Subject, header and text name what it may be a repeat of; the Message-ID stays the same."""
    await post.send(make_delivery(possible_repeat_of="delivery_1"))
    mail = smtp.messages[0].mail
    assert mail["Subject"].startswith("[possible repeat of delivery_1] ")
    assert mail["X-Rootwarden-Possible-Repeat-Of"] == "delivery_1"
    assert mail["Message-ID"] == "<delivery_1.alert_1@rootwarden.invalid>"
    assert "Possible repeat of delivery_1" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


HEADERS = {b"from", b"to", b"subject", b"date", b"message-id", b"auto-submitted", b"x-auto-response-suppress",
           b"x-rootwarden-alert", b"mime-version", b"content-type"}  # fmt: skip
INJECTIONS = (
    "x\nBcc: evil@example.org", "x\r\nBcc: evil@example.org", "x\rBcc: evil@example.org", "x\u2028Bcc: evil@example.org",
    "x\u0085Bcc: evil@example.org", "w" * 5000, "=?utf-8?b?eA0KQmNjOiBldmlsQGV4YW1wbGUub3Jn?=", "\r\n\r\nbody", "\n.\nMAIL FROM:<x>\n",
    "\n~!id\n", "<img src=http://evil/x.png>", "<script>alert(1)</script>", "\ud800", "\x00", "é" * 300, "",
)  # fmt: skip


def check_raw(raw: bytes) -> None:
    """The header block holds our headers alone, on clean lines, all ASCII."""
    head = raw.split(b"\r\n\r\n", 1)[0]
    names = [line.split(b":")[0].lower() for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert set(names) == HEADERS
    assert len(names) == len(set(names))
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert b"\r" not in head.replace(b"\r\n", b"")
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


@pytest.mark.parametrize("value", [*INJECTIONS, *HOSTILE])
async def test_no_header_or_command_can_be_injected(value: str, smtp: SMTPServer, post: Post) -> None:
    """Asserted on the raw bytes that arrive: only our headers, only our recipients, HTML escaped."""
    await post.send(hostile_delivery(value))
    (received,) = smtp.messages
    check_raw(received.raw)
    assert received.recipients == ("soc@example.org", "oncall@example.org")
    html = received.mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "<img" not in html
    assert "<script" not in html


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=300))
def test_any_text_makes_a_sound_mail(value: str) -> None:
    """No text breaks the header block or raises."""
    check_raw(build_mail(hostile_delivery(value), "a@example.org", ("b@example.org",)))


def test_without_configuration_there_is_no_channel(clock: Callable[[], datetime], tmp_path: Path) -> None:
    """None where [delivery.smtp] is missing; a CA file that cannot be read is a configuration error."""
    assert channel_module.open_channel(DeliverySettings(tmp_path / "c"), {}, clock) is None
    bad = SMTPSettings(host="h", sender="a@b", recipients=("a@b",), ca_file=tmp_path / "missing")
    with pytest.raises(ConfigError, match="ca_file"):
        channel_module.open_channel(DeliverySettings(tmp_path / "c", smtp=bad), {}, clock)
    assert ssl.create_default_context().check_hostname


def test_a_mail_carries_the_checkpoint() -> None:
    """The newest checkpoint is a header of its own, folded at its blanks and found again; what is no checkpoint is left out."""
    line = f"rootwarden-checkpoint/1 store_01KQPVBBG0 12 {'a' * 64} 7 2026-05-03T12:00:00.000000Z {'b' * 128}"
    mail = build_mail(make_delivery(checkpoint=line), "a@b.example", ("c@d.example",))
    assert parse_all(mail.decode("ascii"))[0].line == line
    parsed = message_from_bytes(mail, policy=mail_policy.SMTP)
    assert " ".join(parsed["X-Rootwarden-Checkpoint"].split()) == line
    assert max(len(one) for one in mail.split(b"\r\n")) < 998
    for other in ("", "x\r\nBcc: eve@example.org", "\u00e9", "a " * 3):
        plain = build_mail(make_delivery(checkpoint=other), "a@b.example", ("c@d.example",))
        assert message_from_bytes(plain, policy=mail_policy.SMTP)["X-Rootwarden-Checkpoint"] is None
        assert b"Bcc" not in plain
