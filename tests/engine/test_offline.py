"""Offline means that nothing leaves the machine; the hook cannot be undone, so each test runs a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START = """
import os, socket, urllib.request
from affina.core.errors import Refused
from affina.engine.offline import refuse_connections, requested
refuse_connections()
def refused(act):
    try:
        act()
    except Refused as error:
        assert "offline" in str(error) and error.exit_code == 2, error
        return True
    return False
"""


def python(body: str, **environment: str) -> str:
    """What a fresh interpreter prints when it runs `body`; its errors fail the test."""
    plain = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([sys.executable, "-W", "error", "-c", body], env=plain, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_way_out_of_a_socket_is_refused() -> None:
    python(
        START
        + """
import _socket
def tcp(kind=socket.socket): return kind(socket.AF_INET, socket.SOCK_STREAM)
def udp(): return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
away = ("192.0.2.1", 80)
assert refused(lambda: tcp().connect(away))
assert refused(lambda: tcp().connect_ex(away))
assert refused(lambda: tcp(_socket.socket).connect(away))
assert refused(lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80)))
assert refused(lambda: socket.socket(socket.AF_INET6).connect(("::ffff:192.0.2.1", 80)))
assert refused(lambda: udp().sendto(b"x", away))
assert refused(lambda: udp().sendmsg([b"x"], [], 0, away))
assert refused(lambda: socket.create_connection(("example.org", 443)))
assert refused(lambda: urllib.request.urlopen("http://example.org/"))
"""
    )


def test_names_of_other_machines_are_not_looked_up() -> None:
    python(
        START
        + """
assert refused(lambda: socket.getaddrinfo("example.org", 80))
assert refused(lambda: socket.getaddrinfo(b"example.org", 80))
assert refused(lambda: socket.gethostbyname("example.org"))
assert refused(lambda: socket.gethostbyaddr("192.0.2.1"))
assert refused(lambda: socket.getnameinfo(("192.0.2.1", 80), 0))
assert refused(lambda: socket.socket(socket.AF_INET).connect(("localhost.example.org", 80)))
assert refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", 0, ("example.org", 80)))
"""
    )


def test_loopback_and_unix_sockets_stay_open() -> None:
    out = python(
        START
        + """
import http.server, threading
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
server.RequestHandlerClass.log_message = lambda *_: None
threading.Thread(target=server.serve_forever, daemon=True).start()
with urllib.request.urlopen(f"http://localhost:{server.server_port}/") as answer:
    print(answer.status)
server.shutdown(); server.server_close()
one, two = socket.socketpair(); one.sendall(b"u"); print(two.recv(1).decode()); one.close(); two.close()
"""
    )
    assert out.split() == ["200", "u"]


def test_a_proxy_on_loopback_is_not_a_way_out() -> None:
    out = python(
        START + "print([name for name in os.environ if name.lower().endswith('_proxy')])",
        https_proxy="http://127.0.0.1:3128",
        ALL_PROXY="http://127.0.0.1:3128",
    )
    assert out == "[]"


def test_children_are_told_and_calling_twice_changes_nothing() -> None:
    out = python(
        START
        + """
import subprocess, sys
refuse_connections()
code = ("import os; from affina.engine.offline import requested; "
        "print(requested(), *[os.environ[n] for n in ('HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE', 'PIP_NO_INDEX')])")
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
"""
    )
    assert out.split() == ["True", "1", "1", "1"]


def test_a_forked_child_is_refused_too() -> None:
    python(
        START
        + """
child = os.fork()
if child == 0:
    os._exit(0 if refused(lambda: socket.create_connection(("192.0.2.1", 80))) else 9)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    )


def test_importing_it_changes_nothing() -> None:
    code = "import os; before = dict(os.environ); import affina.engine.offline as o; print(before == dict(os.environ))"
    assert python(code + "; print(o.requested())", AFFINA_OFFLINE="0").split() == ["True", "False"]
