#!/usr/bin/env python3
"""Gets the test engine ready: a virtual environment with llama.cpp, and a tiny model.

    setup.py DIR

Does nothing when DIR is ready. Safe to run several times at once: one waits for the other.
"""
import fcntl
import hashlib
import pathlib
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).parent


def main(directory):
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = [HERE / "requirements.txt", HERE / "make_model.py"]
        wanted = hashlib.sha256(b"".join(f.read_bytes() for f in sources)).hexdigest()
        ready = directory / "ready"
        if ready.exists() and ready.read_text() == wanted:
            return
        ready.unlink(missing_ok=True)
        venv.create(directory / "venv", clear=True, with_pip=True)
        python = directory / "venv" / "bin" / "python"
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
        model = directory / "tiny.gguf"
        subprocess.run([python, HERE / "make_model.py", model], check=True)
        ready.write_text(wanted)


main(pathlib.Path(sys.argv[1]).absolute())
