from bench.load import Expected, Plan, read_samples


def test_what_is_not_asked_for_is_not_said():
    plan = Plan(connections=3, duration_s=2, warmup_s=0, once=True)
    arguments = plan.arguments()
    assert arguments[:2] == ["--connections", "3"]
    assert "--once" in arguments
    assert not {"--rate", "--requests", "--read-bytes"} & set(arguments)


def test_a_zero_warmup_is_said_because_it_is_not_the_default():
    assert Plan(warmup_s=0).arguments()[2:4] == ["--warmup", "0"]


def test_expectations_are_told_to_the_generator():
    arguments = Expected(body_bytes=10, events=2, contains="x y", status=201).arguments()
    assert arguments == ["--status", "201", "--bytes", "10", "--events", "2", "--contains", "x y"]


def test_samples_are_cut_by_their_length_whatever_they_hold():
    bodies = [b"", b"a\n3\nb", b"\xff\n"]
    content = b"".join(f"{len(body)}\n".encode() + body + b"\n" for body in bodies)
    assert read_samples(content) == bodies
