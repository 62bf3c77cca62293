"""What does the set-up say on a machine without a fitting Python?"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("sh", "cat", "cksum", "dirname", "grep", "sort", "rm", "tail", "sleep")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="tools/bootstrap.sh is for POSIX shells")


@pytest.fixture
def bare(tmp_path):
    """A checkout on a machine that has the usual tools and no Python."""
    checkout, bin = tmp_path / "checkout", tmp_path / "bin"
    (checkout / "tools").mkdir(parents=True)
    bin.mkdir()
    for name in ("pyproject.toml", "requirements.lock", "tools/bootstrap.sh"):
        shutil.copy(ROOT / name, checkout / name)
    for name in TOOLS:
        (bin / name).symlink_to(shutil.which(name))
    return checkout, bin


def install(bin, name, text):
    (bin / name).write_text(f"#!/bin/sh\n{text}\n")
    (bin / name).chmod(0o755)


def set_up(checkout, bin, **more):
    env = {"PATH": str(bin), "HOME": str(checkout), **more}
    return subprocess.run(["sh", str(checkout / "tools" / "bootstrap.sh")], env=env, capture_output=True, text=True, timeout=60)


def test_every_candidate_is_run_and_named_with_what_is_wrong_with_it(bare):
    checkout, bin = bare
    install(bin, "python3", 'if [ "$1" = --version ]; then echo Python 3.11.2; else exit 1; fi')
    install(bin, "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    no_venv = 'case "$2" in *ensurepip*) exit 1;; esac; if [ "$1" = --version ]; then echo Python 3.12.9; fi'
    install(bin, "python3.12", no_venv)
    done = set_up(checkout, bin)
    assert done.returncode == 1
    assert f"{bin}/python3: Python 3.11.2, too old\n" in done.stderr
    assert f"{bin}/python3.13: does not run\n" in done.stderr
    assert (
        f"{bin}/python3.12: Python 3.12.9, but without venv/ensurepip (Debian, Ubuntu: apt install python3-venv)\n" in done.stderr
    )
    for way in ("pyenv install", "uv python install", "conda create", "apt install", "python.org", "make run PYTHON="):
        assert way in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_of_pyenv_that_is_not_switched_on_is_found(bare):
    checkout, bin = bare
    home = checkout / ".pyenv" / "versions" / "3.13.9" / "bin"
    home.mkdir(parents=True)
    (home / "python").symlink_to(sys.executable)
    install(bin, "python3", "exit 127")
    # an unwritable place for the environment shows which Python was chosen, without installing anything
    (checkout / ".venv").write_text("in the way")
    done = set_up(checkout, bin)
    assert f"[1/3] Making .venv with Python {sys.version.split()[0]} ({home}/python)" in done.stdout
    assert done.returncode != 0


def test_nothing_is_done_when_the_environment_is_up_to_date(bare):
    checkout, bin = bare
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(checkout / ".venv")], check=True)
    names = "pyproject.toml requirements.lock tools/bootstrap.sh"
    stamp = f"cat {names} | cksum >.venv/.installed; pwd >>.venv/.installed"
    subprocess.run(["sh", "-c", stamp], cwd=checkout, check=True)
    before = sorted(path.name for path in (checkout / ".venv").rglob("*"))
    done = set_up(checkout, bin)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in (checkout / ".venv").rglob("*")) == before


def test_a_failed_installation_shows_the_cause_and_leaves_no_stamp(bare):
    checkout, bin = bare
    (bin / "python3").symlink_to(os.path.realpath(sys.executable))
    # what looks like an environment and is none: installing there would install into the Python behind it
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(os.path.realpath(sys.executable))
    (checkout / "requirements.lock").write_text("one == 1 == 2\n")
    done = set_up(checkout, bin)
    assert done.returncode == 1
    assert f"[1/3] Making .venv with Python {sys.version.split()[0]} ({bin}/python3)" in done.stdout
    assert "The installation failed" in done.stdout
    assert "one == 1 == 2" in done.stdout
    assert (checkout / ".venv" / "pyvenv.cfg").exists()
    assert not (checkout / ".venv" / ".installed").exists()
