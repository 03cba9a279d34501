"""A program in a terminal, as its user sees it: keys go in, and what is on the screen is read."""
import re
import time

import pexpect
import pyte

_LINES, _COLUMNS = 40, 120


class Screen:
    """Started by the constructor, in a folder, with its environment; ended by close() at the latest."""

    def __init__(self, words, folder, environment):
        self._screen = pyte.Screen(_COLUMNS, _LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._program = pexpect.spawn(words[0], [str(word) for word in words[1:]], cwd=str(folder), env=environment,
                                      dimensions=(_LINES, _COLUMNS), timeout=None)
        self._program.delaybeforesend = None

    def text(self):
        return "\n".join(self._screen.display)

    def wait(self, *patterns, seconds=15):
        """Until the screen has all the regular expressions; keys that come before a program waits for them may be lost."""
        deadline = time.monotonic() + seconds
        while not all(re.search(pattern, self.text(), re.MULTILINE) for pattern in patterns):
            assert time.monotonic() < deadline, f"not on the screen in time: {patterns}\n{self.text()}"
            assert self._read(0.1), f"it has ended before this was on the screen: {patterns}\n{self.text()}"

    def keys(self, *keys):
        for each in keys:
            self._program.send(each)

    def wait_end(self, seconds=15):
        """Until the program has ended, which must be well."""
        deadline = time.monotonic() + seconds
        while self._read(0.1):
            assert time.monotonic() < deadline, f"it does not end\n{self.text()}"
        self._program.close()
        assert self._program.exitstatus == 0, f"it ended with {self._program.exitstatus}\n{self.text()}"

    def close(self):
        self._program.close(force=True)

    def _read(self, seconds):
        """Takes in what the program has written; False once it has ended."""
        try:
            self._stream.feed(self._program.read_nonblocking(1 << 16, seconds))
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
