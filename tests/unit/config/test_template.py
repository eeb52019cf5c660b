import pytest

from modelmux.config.template import Answers, ProviderChoice, render
from tests.unit.config.conftest import Machine

ANSWERS = [
    Answers(),
    Answers(port=8080, log_level="debug", enable_retries=False, max_retry_attempts=7),
    Answers(streaming_mode="buffered", buffer_size=2048, chunk_timeout_ms=200),
    Answers(
        providers=(
            ProviderChoice("openai", "${OPENAI_API_KEY}"),
            ProviderChoice("ollama", base_url="http://127.0.0.1:1"),
            ProviderChoice("anthropic", "${ANTHROPIC_API_KEY}", is_comment=True),
        )
    ),
]


@pytest.mark.parametrize("answers", ANSWERS)
def test_what_is_written_is_valid_and_says_what_was_answered(machine: Machine, answers: Answers):
    machine.environ["OPENAI_API_KEY"] = "sk-0123456789"
    machine.project(render(answers))
    loaded = machine.load()
    config = loaded.config
    assert [str(address) for address in config.addresses] == [f"127.0.0.1:{answers.port}"]
    assert config.server.log_level == answers.log_level
    assert config.server.enable_retries == answers.enable_retries
    assert config.server.max_retry_attempts == answers.max_retry_attempts
    assert config.streaming.mode == answers.streaming_mode
    assert config.streaming.buffer_size == answers.buffer_size
    assert config.streaming.chunk_timeout_ms == answers.chunk_timeout_ms
    expected = [each.type for each in answers.providers if not each.is_comment]
    if answers.providers:
        assert [provider.name for provider in config.providers] == expected
    assert loaded.warnings == ()


def test_what_stands_in_comments_is_valid_too(machine: Machine):
    """Whoever removes the # gets a configuration that works."""
    machine.environ.update(
        OPENAI_API_KEY="sk-0123456789", ANTHROPIC_API_KEY="sk-a", MY_KEY="0123456789abcdef"
    )
    lines = render(Answers()).splitlines()
    start = lines.index("# [[providers]]")
    opened = [
        line.removeprefix("# ") if "=" in line or line.startswith("# [[") else line
        for line in lines[start:]
    ]
    text = "\n".join(opened).replace(
        'targets = ["openai/gpt-5.4-mini", ', 'targets = ["openai/x"]#'
    )
    machine.project(text)
    config = machine.load().config
    assert (config.providers[0].name, config.models[0].name, config.keys[0].name) == (
        "openai",
        "fast",
        "me",
    )
