"""`--offline`: after `refuse_connections()` this process reaches nothing outside this machine and says so if it tries.
Call it before importing anything that downloads."""

import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from affina.core.errors import Refused

SWITCHES = {"AFFINA_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PIP_NO_INDEX": "1"}
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")

_SENDING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_NAMING = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
_REVERSE = frozenset({"socket.gethostbyaddr", "socket.getnameinfo"})
_own_names: list[str] = []  # this machine's host name once the hook is in place: looking it up is allowed


def requested() -> bool:
    """Whether this process was told to stay offline (`AFFINA_OFFLINE=1`), by a parent affina process or by itself."""
    return os.environ.get("AFFINA_OFFLINE") == "1"


def refuse_connections() -> None:
    """Make every connection that leaves this machine raise Refused, for the rest of this process; cannot be undone.

    An audit hook (PEP 578) sees connect, connect_ex, sendto, sendmsg and every name lookup of Python's sockets, whoever
    calls them; loopback and Unix sockets stay open. Forked children inherit it. Other children find switches in
    their environment: affina's obey `AFFINA_OFFLINE`; huggingface_hub, transformers and pip their own. Proxy variables
    are removed, since a proxy on loopback would carry a request out. Not covered: native code with sockets of its own
    (a gRPC core, a child program that reads none of these variables). Calling it again changes nothing.
    """
    os.environ.update(SWITCHES)
    for name in [name for name in os.environ if name.lower() in PROXIES]:
        del os.environ[name]
    if not _own_names:
        _own_names.append(socket.gethostname().lower())
        sys.addaudithook(_watch)
        for name in ("connect", "connect_ex", "sendto"):
            setattr(socket.socket, name, _checked(getattr(socket.socket, name)))


def _checked(send: Callable[..., Any]) -> Callable[..., Any]:
    """A socket's method that looks at its address first: given a host name, C looks it up before the hook is asked."""

    def call(connection: socket.socket, *arguments: Any) -> Any:
        if not _stays_here(connection.family, arguments[-1]):
            raise _refusal(arguments[-1])
        return send(connection, *arguments)

    return call


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if not event.startswith("socket."):
        return
    if event in _SENDING:
        connection, address = arguments[0], arguments[1]
        if isinstance(connection, socket.SocketType) and not _stays_here(connection.family, address):
            raise _refusal(address)
    elif event in _NAMING:
        if not (_is_literal(arguments[0]) or is_this_machine(arguments[0]) or _text(arguments[0]) in _own_names):
            raise _refusal(arguments[0])
    elif event in _REVERSE:
        host = arguments[0][0] if isinstance(arguments[0], tuple) else arguments[0]
        if not (is_this_machine(host) or _text(host) in _own_names):
            raise _refusal(host)


def _stays_here(family: int, address: object) -> bool:
    """True for Unix sockets, for loopback, and for a socket that is already connected (sendmsg without an address)."""
    if address is None or family == getattr(socket, "AF_UNIX", None):
        return True
    return isinstance(address, tuple) and bool(address) and is_this_machine(address[0])


def is_this_machine(host: object) -> bool:
    """Whether a host is loopback, or the unspecified address (`0.0.0.0`, `::`, empty), which leads back here too."""
    text = _text(host)
    if text in ("", "localhost"):
        return True
    if not _is_literal(text):
        return False
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback or address.is_unspecified


def _is_literal(host: object) -> bool:
    """Whether a host is a numeric address, which is parsed and never looked up."""
    try:
        ipaddress.ip_address(_text(host).partition("%")[0])
    except ValueError:
        return False
    return True


def _text(host: object) -> str:
    if isinstance(host, bytes | bytearray):
        return bytes(host).decode("ascii", "replace").lower()
    return "" if host is None else str(host).lower()


def _refusal(address: object) -> Refused:
    host = ":".join(map(str, address[:2])) if isinstance(address, tuple) else _text(address)
    return Refused(
        f"no connection to {host}", "affina is offline (--offline or AFFINA_OFFLINE=1)", "run it without --offline"
    )
