import os
import socket
from pathlib import Path

from modelmux.transport.notify import Notify


def test_each_message_is_a_datagram_for_whom_the_variable_names(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("s")
        notify = Notify({"NOTIFY_SOCKET": "s"})
        for say in (notify.ready, notify.stopping, notify.reloading):
            say()
        notify.main_pid(7)
        told = [listening.recv(100).decode() for _ in range(4)]
    assert told[:2] == ["READY=1", "STOPPING=1"]
    assert told[2].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert told[3] == "MAINPID=7"


def test_an_abstract_name_begins_with_an_at():
    name = f"modelmux-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        Notify({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert listening.recv(100) == b"READY=1"


def test_where_nobody_listens_nothing_happens(tmp_path: Path):
    Notify({}).ready()
    Notify({"NOTIFY_SOCKET": str(tmp_path / "gone")}).stopping()
