"""imapstatectl: key files as an operator makes, rotates and reads them (docs/keys.md)."""
import calendar
import os
import pathlib
import re
import stat
import subprocess
import time

import pytest

from harness.patience import PATIENCE_S

_TREE = pathlib.Path(__file__).resolve().parents[2]
_CTL = pathlib.Path(os.environ.get("IMAPSTATE_BUILD", _TREE / "build")).resolve() / "src/ctl/imapstatectl"
_LINE = re.compile(r"([0-9a-f]{8}) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ([A-Za-z0-9_-]{43})")
KEY_A = "0000000a 2020-01-01T00:00:00Z AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
KEY_B = "0000000b 2021-01-01T00:00:00Z Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA"
KEY_FUTURE = "0000000f 2999-01-01T00:00:00Z AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


def ctl(*words, **settings):
    return subprocess.run([_CTL, *map(str, words)], capture_output=True, text=True, timeout=PATIENCE_S, **settings)


def ok(*words, **settings):
    done = ctl(*words, **settings)
    assert done.returncode == 0, done
    return done


def failed(*words, status=1, **settings):
    done = ctl(*words, **settings)
    assert done.returncode == status and done.stdout == "" and done.stderr, done
    return done.stderr


def keys_of(path):
    """(id, time in seconds, key) of each line; the file must hold nothing else."""
    lines = path.read_text().splitlines()
    matches = [_LINE.fullmatch(line) for line in lines]
    assert all(matches), lines
    return [(m[1], calendar.timegm(time.strptime(m[2], "%Y-%m-%dT%H:%M:%SZ")), m[3]) for m in matches]


def write(path, *lines, mode=0o600):
    path.write_text("".join(line + "\n" for line in lines))
    path.chmod(mode)
    return path


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def keys(tmp_path):
    return tmp_path / "keys"


def test_new_makes_a_private_file_with_one_key_that_seals_now(keys):
    before = int(time.time())
    done = ok("keys", "new", keys)
    [(key_id, seals_from, _)] = keys_of(keys)
    assert before <= seals_from <= time.time()
    assert key_id in done.stdout and done.stderr == ""
    assert mode_of(keys) == 0o600
    assert os.listdir(keys.parent) == ["keys"]


@pytest.mark.parametrize("umask", [0, 0o22, 0o777])
def test_the_umask_does_not_matter(keys, umask):
    ok("keys", "new", keys, umask=umask)
    assert mode_of(keys) == 0o600
    ok("keys", "rotate", keys, umask=umask)
    assert mode_of(keys) == 0o600


def test_two_new_files_have_different_keys(tmp_path):
    ok("keys", "new", tmp_path / "a")
    ok("keys", "new", tmp_path / "b")
    [(id_a, _, key_a)], [(id_b, _, key_b)] = keys_of(tmp_path / "a"), keys_of(tmp_path / "b")
    assert id_a != id_b and key_a != key_b


def test_new_never_touches_what_exists(keys):
    write(keys, "precious")
    assert f"{keys}: exists already" in failed("keys", "new", keys)
    assert keys.read_text() == "precious\n"


def test_new_does_not_follow_a_symbolic_link(keys, tmp_path):
    keys.symlink_to(tmp_path / "elsewhere")
    failed("keys", "new", keys)
    assert not (tmp_path / "elsewhere").exists()


def test_new_with_a_time_ahead_warns_that_nothing_seals_until_then(keys):
    assert "no key seals before" in ok("keys", "new", keys, "--from", "+2h").stderr
    [(_, seals_from, _)] = keys_of(keys)
    assert 7200 - 60 < seals_from - time.time() <= 7200


def test_new_in_a_directory_that_is_not_there(tmp_path):
    path = tmp_path / "missing" / "keys"
    assert f"{path}: cannot create: No such file or directory" in failed("keys", "new", path)


def test_rotate_adds_a_key_that_seals_at_once_and_keeps_the_rest(keys):
    write(keys, "# made by hand", KEY_A, "")
    before = int(time.time())
    done = ok("keys", "rotate", keys)
    text = keys.read_text()
    assert text.startswith(f"# made by hand\n{KEY_A}\n\n") and text.endswith("\n")
    match = _LINE.fullmatch(text.splitlines()[-1])
    assert match and match[1] in done.stdout
    assert before <= calendar.timegm(time.strptime(match[2], "%Y-%m-%dT%H:%M:%SZ")) <= time.time()
    assert "opens and seals" in next(line for line in ok("keys", "list", keys).stdout.splitlines() if match[1] in line)
    assert mode_of(keys) == 0o600 and os.listdir(keys.parent) == ["keys"]


