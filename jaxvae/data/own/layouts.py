"""Which pictures of a folder belong to a split, and which class each has; whatever is left out is said.

    folder/*.png                          no labels
    folder/<class>/**/*.png               one number for each class name
    folder/<split>/[<class>/**/]*.png     splits by name: train or training, test or testing, val, valid or validation

Class names are numbered over all splits together, folders without a picture too, so that a class has one number.
"""

import os
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jaxvae.data.own.pictures import SUFFIXES, UNREADABLE
from jaxvae.data.splits import SPLITS, split_of

JUNK = ("__MACOSX",)  # what macOS puts beside the files of an archive


class Found(NamedTuple):
    """The pictures of one split.

    Attributes:
        files: in the order of their names, class by class.
        labels: the class of each, or None where there are no class folders.
        classes: the class names, of all splits together.
        has_splits: whether the folder has split folders of its own.
    """

    files: list[Path]
    labels: list[int] | None
    classes: tuple[str, ...]
    has_splits: bool


class _Folder(NamedTuple):
    """What lies in one folder: pictures, folders, and the names of what is left out."""

    pictures: list[Path]
    folders: list[Path]
    left_out: list[Path]


def find_pictures(path: Path, split: str) -> Found:
    """The pictures of a split of a folder, or all where it has no split folders.

    Raises:
        ValueError: for a layout of two meanings, a split that is not there, no pictures; naming the folder.
    """
    parts, left_out = _splits(path)
    chosen = _chosen(path, split, parts) if parts else path
    classes = _class_names(path, list(parts.values()) or [path])
    if classes:
        here = _look(chosen)
        left_out += here.left_out
        by_class = {child.name: child for child in here.folders}
        groups = [_below(by_class[name], left_out) if name in by_class else [] for name in classes]
        _say(chosen, left_out, [name for name, group in zip(classes, groups, strict=True) if not group])
        files = [file for group in groups for file in group]
        labels = [label for label, group in enumerate(groups) for _ in group]
    else:
        here = _look(chosen)
        files, labels = here.pictures, None
        _say(chosen, left_out + here.left_out, [])
    if not files:
        raise ValueError(f"{chosen} holds no pictures, expected {', '.join(SUFFIXES)}, there or in folders of classes.")
    return Found(files, labels, classes, bool(parts))


def _splits(path: Path) -> tuple[dict[str, Path], list[Path]]:
    """The split folders by name, {} where there are none, and folders beside them; raises where both may be classes."""
    here = _look(path)
    named: dict[str, list[Path]] = {}
    for folder in here.folders:
        named.setdefault(split_of(folder.name) or "", []).append(folder)
    others = [folder for folder in named.pop("", []) if _has_pictures(folder)] if named.keys() - {""} else []
    named.pop("", None)
    for split, folders in named.items():
        if len(folders) > 1:
            names = " and ".join(folder.name for folder in folders)
            raise ValueError(f"{path} holds {names}, two folders of the split {split!r}. Move one into the other.")
    if named and here.pictures:
        raise ValueError(
            f"{path} holds pictures ({here.pictures[0].name}, ...) beside the split {_names(*named.values())}. Move "
            f"them into a split."
        )
    if len(named) == 1 and others:
        raise ValueError(
            f"{path} holds {_names(*named.values())}, a split by its name, beside {_names(others)}, expected splits or "
            f"classes. Name the splits {' or '.join(SPLITS)}; or, if all of them are classes, move them into one "
            f"folder {path / 'train'}."
        )
    return {split: folders[0] for split, folders in named.items()}, others


def _chosen(path: Path, split: str, parts: dict[str, Path]) -> Path:
    chosen = parts.get(split_of(split) or split)
    if chosen is None:
        names = sorted(folder.name for folder in parts.values())
        raise ValueError(
            f"{path} has no split {split!r}, expected one of: {', '.join(names)}. To hold a part of one out, load the "
            f"folder {next(iter(parts.values()))} with test_fraction=0.1."
        )
    return chosen


