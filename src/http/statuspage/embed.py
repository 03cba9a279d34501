"""embed.py OUTPUT page.html page.css page.js: the status page as C, for src/http/statuspage.c: one string with all of it, and
its Content-Security-Policy, by which a browser runs this script and this style sheet and nothing else."""
import base64
import hashlib
import pathlib
import re
import sys

LINE_MAX = 100  # octets, as some compilers have limits


def source_hash(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def policy(style, script):
    return "; ".join((
        "default-src 'none'", f"style-src {source_hash(style)}", f"script-src {source_hash(script)}", "connect-src 'self'",
        "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"))


def complaint(html, style, script):
    if re.search(r"</(script|style)", style + script, re.IGNORECASE) or "<!--" in script:
        return "the script or the style sheet would end early"
    if html.count("@STYLE@") != 1 or html.count("@SCRIPT@") != 1:
        return "page.html has no place, or more than one, for the others"
    return None


def c_string(text):
    octets = text.encode()
    chunks = [octets[at:at + LINE_MAX] for at in range(0, len(octets), LINE_MAX)]
    return "\n".join('    "' + "".join(map(c_octet, chunk)) + '"' for chunk in chunks)


def c_octet(octet):
    """Three digits, so that what follows is not taken for one more; "?" could begin a trigraph."""
    return chr(octet) if 0x20 <= octet < 0x7f and chr(octet) not in '"\\?' else f"\\{octet:03o}"


def main(output, *paths):
    html, style, script = (pathlib.Path(path).read_text(encoding="utf-8") for path in paths)
    if words := complaint(html, style, script):
        raise ValueError(words)
    page = html.replace("@STYLE@", style).replace("@SCRIPT@", script)
    pathlib.Path(output).write_text(
        f"static const char statuspage_text[] =\n{c_string(page)};\nstatic const char statuspage_policy[] =\n"
        f"{c_string(policy(style, script))};\n", encoding="utf-8")


try:
    main(*sys.argv[1:])
except (OSError, ValueError) as error:
    sys.exit(f"embed.py: {error}")