def test_rotate_ends_the_last_line_first(keys):
    keys.write_text(KEY_A)
    ok("keys", "rotate", keys)
    assert [key_id for key_id, _, _ in keys_of(keys)][0] == "0000000a" and len(keys_of(keys)) == 2


def test_rotate_replaces_the_file_and_does_not_write_into_it(keys):
    """A gateway that is reading meanwhile reads the old file to its end."""
    write(keys, KEY_A)
    with keys.open() as opened:
        ok("keys", "rotate", keys)
        assert opened.read() == KEY_A + "\n"
    assert len(keys_of(keys)) == 2


def test_rotate_takes_permissions_away_from_others(keys):
    write(keys, KEY_A, mode=0o644)
    ok("keys", "rotate", keys)
    assert mode_of(keys) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_rotate_keeps_the_owner(keys):
    write(keys, KEY_A)
    os.chown(keys, 12345, 23456)
    ok("keys", "rotate", keys)
    assert (keys.stat().st_uid, keys.stat().st_gid) == (12345, 23456)
    assert len(keys_of(keys)) == 2


def test_rotate_leaves_a_symbolic_link_in_place(keys, tmp_path):
    target = write(tmp_path / "target", KEY_A)
    keys.symlink_to("target")
    ok("keys", "rotate", keys)
    assert keys.is_symlink() and len(keys_of(target)) == 2


@pytest.mark.parametrize("ahead, seconds", [("+90s", 90), ("+30m", 1800), ("+2h", 7200), ("+7d", 604800), ("+2w", 1209600)])
def test_rotate_from_a_time_ahead(keys, ahead, seconds):
    write(keys, KEY_A)
    ok("keys", "rotate", keys, "--from", ahead)
    _, (_, seals_from, _) = keys_of(keys)
    assert seconds - 60 < seals_from - time.time() <= seconds
    lines = ok("keys", "list", keys).stdout.splitlines()
    assert lines[1].endswith("opens and seals") and lines[2].endswith("opens; seals from then on")


def test_rotate_from_a_date(keys):
    write(keys, KEY_A)
    ok("keys", "rotate", "--from=2999-12-31T23:59:59Z", keys)
    assert keys.read_text().splitlines()[1].split()[1] == "2999-12-31T23:59:59Z"


def test_rotate_refuses_the_past(keys):
    write(keys, KEY_A)
    assert "past" in failed("keys", "rotate", keys, "--from", "2020-01-01T00:00:00Z", status=2)
    assert keys.read_text() == KEY_A + "\n"


@pytest.mark.parametrize("text", [
    "", "+", "+h", "+2", "+2x", "+2hh", "+-2h", "+ 2h", "2h", "-2h", "tomorrow", "2026-11-24", "2026-02-31T00:00:00Z",
    "2026-11-24T00:00:00", "+99999999999999999999s", "+9999999999999999999w", "+9999999999d", "2999-01-01T00:00:00Z ",
])
def test_what_is_no_time_is_said_so(keys, text):
    write(keys, KEY_A)
    assert "--from" in failed("keys", "rotate", keys, "--from", text, status=2)
    assert keys.read_text() == KEY_A + "\n"


def test_a_rotation_that_is_under_way_keeps_another_out(keys):
    write(keys, KEY_A)
    other = keys.parent / "keys.new"
    other.write_text("somebody else's")
    assert f"{other}: exists" in failed("keys", "rotate", keys)
    assert keys.read_text() == KEY_A + "\n" and other.read_text() == "somebody else's"


