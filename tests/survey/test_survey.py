"""Networks of many families and layouts: each is read right, or refused with a typed error, from both file formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import pytest
import yaml

import formats_table
from survey_cases import CASES, Case, reading_of
from yoloom import YOLO
from yoloom.errors import UnsupportedModel
from yoloom.formats.read import read_model

READ = [case for case in CASES if not case.reading.startswith("refused")]
GRAY = np.full((48, 64, 3), 99, np.uint8)


def name_of(case: Case) -> str:
    return f"{case.network} ({case.notes}) {dict(case.arguments) or ''}"


def test_survey_is_wide_enough() -> None:
    assert len(CASES) >= 40
    assert len(CASES) - len(READ) >= 15


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_onnx_file_is_read_as_what_it_is_or_refused(case: Case, tmp_path: Path) -> None:
    assert reading_of(case.write(tmp_path), case.arguments) == case.reading


@pytest.mark.parametrize("case", [case for case in READ if not case.arguments], ids=name_of)
def test_ir_is_read_as_its_onnx_file(case: Case, tmp_path: Path) -> None:
    folder = tmp_path / "ir"
    folder.mkdir()
    path = case.write(tmp_path)
    openvino.save_model(openvino.Core().read_model(str(path)), folder / "survey.xml")
    notes = {entry.key: entry.value for entry in case.build().metadata_props}
    if notes:
        (folder / "survey.yaml").write_text(yaml.safe_dump(notes), encoding="utf-8")
    assert reading_of(folder, {}) == case.reading


@pytest.mark.parametrize("case", [case for case in READ if "otherwise" not in case.network], ids=name_of)
def test_both_backends_give_the_same_and_nothing_out_of_range(case: Case, tmp_path: Path) -> None:
    path = case.write(tmp_path)
    rows = []
    for backend in ("openvino", "onnxruntime"):
        with YOLO(path, backend=backend, threads=1, **case.arguments) as model:
            result = model(GRAY, conf=0.1)[0]
        data = next(part.data for part in (result.boxes, result.obb, result.probs) if part is not None)
        rows.append(np.asarray(data))
        assert np.isfinite(rows[-1]).all()
    assert rows[0].shape == rows[1].shape
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("case", [case for case in CASES if case.reading == "refused: UnsupportedModel"], ids=name_of)
def test_refusal_is_short_and_names_the_file(case: Case, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"survey\.onnx") as refusal:
        read_model(case.write(tmp_path), **case.arguments)
    assert len(str(refusal.value)) < 900
    if "opaque" in case.network:
        assert "YOLO(path, layout=" in str(refusal.value)


def test_table_in_the_documentation_is_current() -> None:
    assert formats_table.PAGE.read_text(encoding="utf-8") == formats_table.page()
