"""Members and classes of Ultralytics: those that mean nothing here, and those that are refused with a way round."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

import yoloom
from yoloom import YOLO, errors
from yoloom.assets import DEMO_MODEL
from yoloom.facade.elsewhere import MEMBERS


@pytest.fixture
def model(demo_stays_open: None) -> Iterator[YOLO]:
    with YOLO(DEMO_MODEL) as opened:
        yield opened


@pytest.mark.parametrize("name", ["RTDETR", "SAM", "FastSAM", "YOLOWorld", "YOLOE", "NAS"])
def test_classes_can_be_imported_and_not_be_used(name: str) -> None:
    """Seen to fail: `from yoloom import YOLO, RTDETR` ended the whole program."""
    cls = getattr(yoloom, name)
    with pytest.raises(errors.UnsupportedFeature, match=rf"{name} is not available in yoloom: \w.* Ultralytics"):
        cls("model.pt")
    assert name not in yoloom.__all__


@pytest.mark.parametrize("name", MEMBERS)
def test_members_are_refused_with_a_way_round(model: YOLO, name: str) -> None:
    with pytest.raises(errors.UnsupportedFeature, match=rf"YOLO\.{name} is not available in yoloom: .{{12}}") as caught:
        getattr(model, name)
    assert not hasattr(model, name)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_another_name_is_an_attribute_error(model: YOLO) -> None:
    with pytest.raises(AttributeError, match="YOLO has no attribute 'nonsense'") as caught:
        model.nonsense  # type: ignore[attr-defined]  # noqa: B018
    assert not isinstance(caught.value, errors.YoloomError)


def test_methods_of_a_torch_module_leave_the_model_as_it_is(model: YOLO) -> None:
    for name in ("half", "float", "cpu", "eval", "share_memory", "fuse"):
        assert getattr(model, name)() is model
    assert model.to("cpu") is model.to("cpu:0") is model


def test_facts_about_the_model(model: YOLO) -> None:
    assert model.ckpt_path == model.model_name == str(model.model.graph.path)
    assert model.device == "cpu"
    assert (model.device.type, model.device.index) == ("cpu", None)
    assert model.info() == f"{model.model.graph.path.name}: detect, {len(model.names)} classes, any size, on cpu"


@pytest.mark.parametrize("name", ["v8", "v5", "v11"])
def test_the_second_argument_of_early_versions_is_no_task(name: str) -> None:
    with YOLO(DEMO_MODEL, name) as model:
        assert model.task == "detect"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("yolov8n.yaml", "open a trained one, 'yolov8n.pt'"),
        ("mine.yaml", "open a trained one, a .pt file"),
        ("http://localhost:8000/yolov8n", "download the file"),
        ("rtdetr-l.pt", "run it with Ultralytics"),
        ("sam_b.pt", "run it with Ultralytics"),
        ("yolov8s-world.pt", "run it with Ultralytics"),
    ],
)
def test_names_that_are_no_file_lead_on(name: str, hint: str) -> None:
    with pytest.raises(errors.ModelNotFound, match=hint):
        YOLO(name)


def test_dir_shows_what_is_public() -> None:
    assert set(dir(yoloom)) == {*yoloom.__all__, "verify", "__version__"}
