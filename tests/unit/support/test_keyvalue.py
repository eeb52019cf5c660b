from pathlib import Path

from tests.support import keyvalue


def test_a_server_keeps_what_it_is_told_until_it_is_killed(tmp_path: Path):
    with keyvalue.running(tmp_path) as server:
        assert server.ask("SET", "a", "1") == b"+OK"
        assert server.ask("EXISTS", "a") == b":1"
        server.kill()
        assert server.ask("PING") == b""
        server.start()
        assert server.ask("EXISTS", "a") == b":0"
        assert server.url.endswith(f":{server.port}/0")
