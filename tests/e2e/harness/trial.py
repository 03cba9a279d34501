"""imapstatectl try, run and read."""
import base64
import re
import subprocess

from .gateway import program
from .patience import PATIENCE_S
from .server import NEW_USER_PASSWORD


def attempt(*words, password=NEW_USER_PASSWORD, prefix=(), **settings):
    """Runs it; nothing of the password is ever in what it says."""
    done = subprocess.run((*prefix, program("imapstatectl"), "try", *map(str, words)), input=f"{password}\n", capture_output=True,
                          text=True, timeout=PATIENCE_S, **settings)
    said = done.stdout + done.stderr
    forms = (password, password.replace("\\", "\\\\").replace('"', '\\"'), base64.b64encode(b"\0ann\0" + password.encode()).decode())
    assert not any(form and form in said for form in forms), said
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done


def in_clear(port, *words, user="ann", **settings):
    return attempt("127.0.0.1", "--port", port, "--plain", "--user", user, *words, **settings)


def round_trips(done):
    """As the table has them, by the session's name."""
    rows = re.findall(r"^(set up and saved|restored|set up without STATE) +[0-9.]+ ms +(\d+) +[0-9.]+ ms$", done.stdout, re.M)
    return {name: int(count) for name, count in rows}
