import pytest

from tests.unit.config.conftest import Machine


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('backend = "redis"', "cache.url: required: where is the server?"),
        (
            'backend = "redis"\nurl = "http://h"',
            "cache.url: expected a URL of a server",
        ),
        ('backend = "redis"\nurl = "redis://h:port"', "cache.url: expected a URL"),
        ('backend = "disk"', "cache.backend: expected"),
        ("ttl_seconds = 0", "cache.ttl_seconds: expected"),
        ("max_bytes = 10", "cache.max_bytes: expected"),
        ("[[cache.rules]]", "cache.rules[0]: expected either cache_if or skip_if"),
        (
            '[[cache.rules]]\ncache_if = "true"\nskip_if = "true"',
            "cache.rules[0]: expected either cache_if or skip_if",
        ),
        (
            '[[cache.rules]]\ncache_if = "determined"',
            "cache.rules[0].cache_if: column 1: there is no fact 'determined'",
        ),
        ('[[cache.rules]]\nskip_if = "tokens >"', "cache.rules[0].skip_if: column"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(machine: Machine, text: str, problem: str):
    (found,) = machine.problems(f"[cache]\n{text}\n")
    assert problem in found


def test_a_password_in_the_url_is_shown_nowhere(machine: Machine):
    (found,) = machine.problems('[cache]\nbackend = "redis"\nurl = "http://:s3cret@h"\n')
    assert "s3cret" not in found
    machine.project('[cache]\nbackend = "redis"\nurl = "redis://:s3cret@h"\n')
    assert "s3cret" not in repr(machine.load().config)


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ('url = "redis://h"', "cache.url: has no effect with backend"),
        ('scope = "team"', "cache.scope: no key has the tag `team`"),
        ('[[cache.rules]]\nskip_if = "stream"\nttl_seconds = 5', "has no effect with skip_if"),
    ],
)
def test_what_has_no_effect_is_warned_of(machine: Machine, text: str, warning: str):
    assert any(warning in each for each in machine.warnings(f"[cache]\n{text}\n"))


def test_a_cache_that_is_right_is_taken(machine: Machine):
    machine.project(
        """
[cache]
enabled = true
backend = "redis"
url = "unix:///run/valkey.sock"
scope = "all"
[[cache.rules]]
skip_if = "has_images"
[[cache.rules]]
cache_if = "deterministic && !stream"
ttl_seconds = 3600
"""
    )
    cache = machine.load().config.cache
    assert cache.enabled
    assert [rule.ttl_seconds for rule in cache.rules] == [None, 3600.0]
