"""Small disks of their own, to fill them."""

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def mounted(folder, *options):
    """A small disk of its own; skips where this process may not mount one."""
    folder.mkdir()
    command = shutil.which("mount")
    if os.name != "posix" or command is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    done = subprocess.run([command, "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], capture_output=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
