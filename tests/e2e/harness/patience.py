"""How long is waited for what must come. No test is about that time: where it runs out, the test has failed. So it is long
enough for a machine that has much else to do, and the only one of its kind."""
import time

PATIENCE_S = 60.0


def wait_until(holds, explain="it did not come true in time", *, seconds=PATIENCE_S, every_s=0.01):
    """Until holds() is true; gives its value. explain: a text, or a function that gives it."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(explain() if callable(explain) else explain)
        time.sleep(every_s)
    return value
