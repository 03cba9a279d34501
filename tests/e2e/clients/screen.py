"""A program in a terminal, as its user sees it: keys go in, and what is on the screen is read.

A program draws when it likes, and what it draws over before we have looked was never there for us. So wait for what stays on
the screen until the next key, never for a message that something else may write over."""
import re
import time

import pexpect
import pyte

from harness.patience import PATIENCE_S

_LINES, _COLUMNS = 40, 120


class Screen:
    """Started by the constructor, in a folder, with its environment; ended by close() at the latest.

    questions: what the program may ask on its way, or may not, and the keys that answer it, {pattern: keys}. Whoever waits for
    something else sees to them."""

    def __init__(self, words, folder, environment, questions=None):
        self._screen = pyte.Screen(_COLUMNS, _LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._questions = questions or {}
        self._answered = set()  # the questions that are still on the screen, and have had their keys
        self._program = pexpect.spawn(words[0], [str(word) for word in words[1:]], cwd=str(folder), env=environment,
                                      dimensions=(_LINES, _COLUMNS), timeout=None)
        self._program.delaybeforesend = None

    def text(self):
        return "\n".join(self._screen.display)

    def wait(self, *patterns, without=()):
        """Until the screen has all the regular expressions, and none of those that it is to be without. Keys that come before
        a program waits for them may be lost."""
        def is_shown():
            text = self.text()
            return all(re.search(each, text, re.M) for each in patterns) and not any(re.search(each, text, re.M) for each in without)
        self.wait_for(is_shown, f"not on the screen in time: {patterns}, without {without}")

    def wait_for(self, holds, what):
        """Until holds(). Then all is on the screen that the program had written before it held."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            self._answer_questions()
            assert time.monotonic() < deadline, f"{what}\n{self.text()}"
            assert self._read(0.1), f"it has ended; {what}\n{self.text()}"
        while self._read(0) and self._has_more:
            pass

    def keys(self, *keys):
        for each in keys:
            self._program.send(each)

    def wait_end(self, status=0):
        """Until the program has ended, with this exit status."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read(0.1):
            self._answer_questions()
            assert time.monotonic() < deadline, f"it does not end\n{self.text()}"
        self._program.close()
        assert self._program.exitstatus == status, f"it ended with {self._program.exitstatus}\n{self.text()}"

    def close(self):
        self._program.close(force=True)

    def _answer_questions(self):
        """Each once, as long as it stands there."""
        asked = {pattern for pattern in self._questions if re.search(pattern, self.text(), re.M)}
        for pattern in asked - self._answered:
            self.keys(self._questions[pattern])
        self._answered = asked

    def _read(self, seconds):
        """Takes in what the program has written; False once it has ended."""
        self._has_more = False
        try:
            self._stream.feed(self._program.read_nonblocking(1 << 16, seconds))
            self._has_more = True
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
