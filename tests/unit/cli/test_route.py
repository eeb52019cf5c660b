from pathlib import Path

import msgspec
import pytest

from tests.unit.cli.conftest import Cli

CONFIG = """
[[providers]]
name = "local"
type = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"
models = ["qwen", "llama"]
region = "eu"

[[models]]
name = "smart"
strategy = "hybrid"
targets = [
  { target = "local/qwen", when = 'has_code', weight = 2 },
  "local/llama",
]

[[keys]]
name = "team-a"
secret = "a-secret-for-team-a"
models = ["smart"]

[[routing.rules]]
when = 'model == "gpt-4" && tokens < 1000'
target = "local/llama"

[[routing.rules]]
when = '"code" in tags || headers["x-team"] == "b"'
model = "smart"
"""


def test_a_rule_that_decides_is_told_with_what_it_saw(cli: Cli):
    cli.project(CONFIG)
    ran = cli("route", "explain", "gpt-4")
    assert ran.code == 0
    assert ran.out.splitlines()[:3] == [
        "gpt-4 is answered by local/llama",
        '  rule 1  decides: model == "gpt-4" && tokens < 1000',
        '            model = "gpt-4", tokens = 5',
    ]
    assert "rule 2  comes too late" in ran.out


def test_candidates_are_told_with_why(cli: Cli):
    cli.project(CONFIG)
    lines = cli("route", "explain", "smart").out.splitlines()
    assert lines[0] == "smart is answered by local/llama"
    assert lines[-3:] == [
        "  chosen by Priority",
        "    local/llama  is asked first (in eu)",
        "    local/qwen  its `when` does not hold: has_code (weight 2; in eu)",
    ]


@pytest.mark.parametrize("options", [("--tag", "code"), ("--header", "X-Team: b")])
def test_tags_and_headers_are_part_of_the_call(cli: Cli, options: tuple[str, ...]):
    cli.project(CONFIG)
    out = cli("route", "explain", "anything", *options).out
    assert out.splitlines()[0] == "anything is answered by local/llama, as smart"


def test_a_body_is_a_call(cli: Cli, tmp_path: Path):
    cli.project(CONFIG)
    body = tmp_path / "body.json"
    content = "Fix this:\n```\nx\n```"
    message = {"role": "user", "content": content}
    body.write_bytes(
        msgspec.json.encode({"model": "smart", "max_tokens": 9, "messages": [message]})
    )
    ran = cli("route", "explain", "--body", str(body), "--wire", "anthropic.messages")
    assert ran.out.splitlines()[0] == "smart is answered by local/qwen"


def test_who_asks_makes_a_difference(cli: Cli):
    cli.project(CONFIG)
    ran = cli("route", "explain", "qwen", "--key", "team-a")
    assert ran.code == 1
    assert "qwen is answered by nobody: the key 'team-a' does not allow" in ran.out


def test_json_has_all_of_it(cli: Cli):
    cli.project(CONFIG)
    found = cli("route", "explain", "gpt-4", "--json").json()
    assert isinstance(found, dict)
    assert (found["target"], found["rules"][0]["outcome"]) == ("local/llama", "decides")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "expected a MODEL, or --body FILE"),
        (("m", "--wire", "openai.chatt"), 1, "there is no wire 'openai.chatt'"),
        (("m", "--key", "nobody"), 1, "there is no key 'nobody'"),
    ],
)
def test_what_cannot_be_meant_is_told(cli: Cli, arguments: tuple[str, ...], code: int, said: str):
    cli.project(CONFIG)
    ran = cli("route", "explain", *arguments)
    assert ran.code == code
    assert said in ran.err
