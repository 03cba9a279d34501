"""How long is waited for what must come. No test is about that time: where it runs out, the test has failed. So it is long
enough for a machine that has much else to do, and the only one of its kind."""
import time

PATIENCE_S = 60.0
_TRIES = 10


def wait_until(holds, explain="it did not come true in time", *, seconds=PATIENCE_S, every_s=0.01):
    """Until holds() is true; gives its value. explain: a text, or a function that gives it."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(explain() if callable(explain) else explain)
        time.sleep(every_s)
    return value


def in_time(limit_s, attempt):
    """For what has to be done *before* a time of the gateway's is over, as a login before login_timeout. attempt() does it, and
    is called again if it took longer than limit_s, be it that it failed or not: the machine was busy. Gives what it gives."""
    for _ in range(_TRIES):
        began, problem, result = time.monotonic(), None, None
        try:
            result = attempt()
        except Exception as error:  # pylint: disable=broad-except
            problem = error
        if time.monotonic() - began < limit_s:
            if problem:
                raise problem
            return result
    raise AssertionError(f"not once within {limit_s} s in {_TRIES} tries") from problem


def let_pass(seconds):
    """For what comes by time itself, and tells nobody: a token that has expired, a proof that has aged; or to give what must not
    happen the time to happen. It may take longer, and the test must hold then too."""
    time.sleep(seconds)


def wait_until_still(value, seconds=0.5):
    """Until value() has not changed for a while, and gives it: nothing moves any more, or the machine was busy. So what a test
    says of it must be true at any time before, too."""
    last, since = value(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.01)
        if (now := value()) != last:
            last, since = now, time.monotonic()
    return last
