"""What visits cost the processes of a server, as the benchmarks count it."""
import pathlib
import platform
import re
import sys
import time

from .patience import wait_until_still

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "bench"))

import peers  # noqa: E402


def cpu_s(pid):
    """User and system time of the process and all below it, those that have ended too, once they are at rest."""
    def spent():
        try:
            return sum(peers.process_cpu_s(each) for each in (pid, *peers.process_children(pid)))
        except OSError:
            return None  # one has ended meanwhile

    while (still := wait_until_still(spent)) is None:
        pass
    return still


def machine():
    """Today, and here."""
    names = re.findall(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{time.strftime('%Y-%m-%d', time.gmtime())}, {len(names)} cores of {names[0]}, Linux {platform.release()}"
