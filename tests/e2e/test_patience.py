"""The tests hold on a machine that has much else to do: none of them sleeps, none gives up soon, none takes a time for too long.
README.md, "Time", says how to do without."""
import ast
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent
SOURCES = sorted(path for path in HERE.rglob("*.py"))
SHORTEST_S = 30

# Why a function may do it all the same, by file and name.
MAY = {
    "harness/patience.py let_pass": "it is how to sleep",
    "harness/patience.py wait_until": "it looks again and again",
    "harness/patience.py wait_until_still": "likewise; what it gives is true earlier, too",
    "harness/recorder.py _speaks": "a long way to the server",
    "harness/imap.py Wire._receive": "the socket's time is none, as somebody else waits",
    "harness/imap.py Client.expect_silence": "a longer time would only make it stricter",
    "test_framing.py assert_quiet": "likewise",
    "test_park_random.py Visitor.listen": "whatever it hears is good",
    "test_monkey.py": "likewise",
    "test_park_waking.py test_under_tls_an_orderly_end_is_seen_as_well": "the answer does not matter",
    "test_capabilities.py test_a_list_is_rewritten_however_it_arrives": "the second part is to come later, if it can",
    "test_prelude.py test_an_answer_may_come_in_parts": "likewise",
    "test_bounds.py test_all_at_once_is_below_what_is_promised": "it sends as much as is taken, and less does no harm",
    "test_park_random.py disturb": "the server's whims",
    "test_p14_p15_secrets.py next_second": "a time stamp, and no deadline",
    "harness/storm": "a load without expectations of when; its patience is in world.py",
}


def _number(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool) else None


def _name(call):
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_clock(node):
    return any(isinstance(each, ast.Call) and _name(each) in ("monotonic", "time", "perf_counter", "monotonic_ns") for each in ast.walk(node))


def _is_short(node):
    number = _number(node)
    return number is not None and number < SHORTEST_S


def _complaint_of_call(call):
    name = _name(call)
    if name == "sleep":
        return "sleeps"
    if name in ("wait", "join", "settimeout", "set_timeout") and isinstance(call.func, ast.Attribute) and call.args and _is_short(call.args[0]):
        return f"{name}({_number(call.args[0])})"
    if name == "create_connection" and len(call.args) > 1 and _is_short(call.args[1]):
        return f"connects for {_number(call.args[1])} s"
    if name == "timeout" and call.args and _is_short(call.args[0]):
        return f"timeout({_number(call.args[0])})"
    return next((f"{each.arg}={_number(each.value)}" for each in call.keywords if each.arg in ("timeout", "seconds") and _is_short(each.value)
                 and name not in ("expect_silence", "assert_quiet", "wait_until_still")), None)


def _complaint(node):
    if isinstance(node, ast.Call):
        return _complaint_of_call(node)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], (ast.Lt, ast.LtE)) and _is_clock(node.left) \
            and _is_short(node.comparators[0]):
        return "takes a time for too long"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and _is_clock(node.left) and _is_short(node.right):
        return f"a deadline in {_number(node.right)} s"
    if isinstance(node, ast.arguments):
        named = zip(reversed(node.posonlyargs + node.args), reversed(node.defaults))
        return next((f"{each.arg}={_number(value)}" for each, value in (*named, *zip(node.kwonlyargs, node.kw_defaults))
                     if value is not None and each.arg in ("timeout", "seconds") and _is_short(value)), None)
    return None


def complaints_of(node, place=""):
    """(place, line, complaint) of all below the node."""
    for child in ast.iter_child_nodes(node):
        below = place
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            below = f"{place}.{child.name}".lstrip(".")
        if what := _complaint(child):
            yield below, getattr(child, "lineno", getattr(node, "lineno", 0)), what
        yield from complaints_of(child, below)


def _may(path, place):
    return any(f"{path} {place}".startswith(each) for each in MAY)


@pytest.mark.once
def test_no_test_depends_on_how_busy_the_machine_is():
    found = []
    for source in SOURCES:
        path = str(source.relative_to(HERE))
        found += [f"{path}:{line}: {place}: {what}" for place, line, what in complaints_of(ast.parse(source.read_text()))
                  if not _may(path, place)]
    assert not found, "\n".join(found)


@pytest.mark.once
@pytest.mark.parametrize("code", [
    "time.sleep(1)", "sleep(0.1)", "thread.join(10)", "event.wait(5)", "sock.settimeout(0.5)", "socket.create_connection((a, b), 10)",
    "gateway.wait_log('x', seconds=10)", "subprocess.run(x, timeout=20)", "def f(seconds=10.0): pass", "def f(*, timeout=5): pass",
    "assert time.monotonic() - began < 3", "deadline = time.monotonic() + 10", "pytest.mark.timeout(20)(f)"])
def test_what_depends_on_it_is_found(code):
    assert list(complaints_of(ast.parse(code)))


@pytest.mark.once
@pytest.mark.parametrize("code", [
    "event.wait(PATIENCE_S)", "', '.join(lines)", "gateway.wait_log('x', seconds=60)", "client.expect_silence(seconds=0.1)",
    "assert time.monotonic() - began >= 0.4", "sock.settimeout(None)"])
def test_what_does_not_is_left_alone(code):
    assert not list(complaints_of(ast.parse(code)))
