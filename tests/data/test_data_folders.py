"""A folder of pictures: none is dropped or mixed in silence, and a class has one number in every split."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxvae import data

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 1), dtype=np.uint8)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array[..., 0]).save(path)


def tree(root: Path, *files: str) -> Path:
    """A folder of pictures; a name that ends in / is an empty folder, and each picture is as bright as its index."""
    for index, name in enumerate(files):
        if name.endswith("/"):
            (root / name).mkdir(parents=True)
        else:
            save(root / name, np.full((2, 2, 1), 20 + index, np.uint8))
    return root


def labelled(own: data.Dataset) -> dict[str, list[int]]:
    """The brightness of the pictures of each class, by its name."""
    return {
        name: (own.images[own.labels == label, 0, 0, 0] - 20).tolist() for label, name in enumerate(own.class_names)
    }


def test_a_class_has_one_number_in_every_split_and_an_empty_folder_takes_none_away(tmp_path):
    angles = [f"train/{angle}/a.png" for angle in (0, 180, 270, 90)]
    tree(tmp_path, *angles, "test/0/a.png", "test/270/a.png", "test/90/a.png", "test/45/")
    train, test = data.load(tmp_path), data.load(tmp_path, "test")
    assert train.class_names == test.class_names == ("0", "180", "270", "45", "90")
    assert labelled(train) == {"0": [0], "180": [1], "270": [2], "45": [], "90": [3]}
    assert labelled(test) == {"0": [4], "180": [], "270": [5], "45": [], "90": [6]}


def test_pictures_deeper_than_their_class_belong_to_it(tmp_path, capsys):
    tree(tmp_path, "cat/0.png", "owl/0.png", "dog/session1/0.png", "dog/session2/a/b/0.png", "dog/0.png")
    assert labelled(data.load(tmp_path)) == {"cat": [0], "dog": [4, 2, 3], "owl": [1]}
    assert capsys.readouterr().err == ""


FORMS = [("Train", "Test"), ("training", "testing"), ("TRAIN", "Validation"), ("train", "val"), ("Training", "valid")]


@pytest.mark.parametrize(("first", "second"), FORMS)
def test_splits_have_many_names_and_any_case(tmp_path, first, second):
    tree(tmp_path, f"{first}/a/0.png", f"{second}/b/0.png")
    other = "test" if second.lower().startswith("test") else "val"
    for asked, named in (("train", {"a": [0], "b": []}), (other, {"a": [], "b": [1]}), (second, {"a": [], "b": [1]})):
        assert labelled(data.load(tmp_path, asked)) == named
    with pytest.raises(ValueError, match=rf"no split 'extra', expected one of: .*{first}.*test_fraction"):
        data.load(tmp_path, "extra")


def test_links_to_folders_are_followed_and_circles_are_refused(tmp_path):
    tree(tmp_path / "elsewhere", "0.png", "deep/1.png")
    tree(tmp_path / "own", "cat/0.png")
    (tmp_path / "own" / "owl").symlink_to(tmp_path / "elsewhere")
    assert labelled(data.load(tmp_path / "own")) == {"cat": [0], "owl": [0, 1]}
    (tmp_path / "elsewhere" / "deep" / "again").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="again leads back to a folder above it"):
        data.load(tmp_path / "own")


def test_what_is_left_out_is_said(tmp_path, capsys):
    tree(tmp_path, "train/a/0.png", "train/b/", "test/a/1.png", "notes/2.png", "train/a/.3.png", "__MACOSX/a/._0.png")
    (tmp_path / "train" / "a" / "list.txt").write_text("0.png")
    assert labelled(data.load(tmp_path)) == {"a": [0], "b": []}
    said = capsys.readouterr().err
    assert "hidden: 1 (.3.png)" in said
    assert "neither pictures by their names nor splits: 2 (notes, list.txt)" in said
    assert f"classes without a picture in {tmp_path / 'train'}: b" in said


TWO_MEANINGS = {  # files, words
    "two folders of one split": (["Train/a/0.png", "training/a/0.png"], "Train and training, two folders of the split"),
    "a split beside classes": (["train/0.png", "car/0.png", "plane/0.png"], r"train, a split.*beside car, plane"),
    "a split below classes": (["cat/train/0.png", "cat/test/0.png", "dog/train/0.png"], "of a split below the class"),
    "splits one folder deeper": (["train/Train/0.png", "train/test/0.png"], "splits Train, test one folder deeper"),
    "pictures beside splits": (
        ["train/a/0.png", "test/a/0.png", "0.png"],
        r"holds pictures \(0\.png, .*split test, tr",
    ),
    "classes in one split alone": (["train/a/0.png", "test/0.png"], "train has folders of classes and test has none"),
    "a class spelled in two ways": (["train/Cat/0.png", "test/cat/0.png"], "spells a class in two ways, Cat and cat"),
    "a kind of picture that is not read": (["a/0.png", "a/1.HEIC.png"], "1.HEIC is a picture of a kind"),
    "a link to nothing": (["a/0.png", "a/gone.png"], r"gone\.png is no file that can be read"),
}


@pytest.mark.parametrize("case", TWO_MEANINGS)
def test_a_folder_of_two_meanings_is_refused_by_name(tmp_path, case):
    files, words = TWO_MEANINGS[case]
    tree(tmp_path, *files)
    if "HEIC" in words:
        (tmp_path / "a" / "1.HEIC.png").rename(tmp_path / "a" / "1.HEIC")
    if "gone" in words:
        (tmp_path / "a" / "gone.png").unlink()
        (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match=words) as error:
        data.load(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_letters_of_both_cases_are_two_classes_where_a_split_has_both(tmp_path):
    tree(tmp_path, "train/a/0.png", "train/A/0.png", "test/a/0.png")
    assert labelled(data.load(tmp_path, "test")) == {"A": [], "a": [2]}


def test_arrays_of_another_split_are_not_split_again(tmp_path):
    """With x_train alone a test part held out of it would be trained on too."""
    np.savez(tmp_path / "mine.npz", X_train=PIXELS, y_train=np.arange(10))
    assert data.load(tmp_path / "mine.npz").labels.tolist() == list(range(10))
    with pytest.raises(ValueError, match=r"no split 'test', expected one of: train \(X_train\).*images='X_train'"):
        data.load(tmp_path / "mine.npz", "test", test_fraction=0.3)
    held = data.load(tmp_path / "mine.npz", "test", images="X_train", labels="y_train", test_fraction=0.3)
    assert len(held.images) == 3


def test_of_a_camera_file_of_several_pictures_the_first_is_taken(tmp_path):
    smooth = np.broadcast_to(np.linspace(0, 250, 16, dtype=np.uint8)[:, None, None], (16, 16, 3))
    first, second = Image.fromarray(smooth.copy()), Image.fromarray(255 - smooth)
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    with Image.open(tmp_path / "a.jpg") as opened:
        assert (opened.format, opened.n_frames) == ("MPO", 2)
    assert np.abs(data.load(tmp_path).images[0].astype(int) - smooth).max() < 8


def test_a_background_stands_behind_what_is_transparent(tmp_path):
    grey = np.stack([np.full((2, 2), 100), np.array([[0, 255], [255, 0]])], axis=-1).astype(np.uint8)
    Image.fromarray(grey, "LA").save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"transparent \(mode LA\).*background=255"):
        data.load(tmp_path)
    assert data.load(tmp_path, background=255).images[0, ..., 0].tolist() == [[255, 100], [100, 255]]
    assert data.load(tmp_path, background=(0, 9, 0)).images[0, 0].tolist() == [[0, 9, 0], [100, 100, 100]]
    with pytest.raises(ValueError, match="background is 256"):
        data.load(tmp_path, background=256)


def test_mixed_pictures_are_read_by_the_options_that_the_message_names(tmp_path):
    from jaxvae.runs.configs.config import DataConfig
    from jaxvae.runs.given_data import load_split

    save(tmp_path / "a.png", np.full((4, 6, 1), 99, np.uint8))
    Image.fromarray(np.full((8, 8, 4), 50, np.uint8)).save(tmp_path / "b.png")
    for options, words in (
        ({}, "--data.background 255 255 255"),
        ({"background": (0,)}, "--data.size HEIGHT WIDTH, --data.channels 1 or 3"),
        ({"background": (0,), "size": (4, 4)}, "--data.channels 1 or 3"),
    ):
        with pytest.raises(ValueError, match=words):
            load_split(DataConfig(str(tmp_path), test_fraction=0.5, **options), "all")
    mended = DataConfig(str(tmp_path), test_fraction=0.5, background=(0,), size=(4,), channels=1)
    assert load_split(mended, "all").images[:, 0, 0, 0].tolist() == [99, 10]  # 50 of 255 opaque, on black
    with pytest.raises(ValueError, match="'size' is no option of the data set digits"):
        load_split(DataConfig("digits", size=(4, 4)), "train")


def test_the_middle_of_each_picture_is_cut_out_before_it_is_resampled(tmp_path):
    from jaxvae.runs.configs.config import DataConfig
    from jaxvae.runs.given_data import load_split

    pixels = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8, 1)
    save(tmp_path / "a.png", pixels)
    save(tmp_path / "b.png", pixels[:, :7])
    found = load_split(DataConfig(str(tmp_path), test_fraction=0.5, crop=(2, 3)), "all").images
    np.testing.assert_array_equal(found, [pixels[2:4, 2:5], pixels[2:4, 2:5]])
    one = data.load(tmp_path, crop=(4, 4), size=(2, 2)).images  # of the middle, not of the whole
    assert one.shape == (2, 2, 2, 1)
    assert abs(int(one[0].mean()) - int(pixels[1:5, 2:6].mean())) <= 1
    with pytest.raises(ValueError, match=r"b\.png has 6 x 7 pixels, expected at least the 6 x 8 of crop.*--data\.crop"):
        data.load(tmp_path, crop=(6, 8))
    with pytest.raises(ValueError, match=r"crop is 0, expected \(height, width\)"):
        data.load(tmp_path, crop=0)
