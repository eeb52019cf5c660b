"""The process that writes the log: nothing is lost where nobody is killed, little where one is."""

import os
import signal
from pathlib import Path

from tests.support import plain
from tests.support.dialects import OPENAI
from tests.support.gateway import Gateway, GatewayStarter

CONFIG = '[server]\nlog_format = "json"\n'
ASKED = OPENAI.ask("modelmux/echo")


def writer_of(running: Gateway) -> int:
    tasks = Path(f"/proc/{running.pid}/task").iterdir()
    children = [each for task in tasks for each in (task / "children").read_text().split()]
    assert len(children) == 1
    return int(children[0])


def call(running: Gateway, id_: str) -> None:
    answer = plain.post(running.base_url, OPENAI.path, ASKED, {"x-request-id": id_})
    assert answer.status == 200


def said(running: Gateway, id_: str) -> int:
    return running.log.count(f'"modelmux.id":"{id_}"')


def test_nothing_is_lost_when_it_stops(start_gateway: GatewayStarter):
    running = start_gateway(CONFIG)
    for number in range(200):
        call(running, f"call-{number}")
    running.send_signal(signal.SIGTERM)
    assert running.wait_until_ended() == 0
    assert [said(running, f"call-{number}") for number in range(200)] == [1] * 200
    assert '"message":"stopped"' in running.log


def test_what_was_said_is_there_when_the_gateway_is_killed(start_gateway: GatewayStarter):
    running = start_gateway(CONFIG)
    for number in range(100):
        call(running, f"call-{number}")
    running.wait_until_logged('"modelmux.id":"call-99"')
    call(running, "too-late")
    running.send_signal(signal.SIGKILL)
    running.wait_until_ended()
    assert [said(running, f"call-{number}") for number in range(100)] == [1] * 100


def test_a_writer_that_is_killed_is_replaced_and_that_is_said(start_gateway: GatewayStarter):
    running = start_gateway(CONFIG)
    call(running, "before")
    running.wait_until_logged('"modelmux.id":"before"')
    first = writer_of(running)
    os.kill(first, signal.SIGKILL)
    running.wait_until_logged("another one goes on")
    call(running, "after")
    running.wait_until_logged('"modelmux.id":"after"')
    assert writer_of(running) != first
    assert running.log.count("the process that writes the log has ended (signal 9)") == 1


def test_a_writer_that_does_not_live_costs_no_line(start_gateway: GatewayStarter):
    running = start_gateway(CONFIG)
    for count in range(3):
        call(running, f"before-{count}")
        running.wait_until_logged(f'"modelmux.id":"before-{count}"')
        writer = writer_of(running)
        os.kill(writer, signal.SIGKILL)
        while Path(f"/proc/{writer}/stat").exists():  # until the gateway has noticed
            pass
    running.wait_until_logged("a thread writes it from now on")
    call(running, "after")
    running.wait_until_logged('"modelmux.id":"after"')
    running.send_signal(signal.SIGTERM)
    assert running.wait_until_ended() == 0
    assert '"message":"stopped"' in running.log


def test_the_end_of_the_gateway_is_the_end_of_its_writer(start_gateway: GatewayStarter):
    running = start_gateway(CONFIG)
    writer = writer_of(running)
    os.kill(writer, signal.SIGTERM)  # as a supervisor sends it to all of a group
    call(running, "still-there")
    running.wait_until_logged('"modelmux.id":"still-there"')
    assert writer_of(running) == writer
    running.send_signal(signal.SIGKILL)
    running.wait_until_ended()
    while Path(f"/proc/{writer}/stat").exists():
        pass
