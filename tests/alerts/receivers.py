"""Receivers on loopback, with and without TLS, that keep what they were sent and answer as they are told."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server that answers `status`, or as `answer` says."""

    host: str
    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    text: str = "ok"
    answer: Answering | None = None
    got: list[Received] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address without TLS."""
        return f"http://{self.host}:{self.port}/hook"


@asynccontextmanager
async def receiving(
    host: str = "127.0.0.1", *, port: int = 0, tls: ssl.SSLContext | None = None, **told: object
) -> AsyncIterator[Receiver]:
    """A receiver for as long as the block lasts; on a free port when none is given."""
    receiver = Receiver(host, **told)  # type: ignore[arg-type]

    async def answer(request: web.Request) -> web.StreamResponse:
        receiver.got.append(Received(request.path_qs, dict(request.headers), await request.read()))
        if receiver.answer is not None:
            return await receiver.answer(request)
        return web.Response(status=receiver.status, headers=receiver.headers, text=receiver.text)

    if tls is not None:
        tls.sni_callback = lambda _, name, __: receiver.server_names.append(name)
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        receiver.port = runner.addresses[0][1]
        yield receiver
    finally:
        await runner.cleanup()


def make_tls(folder: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(of the server, of a client that trusts it): a certificate that signs itself, for these names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    others: list[x509.GeneralName] = []
    for one in names:
        others.append(x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() else x509.DNSName(one))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())
