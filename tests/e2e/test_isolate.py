"""`modelmux isolate`: what a program inside can do, what it cannot, and what is left of it."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from modelmux.isolate.inside import PORT
from tests.support import sandbox
from tests.support.decoys import REACH, Decoys
from tests.support.sandbox import CANNOT, PYTHON, Place, empty_place, environ_of, where_possible

KEYS = """
[[keys]]
name = "agent"
secret = "sk-caller-agent-0001"
tags = { team = "a" }
"""

ASK = f"""
import sys, urllib.request, urllib.error
body = b'{{"model": "%s", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
def ask(model="modelmux/echo"):
    request = urllib.request.Request("http://127.0.0.1:{PORT}/v1/chat/completions",
        body % model.encode(), {{"content-type": "application/json"}})
    try:
        return urllib.request.urlopen(request, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code
"""


@pytest.fixture(scope="module")
def house() -> Generator[Place, None, None]:
    """A place whose gateway no test here stops."""
    with sandbox.place(KEYS) as there:
        yield there


# What the program is


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("sh", "-c", "exit 7"), 7),
        (("true",), 0),
        (("sh", "-c", "kill -KILL $$"), 128 + signal.SIGKILL),
        (("/no/such/program",), 127),
        (("/etc/passwd",), 126),
    ],
    ids=["its own", "none", "of a signal", "not there", "not executable"],
)
@where_possible
def test_the_exit_code_is_the_programs(house: Place, words: tuple[str, ...], code: int):
    assert house.run("--", *words).code == code


@where_possible
def test_input_and_output_are_the_programs(house: Place):
    done = house.run("--", "sh", "-c", "cat; echo told >&2", stdin="given\n")
    assert done.out == "given\n"
    assert done.err.startswith("told\n")


@where_possible
def test_a_program_asks_models_and_needs_no_key(house: Place):
    done = house.python(f"{ASK}\nsys.exit(ask() != 200)")
    assert done.code == 0, done.err
    assert "modelmux: 1 call; " in done.err
    assert "modelmux: models: modelmux/echo x1" in done.err


@where_possible
def test_a_log_has_every_call_and_name(house: Place):
    log = house.folder / "run.jsonl"
    lookup = "import socket\ntry: socket.getaddrinfo('telemetry.example', 443)\nexcept OSError: 0"
    done = house.python(f"{ASK}\nask(); ask('nobody/x')\n{lookup}", "--log", str(log))
    assert done.code == 0, done.err
    lines = [
        msgspec.json.decode(line, type=dict[str, object]) for line in log.read_bytes().splitlines()
    ]
    calls = [line["call"] for line in lines if "call" in line]
    assert [call["status"] for call in calls if isinstance(call, dict)] == [200, 404]
    assert {"telemetry.example"} == {line["name"] for line in lines if "name" in line}
    assert lines[-1]["calls"] == 2
    assert "tried to reach: telemetry.example" in done.err
    assert log.stat().st_mode & 0o777 == 0o600


@where_possible
def test_what_the_gateway_recorded_is_all_there_was(house: Place):
    assert house.gateway is not None
    done = house.python(f"{ASK}\nfor _ in range(5): ask()", "--key", "agent", "--tags", "run=all")
    assert done.code == 0, done.err

    def ours() -> list[dict[str, object]] | None:
        tags = {"team": "a", "run": "all"}
        found = [call for call in house.calls() if call.get("modelmux.tags") == tags]
        return found if len(found) >= 5 else None

    recorded = house.gateway.wait_until(ours, "logging the calls")
    assert len(recorded) == 5
    for call in recorded:
        assert call["modelmux.caller"] == "agent"
        assert str(call["modelmux.listener"]).startswith("isolate-")
        assert call["modelmux.peer.uid"] == os.getuid()


@where_possible
def test_calls_have_a_budget(house: Place):
    done = house.python(f"{ASK}\nprint([ask() for _ in range(4)])", "--budget-calls", "2")
    assert done.out == "[200, 200, 429, 429]\n"
    assert "4 calls, 2 failed" in done.err


@where_possible
def test_only_what_is_allowed_may_be_asked_for(house: Place):
    options = ("--allow-model", "gpt-*")
    assert house.python(f"{ASK}\nprint(ask())", *options).out == "403\n"
    assert house.python(f"{ASK}\nprint(ask())", "--model", "modelmux/echo", *options).out == "200\n"


@where_possible
def test_of_the_gateway_there_are_models_and_nothing_else(house: Place):
    paths = ("/metrics", "/health", "/control/status", "/control/stop", "/admin/x", "/v1/models")
    source = f"""
import urllib.request, urllib.error
for path in {paths!r}:
    try:
        print(urllib.request.urlopen("http://127.0.0.1:{PORT}" + path, timeout=20).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""
    assert house.python(source).out.split() == ["404"] * 5 + ["200"]


def test_a_key_that_is_not_there_is_told_before_anything_is_run(house: Place):
    done = house.run("--key", "nobody", "--", "sh", "-c", "echo run")
    assert (done.code, done.out) == (CANNOT, "")


# What it is told


@where_possible
def test_secrets_and_sockets_of_the_environment_stay_outside(house: Place):
    secrets = {
        "OPENAI_API_KEY": "sk-real",
        "GITHUB_TOKEN": "t",
        "AWS_SECRET_ACCESS_KEY": "s",
        "HTTPS_PROXY": "http://proxy:3128",
        "SSH_AUTH_SOCK": "/run/agent",
        "DATABASE": "postgres://me:word@db/x",
        "PLAIN": "kept",
    }
    told = environ_of(house.run("--", "env", **secrets))
    assert told["PLAIN"] == "kept"
    assert told["OPENAI_API_KEY"] != "sk-real"
    assert told["OPENAI_BASE_URL"] == f"http://127.0.0.1:{PORT}/v1"
    assert not {"GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "SSH_AUTH_SOCK"} & set(told)
    assert "DATABASE" not in told


@where_possible
def test_settings_of_agents_are_there_and_not_left(house: Place):
    codex = house.home / ".codex"
    codex.mkdir()
    (codex / "config.toml").write_text('model_provider = "mine"\n[tui]\ntheme = "x"\n')
    (codex / "auth.json").write_text("secret")
    done = house.run(
        "--model", "m", "--", "sh", "-c", "cat ~/.codex/config.toml ~/.codex/auth.json"
    )
    assert 'model_provider = "modelmux"\nmodel = "m"' in done.out
    assert "[tui]" in done.out
    assert "secret" not in done.out
    assert "mine" in (codex / "config.toml").read_text()


# What it sees, and may write


@where_possible
def test_it_writes_to_its_folder_and_nothing_else_stays(house: Place):
    script = "echo a >kept; echo b >~/gone; echo c >/dev/shm/gone; ls /dev/shm; "
    script += "touch /usr/x /etc/x /var/x"
    done = house.run("--", "sh", "-c", script)
    assert done.out == "gone\n"
    assert (house.workdir / "kept").read_text() == "a\n"
    assert not (house.home / "gone").exists()
    assert done.err.count("Read-only file system") == 3


@where_possible
def test_read_only_holds_its_folder_too(house: Place):
    done = house.run("--read-only", "--", "sh", "-c", "touch y")
    assert done.code == 1
    assert not (house.workdir / "y").exists()


@where_possible
def test_credentials_and_what_is_named_are_hidden(house: Place):
    (house.home / ".ssh").mkdir()
    (house.home / ".ssh/id").write_text("secret")
    (house.home / ".netrc").write_text("secret")
    private = house.workdir / "private"
    private.mkdir()
    (private / "x").write_text("secret")
    (house.workdir / ".env").write_text("secret")
    hide = ("--hide", str(private), "--hide", ".env")
    done = house.run(*hide, "--", "sh", "-c", "cat ~/.ssh/* ~/.netrc private/* .env; ls -a ~/.ssh")
    assert "secret" not in done.out
    assert (house.workdir / ".env").read_text() == "secret"


@pytest.mark.parametrize("folder", ["/", "/tmp"])
def test_a_folder_that_holds_everything_is_no_working_directory(house: Place, folder: str):
    done = house.run("--workdir", folder, "--", "true")
    assert done.code == CANNOT
    assert "cannot be the working directory" in done.err


@where_possible
def test_no_process_of_the_machine_is_seen(house: Place):
    source = """
import os
for pid in sorted(int(n) for n in os.listdir("/proc") if n.isdigit()):
    print(pid)
for what in ("root/", "cwd/", "fd/0", "environ", "mem", "ns/net"):
    try:
        os.stat(f"/proc/1/{what}") if what.endswith("/") else open(f"/proc/1/{what}")
        print("opened", what)
    except OSError as error:
        print(type(error).__name__)
"""
    lines = house.python(source).out.splitlines()
    assert lines[:2] == ["1", "2"]
    assert set(lines[2:]) <= {"PermissionError"}


@where_possible
def test_a_program_has_no_privileges_and_gets_none(house: Place):
    done = house.run("--", "sh", "-c", "cat /proc/self/status; mount -t tmpfs x /mnt; umount /tmp")
    told = dict(line.split(":\t", 1) for line in done.out.splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(told[name], 16) == 0
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")


# Whom it reaches


@where_possible
def test_nobody_of_the_machine_hears_a_byte(house: Place):
    with ExitStack() as stack:
        decoys = Decoys(stack, house)
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        stack.enter_context(theirs)
        words = ("--", PYTHON, "-I", "-S", "-c", REACH, repr(decoys.places))
        done = subprocess.run(
            house.argv(*words),
            cwd=house.workdir,
            env=house.environ(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            pass_fds=[theirs.fileno()],
        )
        assert done.stdout == "[]\n", done.stderr
        decoys.listen_once()
        assert decoys.heard == []
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(1)


SYSCALLS = """
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    ctypes.set_errno(0)
    return libc.syscall(*arguments), ctypes.get_errno()
print("io_uring", call(425, 8, 0))
keyctl = {"x86_64": 250, "aarch64": 219}[platform.machine()]
print("keyctl", call(keyctl, 0, -3, 0))
if platform.machine() == "x86_64":
    print("x32 socket", call(0x40000000 + 41, 40, 1, 0))
for family in (40, 17, 38, 44, 31):
    print(family, libc.socket(family, 1, 0), ctypes.get_errno())
print("socketpair", libc.socketpair(40, 1, 0, ctypes.create_string_buffer(8)), ctypes.get_errno())
"""


@where_possible
def test_calls_round_the_namespace_are_refused(house: Place):
    lines = house.python(SYSCALLS).out.splitlines()
    assert lines[:2] == ["io_uring (-1, 38)", "keyctl (-1, 38)"]
    assert all(line.endswith(("-1 97", "(-1, 38)")) for line in lines[2:]), lines


@where_possible
def test_names_are_answered_at_once_with_no(house: Place):
    source = """
import socket, time
begun = time.monotonic()
for name in ("example.com", "a.b.example"):
    try:
        print(socket.getaddrinfo(name, 80))
    except socket.gaierror as error:
        print(error.errno == socket.EAI_NONAME)
print(time.monotonic() - begun < 8)
"""
    done = house.python(source)
    assert done.out == "True\n" * 3
    assert "example.com" in done.err


# What is left


def mounts() -> int:
    """How many mounts the machine has, as we see it."""
    return Path("/proc/self/mounts").read_text().count("\n")


def processes(words: str) -> list[int]:
    """Processes whose command line has `words`: the first of a sandbox has its wrapper's.

    Where there is no process, there is no namespace: nothing else of ours keeps one.
    """
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def until(holds: Callable[[], object], what: str) -> None:
    """Wait, looking again and again: nothing tells when a process of another's is gone."""
    give_up = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < give_up, what
        threading.Event().wait(0.02)


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@where_possible
def test_many_runs_leave_nothing(house: Place):
    assert house.gateway is not None
    house.run("--", "true")
    before, fds = mounts(), descriptors(house.gateway.pid)
    files = sorted(house.folder.rglob("*"))
    mark = f"mark-{os.getpid()}-many"
    for _ in range(10):
        assert house.run("--", "sh", "-c", f"sleep 1000 & exit 3; : {mark}").code == 3
    assert not processes(mark)
    assert mounts() == before
    assert sorted(house.folder.rglob("*")) == files
    assert descriptors(house.gateway.pid) <= fds


@contextmanager
def started(there: Place, mark: str) -> Generator["subprocess.Popen[bytes]", None, None]:
    """A run that goes on until somebody ends it; its program is under way."""
    script = f"trap 'exit 9' TERM; touch begun; while :; do sleep 0.1; done; : {mark}"
    run = subprocess.Popen(
        there.argv("--", "sh", "-c", script),
        cwd=there.workdir,
        env=there.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with run:
        try:
            until((there.workdir / "begun").exists, "not begun")
            (there.workdir / "begun").unlink()
            yield run
        finally:
            run.kill()


@where_possible
def test_a_signal_is_passed_on(house: Place):
    with started(house, f"mark-{os.getpid()}-term") as run:
        run.send_signal(signal.SIGTERM)
        assert run.wait(20) == 9


@where_possible
def test_a_wrapper_that_is_killed_takes_everything_along(house: Place):
    mark = f"mark-{os.getpid()}-wrapper"
    before = mounts()
    with started(house, mark) as run:
        run.kill()
        run.wait()
        until(lambda: not processes(mark), "the program goes on")
    assert mounts() == before
    assert house.run("--", "true").code == 0  # and the gateway is as it was


@where_possible
def test_a_gateway_that_is_killed_leaves_a_program_without_models():
    with sandbox.place() as there:
        assert there.gateway is not None
        mark = f"mark-{os.getpid()}-gateway"
        with started(there, mark) as run:
            there.gateway.stop(signal.SIGKILL)
            run.send_signal(signal.SIGTERM)
            assert run.wait(20) == 9
        until(lambda: not processes(mark), "the program goes on")


@where_possible
def test_without_a_gateway_one_is_started_and_ends_with_the_program():
    with empty_place() as there:
        done = there.python(f"{ASK}\nprint(ask())")
        assert (done.code, done.out) == (0, "200\n"), done.err
        left = {path.name for path in there.folder.rglob("*") if path.is_socket()}
        assert left == set()
        assert not processes(str(there.folder))


@where_possible
def test_a_wrapper_that_is_killed_takes_its_gateway_along():
    with empty_place() as there:
        mark = f"mark-{os.getpid()}-companion"
        with started(there, mark) as run:
            run.kill()
            run.wait()
        until(lambda: not processes(str(there.folder)), "the gateway goes on")
        assert not [path for path in there.folder.rglob("*") if path.is_socket()]


def test_a_configuration_that_cannot_be_used_is_told():
    with empty_place() as there:
        (there.workdir / "broken.toml").write_text("[server]\nprot = 1\n")
        done = there.run("-c", "broken.toml", "--", "true")
        assert done.code == CANNOT
        assert "unknown key" in done.err


# Where it cannot be had

FORBIDDEN = "echo 0 >/proc/sys/user/max_user_namespaces; exec {command}"


def test_where_namespaces_are_forbidden_nothing_is_run(house: Place):
    command = " ".join(house.argv("--", "touch", "was-run"))
    shell = ["unshare", "--user", "--map-root-user", "sh", "-c", FORBIDDEN.format(command=command)]
    argv = shell if sandbox.is_possible() else house.argv("--", "touch", "was-run")
    done = subprocess.run(
        argv, cwd=house.workdir, env=house.environ(), capture_output=True, text=True, check=False
    )
    assert done.returncode == CANNOT, done.stderr
    assert "user namespaces cannot be had" in done.stderr
    assert "hint: " in done.stderr
    assert not (house.workdir / "was-run").exists()


ORDINARY = """
import ctypes, os, sys
import modelmux.cli.main, modelmux.isolate.wrapper, modelmux.isolate.options
os.setgroups([]); os.setgid(65534); os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1)  # as after executing a program
os.environ["HOME"] = "/nonexistent"
sys.exit(modelmux.cli.main.main(["isolate", "--control", sys.argv[1], *sys.argv[2:]]))
"""


@where_possible
def test_an_ordinary_user_needs_no_privileges(house: Place):
    """Run as root, it becomes nobody; the gateway of another user then refuses it."""
    if os.getuid() != 0:
        assert house.run("--", "true").code == 0
        return
    assert house.gateway is not None
    control = house.folder / "run/modelmux" / f"control-{house.gateway.pid}.sock"
    for folder in (house.folder, house.runtime, house.runtime / "modelmux"):
        folder.chmod(0o755)
    (house.runtime / "modelmux" / f"sandbox-{house.gateway.pid}.sock").chmod(0o666)
    argv = [sys.executable, "-c", ORDINARY, str(control), "--", "id", "-u"]
    done = subprocess.run(
        argv, cwd="/usr", env=house.environ(), capture_output=True, text=True, check=False
    )
    (house.runtime / "modelmux" / f"sandbox-{house.gateway.pid}.sock").chmod(0o600)
    assert done.returncode == CANNOT
    assert "this gateway belongs to another user" in done.stderr


# Terminals


class Terminal:
    """A shell's place: a terminal of its own, of which the run has the foreground."""

    def __init__(self, there: Place, *words: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(there.workdir)
            argv = there.argv(*words)
            os.execve(argv[0], argv, there.environ(TERM="dumb"))
        self.shown = b""

    def expect(self, pattern: bytes) -> re.Match[bytes]:
        give_up = time.monotonic() + 20
        while not (found := re.search(pattern, self.shown)):
            ready, _, _ = select.select([self.fd], [], [], 0.1)
            assert time.monotonic() < give_up, self.shown
            if ready:
                self.shown += os.read(self.fd, 4096)
        self.shown = self.shown[found.end() :]
        return found

    def type(self, text: bytes) -> None:
        os.write(self.fd, text)

    def code(self) -> int:
        try:
            while os.read(self.fd, 4096):
                pass
        except OSError:
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


@where_possible
def test_a_terminal_is_the_programs_with_its_size(house: Place):
    terminal = Terminal(house, "--", "sh", "-c", "stty size; read x; stty size; exit 4")
    terminal.expect(rb"0 0")
    termios.tcsetwinsize(terminal.fd, (40, 132))
    terminal.type(b"\n")
    terminal.expect(rb"40 132")
    assert terminal.code() == 4


@where_possible
def test_an_interrupt_from_the_terminal_is_the_programs(house: Place):
    script = "trap 'echo caught' INT; echo go; while :; do sleep 0.05; done"
    terminal = Terminal(house, "--", "sh", "-c", script)
    terminal.expect(rb"go")
    terminal.type(b"\x03")
    terminal.expect(rb"caught")
    terminal.type(b"\x1c")
    assert terminal.code() == 128 + signal.SIGQUIT


@where_possible
def test_nobody_types_in_the_users_name(house: Place):
    source = "import fcntl, termios\ntry: fcntl.ioctl(0, termios.TIOCSTI, b'x')\n"
    source += "except PermissionError: print('refused')"
    terminal = Terminal(house, "--", PYTHON, "-I", "-S", "-c", source)
    terminal.expect(rb"refused")
    assert terminal.code() == 0
