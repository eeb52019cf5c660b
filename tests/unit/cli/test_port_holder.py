import os
import socket
import sys
from pathlib import Path

from modelmux.cli.port_holder import holder

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1
   1: 0100007F:0BB9 0100007F:0BB8 01 00000000:00000000 00:00000000 00000000     0        0 222 1
"""


def proc(folder: Path) -> Path:
    (folder / "net").mkdir()
    (folder / "net/tcp").write_text(TABLE)
    for pid, inode in ((7, 222), (8, 111)):
        (folder / f"{pid}/fd").mkdir(parents=True)
        (folder / f"{pid}/fd/3").symlink_to(f"socket:[{inode}]")
        (folder / f"{pid}/comm").write_text(f"name{pid}\n")
    return folder


def test_the_process_that_listens_is_named(tmp_path: Path):
    assert holder(3000, proc(tmp_path)) == "name8 (pid 8)"


def test_a_connection_is_no_listener(tmp_path: Path):
    assert holder(3001, proc(tmp_path)) == ""


def test_a_process_that_hides_its_name_is_told_by_its_number(tmp_path: Path):
    (proc(tmp_path) / "8/comm").unlink()
    assert holder(3000, tmp_path) == "a process (pid 8)"


def test_where_nothing_can_be_told_nothing_is(tmp_path: Path):
    assert holder(3000, tmp_path) == ""


def test_a_port_of_our_own_is_ours():
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = holder(server.getsockname()[1])
    expected = f"(pid {os.getpid()})" if sys.platform == "linux" else ""
    assert found.endswith(expected)
