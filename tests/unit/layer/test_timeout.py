import asyncio

import pytest

from modelmux.errors import TargetTimeout
from modelmux.layer.timeout import Timeout
from modelmux.target.call import Call
from tests.support import targets
from tests.support.linewire import LineWire
from tests.support.targets import Fake, FakeClock

WIRE = LineWire()


def sent(call: Call, timeout_s: float, clock: FakeClock) -> Call:
    """What the target was sent for `call`."""
    fake = Fake(targets.whole(wire=WIRE))
    asyncio.run(Timeout(fake, timeout_s=timeout_s, now=clock).send(call))
    return fake.calls[0]


def test_a_call_gets_a_deadline():
    assert sent(targets.call(WIRE), 60.0, FakeClock(1000.0)).deadline == 1060.0


def test_a_sooner_deadline_of_the_callers_is_kept():
    call = targets.call(WIRE).with_deadline(1005.0)
    assert sent(call, 60.0, FakeClock(1000.0)).deadline == 1005.0


def test_a_later_deadline_of_the_callers_is_cut():
    call = targets.call(WIRE).with_deadline(9999.0)
    assert sent(call, 60.0, FakeClock(1000.0)).deadline == 1060.0
    assert call.deadline == 9999.0


@pytest.mark.parametrize("deadline", [999.0, 1000.0])
def test_a_call_whose_deadline_has_passed_is_not_sent(deadline: float):
    fake = Fake(targets.whole(wire=WIRE), name="p/m")
    call = targets.call(WIRE).with_deadline(deadline)
    with pytest.raises(TargetTimeout, match="before it was sent") as caught:
        asyncio.run(Timeout(fake, timeout_s=60.0, now=FakeClock(1000.0)).send(call))
    assert caught.value.target == "p/m"
    assert fake.calls == []