def _class_names(path: Path, parts: list[Path]) -> tuple[str, ...]:
    """The names of the class folders of all splits in order, () where the pictures lie without any."""
    looks = {part: _look(part) for part in parts}
    with_classes = {part for part, look in looks.items() if any(map(_has_pictures, look.folders))}
    flat = {part for part, look in looks.items() if look.pictures}
    for part in with_classes & flat:
        raise ValueError(
            f"{part} holds pictures ({looks[part].pictures[0].name}, ...) and folders of pictures "
            f"({_names(looks[part].folders)}), expected either. Move the pictures into a folder of their class."
        )
    if with_classes and flat:
        raise ValueError(
            f"{path}: {_names(sorted(with_classes))} has folders of classes and {_names(sorted(flat))} has none, "
            f"expected them in every split or in none."
        )
    if not with_classes:
        return ()
    names = {part: {folder.name for folder in look.folders} for part, look in looks.items()}
    every = sorted(set().union(*names.values()))
    if all(map(split_of, every)):
        raise ValueError(f"{path} holds the splits {', '.join(every)} one folder deeper. Load the folder above them.")
    spelled: dict[str, set[str]] = {}
    for name in every:
        spelled.setdefault(unicodedata.normalize("NFC", name).casefold(), set()).add(name)
    for forms in spelled.values():
        if len(forms) > 1 and not any(forms <= found for found in names.values()):
            raise ValueError(f"{path} spells a class in two ways, {' and '.join(sorted(forms))}. Rename one folder.")
    return tuple(every)


def _below(folder: Path, left_out: list[Path], above: tuple[Path, ...] = ()) -> list[Path]:
    """The pictures of a class, however deep they lie; what is left out is added to the list."""
    real = folder.resolve()
    if real in above:
        raise ValueError(f"{folder} leads back to a folder above it, expected folders without a circle. Remove it.")
    here = _look(folder)
    left_out += here.left_out
    found = list(here.pictures)
    for child in here.folders:
        if split_of(child.name) and (pictures := _below(child, [], (*above, real))):
            raise ValueError(
                f"{child} holds pictures ({pictures[0].name}, ...) of a split below the class {folder.name!r}, "
                f"expected splits above classes: {child.name}/{folder.name}. Move it, or rename it."
            )
        found += _below(child, left_out, (*above, real))
    return sorted(found, key=lambda file: file.parts)


def _has_pictures(folder: Path, above: tuple[Path, ...] = ()) -> bool:
    real, here = folder.resolve(), _look(folder)
    below = (child for child in here.folders if child.resolve() not in (*above, real))
    return bool(here.pictures) or any(_has_pictures(child, (*above, real)) for child in below)


def _look(path: Path) -> _Folder:
    """The visible files and folders of one folder in the order of their names, links followed."""
    found = _Folder([], [], [])
    with os.scandir(path) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        child = path / entry.name
        suffix = child.suffix.lower()
        if child.name.startswith(".") or child.name in JUNK:
            if suffix in SUFFIXES:
                found.left_out.append(child)
        elif entry.is_dir():
            found.folders.append(child)
        elif suffix in UNREADABLE:
            raise ValueError(
                f"{child} is a picture of a kind that cannot be read, expected {', '.join(SUFFIXES)}. Convert it, or "
                f"move it away."
            )
        elif suffix not in SUFFIXES:
            found.left_out.append(child)
        elif entry.is_file():
            found.pictures.append(child)
        else:
            raise ValueError(f"{child} is no file that can be read, such as a link to nothing. Remove or restore it.")
    return found


def _say(path: Path, left_out: list[Path], empty: list[str]) -> None:
    hidden = [file for file in left_out if file.name.startswith(".")]
    others = [file for file in left_out if not file.name.startswith(".")]
    for files, why in ((hidden, "hidden"), (others, "neither pictures by their names nor splits")):
        if files:
            print(f"jaxvae: left out of {path}, {why}: {len(files)} ({_names(files)}).", file=sys.stderr)
    if empty:
        print(f"jaxvae: classes without a picture in {path}: {', '.join(empty[:5])}.", file=sys.stderr)


def _names(*groups: Iterable[Path]) -> str:
    names = [path.name for group in groups for path in group]
    return ", ".join([*names[:3], *(["..."] if len(names) > 3 else [])])
