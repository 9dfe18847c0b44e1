"""What the benchmarks in Python share: where things are, what ran, and where figures are kept."""

import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build/release/bin"


def environment(threads=None):
    """Of a run; with `threads` those of OpenMP are set."""
    told = {**os.environ, "OMP_WAIT_POLICY": "passive", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return told if threads is None else {**told, "OMP_NUM_THREADS": str(threads)}


def run_measured(command, threads=None):
    """Standard output, seconds, and peak resident memory in MiB. The system charges a program with what the one that
    starts it holds, so this one should hold little. Raises RuntimeError with the end of its error output."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=err, cwd=ROOT, env=environment(threads))
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(str(word) for word in command)} ended with {process.returncode}:\n{err.read()[-2000:]}")
        return out.read(), seconds, usage.ru_maxrss / 1024


def require_program(bench):
    if not (BIN / "moe-train").exists():
        sys.exit(f"{bench}: {BIN / 'moe-train'} is missing; build the release preset first")


def peer_python(given, folder, requirements):
    """The given one, or that of an environment of our own below build/."""
    if given:
        return given
    python = ROOT / "build" / folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ROOT / "build" / folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", ROOT / requirements], check=True)
    return str(python)


def cpu_name():
    """As the kernel names it, its cores, and the instructions our programs chose."""
    name = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    version = subprocess.run([BIN / "moe-train", "--version"], capture_output=True, text=True, check=True, env=environment(1)).stdout
    return f"{name}, {os.cpu_count()} cores, {version.split(',')[-1].strip(' )' + chr(10))}"


def commit():
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()


def append_history(bench, figures):
    """One line of tests/bench/history.jsonl."""
    line = {"date": datetime.date.today().isoformat(), "commit": commit(), "cpu": cpu_name(), "bench": bench, **figures}
    with open(ROOT / "tests/bench/history.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")