def test_rotations_at_once_lose_no_key(keys):
    write(keys, KEY_A)
    running = [subprocess.Popen([_CTL, "keys", "rotate", keys], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for _ in range(20)]
    done = [(process, *process.communicate(timeout=PATIENCE_S)) for process in running]
    made = [re.search(r"key ([0-9a-f]{8})", out)[1] for process, out, _ in done if process.returncode == 0]
    assert made and all(process.returncode in (0, 1) for process, _, _ in done)
    assert all("keys.new: exists" in errors for process, _, errors in done if process.returncode == 1)
    assert sorted(key_id for key_id, _, _ in keys_of(keys)) == sorted(["0000000a", *made])
    assert os.listdir(keys.parent) == ["keys"]


BROKEN = [
    (["# fine", KEY_A, "", "0000000b yesterday x"], "4: key line is malformed"),
    ([KEY_A, KEY_A], "2: key id occurs twice"),
    ([KEY_A + " "], "1: key line is malformed"),
]


@pytest.mark.parametrize("command", ["list", "rotate"])
@pytest.mark.parametrize("lines, want", BROKEN)
def test_a_broken_file_is_told_by_line_and_left_alone(keys, command, lines, want):
    write(keys, *lines)
    before = keys.read_text()
    errors = failed("keys", command, keys)
    assert errors == f"{keys}:{want}\n"
    assert keys.read_text() == before and os.listdir(keys.parent) == ["keys"]


@pytest.mark.parametrize("command", ["list", "rotate"])
def test_a_file_cut_anywhere_inside_a_line_is_malformed(keys, command):
    for length in (1, 8, 9, 29, 30, 31, len(KEY_A) - 1):
        keys.write_text(KEY_B + "\n" + KEY_A[:length])
        assert failed("keys", command, keys) == f"{keys}:2: key line is malformed\n"


@pytest.mark.parametrize("command", ["list", "rotate"])
def test_what_is_no_file(tmp_path, command):
    assert "No such file" in failed("keys", command, tmp_path / "missing")
    assert "is not a regular file" in failed("keys", command, tmp_path)
    os.mkfifo(tmp_path / "fifo")
    assert "is not a regular file" in failed("keys", command, tmp_path / "fifo")
    assert os.listdir(tmp_path) == ["fifo"]


def test_a_file_that_is_too_long(keys):
    comment = "#" * 63
    write(keys, *[comment] * 1024)
    ok("keys", "list", keys)
    assert "is full" in failed("keys", "rotate", keys)
    write(keys, *[comment] * 1024, "#")
    assert "longer than 64 KiB" in failed("keys", "list", keys)
    assert os.listdir(keys.parent) == ["keys"]


def test_list_shows_which_key_does_what_and_no_key(keys):
    write(keys, KEY_B, "# comment", KEY_A, KEY_FUTURE)
    done = ok("keys", "list", keys)
    assert done.stderr == ""
    assert done.stdout.splitlines()[1:] == [
        "0000000b  2021-01-01T00:00:00Z  opens and seals",
        "0000000a  2020-01-01T00:00:00Z  opens",
        "0000000f  2999-01-01T00:00:00Z  opens; seals from then on",
    ]
    for line in (KEY_A, KEY_B):
        assert line.split()[2] not in done.stdout


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_list_warns_if_others_may_use_the_file(keys, mode):
    write(keys, KEY_A, mode=mode)
    assert "group or others" in ok("keys", "list", keys).stderr


@pytest.mark.parametrize("lines", [[], ["# nothing"], [KEY_FUTURE]])
def test_list_warns_if_no_key_seals(keys, lines):
    write(keys, *lines)
    assert "no key seals now" in ok("keys", "list", keys).stderr


@pytest.mark.parametrize("words", [
    [], ["keys"], ["keys", "new"], ["keys", "new", ""], ["keys", "rotate"], ["keys", "list"], ["keys", "steal", "x"],
    ["key", "list", "x"], ["keys", "list", "x", "y"], ["keys", "list", "x", "--from", "+1h"], ["--unknown"],
    ["keys", "rotate", "x", "--from"],
])
def test_wrong_usage_is_status_2_and_points_to_the_help(words, tmp_path):
    assert "imapstatectl --help" in failed(*words, status=2, cwd=tmp_path)
    assert os.listdir(tmp_path) == []


def test_help_and_version():
    done = ok("--help")
    assert done.stdout.startswith("Usage: imapstatectl ") and done.stderr == ""
    for word in ("try HOST", "rotate", "list", "--from", "+2h", "Exit status"):
        assert word in done.stdout
    assert ok("keys", "--help").stdout == done.stdout
    assert re.fullmatch(r"imapstatectl \d+\.\d+\.\d+\n", ok("--version").stdout)


def test_what_cannot_be_written_is_a_failure(keys):
    write(keys, KEY_A)
    with open("/dev/full", "w") as full:
        done = subprocess.run([_CTL, "keys", "list", keys], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1 and "cannot write" in done.stderr
