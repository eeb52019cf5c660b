import asyncio

from bench.virtual import pause, run
from modelmux.errors import TargetError, Unreachable
from modelmux.target.checks import Checks, Probe
from modelmux.target.health import BreakerPolicy, HealthBook
from tests.support.targets import FakeClock


class Providers:
    """Providers that answer, or do not."""

    def __init__(self, **answers: bool) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self) -> list[tuple[str, Probe]]:
        return [(name, self._probe(name)) for name in self.answers]

    def _probe(self, name: str) -> Probe:
        async def probe() -> TargetError | None:
            self.asked.append(name)
            return None if self.answers[name] else Unreachable("x")

        return probe


def test_a_provider_that_is_gone_is_left_alone_and_one_that_is_back_is_asked_again():
    clock = FakeClock()
    book = HealthBook(clock, BreakerPolicy(failures=2, is_checked=True, slow_start_s=0.0))
    gone, other, well = book.of("gone/m"), book.of("gone/n"), book.of("well/m")
    providers = Providers(gone=False, well=True)
    checks = Checks(providers, book)
    asyncio.run(checks.once())
    asyncio.run(checks.once())
    assert [each.state for each in (gone, other, well)] == ["open", "open", "closed"]
    assert not gone.admits(clock() + 100)
    providers.answers["gone"] = True
    clock.advance(5.0)
    asyncio.run(checks.once())
    assert [each.state for each in (gone, other, well)] == ["closed"] * 3


def test_providers_are_asked_at_intervals_until_it_is_stopped():
    async def main() -> list[str]:
        providers = Providers(a=True)
        book = HealthBook(asyncio.get_running_loop().time)
        checks = Checks(providers, book)
        checks.start(10.0)
        await pause(35.0)
        checks.start(100.0)
        await pause(150.0)
        checks.stop()
        checks.stop()
        await pause(500.0)
        return providers.asked

    assert run(main()) == ["a"] * 4


def test_the_name_of_a_provider_is_no_beginning_of_anothers():
    book = HealthBook(FakeClock(), BreakerPolicy(failures=1))
    near = book.of("gone-too/m")
    asyncio.run(Checks(Providers(gone=False), book).once())
    assert near.state == "closed"
