"""What a gateway tells Prometheus, read as Prometheus reads it."""
import re
import urllib.request

from . import net
from .patience import PATIENCE_S, wait_until

_SAMPLE = re.compile(r'(\w+)(?:\{(.*)\})? (\S+)')
_LABEL = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')


def parse(text):
    """{(name, labels as a frozenset of pairs): value}; an error at a line that is none, and at one that is there twice."""
    samples = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = _SAMPLE.fullmatch(line).groups()
        key = name, frozenset(_LABEL.findall(labels or ""))
        assert key not in samples, f"twice: {line}"
        samples[key] = float(value)
    return samples


class Metrics:
    """Of a gateway with http { address }."""

    def __init__(self, port):
        self.port = port

    @classmethod
    def settings(cls):
        """(settings for a gateway, what reads its metrics)"""
        port = net.free_port()
        return {"http": {"address": f"{net.LOOPBACK}:{port}"}}, cls(port)

    def get(self, path="/metrics", **headers):
        request = urllib.request.Request(f"http://{net.LOOPBACK}:{self.port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.read().decode(), answer.headers

    def scrape(self):
        return parse(self.get()[0])

    def sum(self, name, **labels):
        """Of all samples of that name that have these labels."""
        return sum(value for (known, pairs), value in self.scrape().items()
                   if known == f"imapstate_{name}" and set(labels.items()) <= pairs)

    def wait(self, name, value, **labels):
        """Until it is that: a worker may have told the peer before it has counted."""
        wait_until(lambda: self.sum(name, **labels) == value, lambda: f"{name} {labels} is {self.sum(name, **labels)}, not {value}")
