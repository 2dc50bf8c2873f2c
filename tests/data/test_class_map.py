"""Class maps: what they say, the ones that are shipped, and what is no class map."""

import pytest

from atrous.data.class_map import read_class_map, shipped_class_maps
from atrous.data.layouts.camvid import CAMVID_CLASSES
from atrous.errors import AtrousError, DataError, UnknownNameError
from atrous.networks.label_sets import CITYSCAPES, VOC

GOOD = """
classes = ["street", "rest"]
[data]
"Road" = "street"
"Pavement" = "street"
"Sky" = "rest"
[network]
"road" = "street"
"sky" = "rest"
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "map.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_tables_give_the_shared_class_of_every_class(written):
    class_map = read_class_map(written(GOOD))
    assert class_map.classes == ("street", "rest")
    names = ("Sky", "Pole", "ROAD", "Pavement")
    assert class_map.data_table(names, num_classes=4) == (1, 255, 0, 0)
    assert class_map.network_table(("void", "road", "sky")) == (2, 0, 1)


def test_a_layout_without_names_is_mapped_by_numbers(written):
    text = 'classes = ["a", "b"]\n[data]\n0 = "b"\n2 = "a"\n'
    assert read_class_map(written(text)).data_table(None, num_classes=4) == (1, 255, 0, 255)


def test_a_remap_needs_no_table_of_a_network_and_gives_none(written):
    class_map = read_class_map(written(GOOD.partition("[network]")[0]))
    assert class_map.network is None
    with pytest.raises(DataError, match=r"no table \[network\]"):
        class_map.network_table(("road",))


def test_a_class_that_is_not_there_is_answered_with_the_nearest(written):
    class_map = read_class_map(written(GOOD))
    with pytest.raises(UnknownNameError, match=r"class of the data.*Did you mean 'Roads'"):
        class_map.data_table(("Roads", "Pavement", "Sky"), num_classes=3)
    with pytest.raises(UnknownNameError, match=r"class of the network.*Did you mean 'roads'"):
        class_map.network_table(("roads", "sky"))


def test_a_number_that_is_no_class_is_refused(written):
    class_map = read_class_map(written('classes = ["a"]\n[data]\n7 = "a"\n'))
    with pytest.raises(UnknownNameError, match="'7'"):
        class_map.data_table(None, num_classes=7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("classes = [", "not TOML"),
        (b"classes = ['\xff']", "not TOML in UTF-8"),
        ("", "no classes"),
        ("classes = []\n[data]", r"classes = \[\]"),
        ("classes = 'a'\n[data]", "classes = 'a'"),
        ("classes = ['a', 3]\n[data]\n0 = 'a'", "names in quotes"),
        ("classes = ['a', 'A']\n[data]\n0 = 'a'", "listed twice"),
        ("classes = ['(other)']\n[data]\n0 = '(other)'", "is taken"),
        ("classes = ['a']", r"no table \[data\]"),
        ("classes = ['a']\ndata = 3", r"3 for \[data\]"),
        ("classes = ['a']\n[data]\n0 = 0", "in quotes"),
        ("classes = ['a']\n[data]\ntv.monitor = 'a'", "a name with a dot needs quotes"),
        ("classes = ['road']\n[data]\n0 = 'raod'", "Did you mean 'road'"),
        ("classes = ['a', 'b']\n[data]\n0 = 'a'", "belongs to the shared class 'b'"),
        (
            "classes = ['a']\n[data]\n0 = 'a'\n[network]\n",
            r"nothing in \[network\] belongs to the shared class 'a'",
        ),
        ("classes = ['a']\n[data]\nSky = 'a'\nsky = 'a'", "stands twice"),
        ("class = ['a']\n[data]\n0 = 'a'", "Did you mean 'classes'"),
        (f"classes = {[f'c{i}' for i in range(255)]}\n[data]\n0 = 'c0'", "fewer than 255"),
    ],
)
def test_what_is_no_class_map_is_refused_in_a_line_that_says_why(written, text, words):
    with pytest.raises(AtrousError, match=words) as caught:
        read_class_map(written(text))
    assert "map.toml" in str(caught.value)


def test_a_missing_file_is_answered_with_the_maps_there_are(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'voc_on_person'"):
        read_class_map("voc_on_persons")
    with pytest.raises(UnknownNameError, match="cityscapes_on_camvid"):
        read_class_map(tmp_path / "none.toml")
    with pytest.raises(DataError, match="is a folder"):
        read_class_map(tmp_path)


def test_a_shipped_name_wins_over_a_file_unless_written_as_a_path(written, tmp_path, monkeypatch):
    written(GOOD).rename(tmp_path / "voc_on_person")
    monkeypatch.chdir(tmp_path)
    assert read_class_map("voc_on_person").classes == ("background", "person")
    assert read_class_map("./voc_on_person").classes == ("street", "rest")


class TestShipped:
    def test_cityscapes_on_camvid_maps_all_but_the_void(self):
        class_map = read_class_map("cityscapes_on_camvid")
        data = class_map.data_table(CAMVID_CLASSES, num_classes=len(CAMVID_CLASSES))
        assert data == tuple(range(11))
        network = class_map.network_table(CITYSCAPES.names)
        assert [CITYSCAPES.names[i] for i, to in enumerate(network) if to == 11] == ["background"]
        shared = {
            name: class_map.classes[to]
            for name, to in zip(CITYSCAPES.names, network, strict=True)
            if to < 11
        }
        assert shared["sidewalk"] == "pavement"
        assert shared["truck"] == "car"

    def test_voc_on_person_calls_all_but_persons_background(self):
        class_map = read_class_map("voc_on_person")
        assert class_map.data_table(None, num_classes=2) == (0, 1)
        assert class_map.network_table(VOC.names) == tuple(
            int(name == "person") for name in VOC.names
        )

    def test_imagenet_on_imagenette_names_classes_that_imagenet_has(self):
        from torchvision.models import ResNet18_Weights

        class_map = read_class_map("imagenet_on_imagenette")
        names = ResNet18_Weights.DEFAULT.meta["categories"]
        table = class_map.network_table(names)
        assert sorted(set(table)) == list(range(11))
        assert [class_map.classes[i] for i in table if i < 10] == [
            name for name in names if name in class_map.classes
        ]

    @pytest.mark.parametrize("name", shipped_class_maps())
    def test_every_shipped_map_is_for_a_network_too(self, name):
        assert read_class_map(name).network


@pytest.mark.real
def test_imagenettes_folders_are_those_of_the_map(shared):
    folders = sorted(path.name for path in (shared / "data" / "imagenette" / "val").iterdir())
    table = read_class_map("imagenet_on_imagenette").data_table(folders, num_classes=len(folders))
    assert table == tuple(range(10))
