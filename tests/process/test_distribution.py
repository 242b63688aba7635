"""The wheel and the source distribution: built, installed into a fresh environment and run from another folder."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import jaxvae

ROOT = Path(jaxvae.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def run(*words, folder):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(word) for word in words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(folder, python of a fresh environment, source distribution, wheel made of it)."""
    folder = tmp_path_factory.mktemp("distribution")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    got = run(python, "-m", "pip", "install", "-q", *PROJECT["build-system"]["requires"], folder=folder)
    if got.returncode:
        pytest.skip(f"what builds the package cannot be had: {got.stderr[-300:]}")

    def build(kind, source):
        done = run(python, "-c", BUILD, kind, folder, folder=source)
        assert done.returncode == 0, done.stderr
        return folder / done.stdout.split()[-1]

    copy = folder / "copy"  # as git has it, so that nothing is left in the checkout
    archive = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in archive.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    source = build("build_sdist", copy)
    with tarfile.open(source) as file:
        names = file.getnames()
        for name in names:
            assert not name.startswith(("/", ".."))
        # Python 3.11.4 and later want to be told what may be unpacked.
        told = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        file.extractall(folder / "source", **told)
    wheel = build("build_wheel", folder / "source" / names[0].partition("/")[0])
    assert run(python, "-m", "pip", "install", "-q", "--no-deps", wheel, folder=folder).returncode == 0
    # What it depends on is taken from this environment, not downloaded again.
    place = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).stdout.strip()
    Path(place, "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return folder, python, source, wheel


@pytest.mark.slow
def test_the_wheel_holds_the_package_with_its_types_and_nothing_else(built):
    with zipfile.ZipFile(built[-1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = next(wheel.read(name).decode() for name in wheel.namelist() if name.endswith("METADATA"))
    package = (path for path in (ROOT / "jaxvae").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert names == {path.relative_to(ROOT).as_posix() for path in package}
    assert {"jaxvae/py.typed", "jaxvae/__init__.pyi", "jaxvae/__main__.py"} <= names
    for line in ("Name: jaxvae", f"Version: {jaxvae.__version__}", "License-Expression: Apache-2.0", "# jaxvae"):
        assert line in metadata.splitlines()


@pytest.mark.slow
def test_the_source_has_what_the_readme_shows(built):
    with tarfile.open(built[2]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    pictures = {path.relative_to(ROOT).as_posix() for path in (ROOT / ".github").rglob("*.png")}
    assert pictures
    assert {"README.md", "LICENSE", "pyproject.toml", *pictures} <= names


@pytest.mark.slow
def test_what_was_installed_trains_a_run_in_another_folder(built, tmp_path):
    _, python, *_ = built
    command = python.with_name("jaxvae")
    assert run(command, "--version", folder=tmp_path).stdout == f"jaxvae {jaxvae.__version__}\n"
    where = run(python, "-c", "import jaxvae; print(jaxvae.__file__)", folder=tmp_path).stdout
    assert Path(sys.executable).parents[1] not in Path(where).parents
    assert ROOT not in Path(where).parents
    words = "train digits --epochs 1 --batch-size 500 --model.hidden 8 --model.latent-dim 2 --no-progress"
    done = run(command, *words.split(), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "-ELBO" in done.stdout
    assert (tmp_path / "runs" / "digits" / "summary.json").exists()
    assert run(command, "sample", "runs/digits", "--count", "4", folder=tmp_path).returncode == 0
