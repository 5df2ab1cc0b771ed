"""Errors are values: they pickle, copy, map to a status, and are all documented."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from pathlib import Path

import pytest

import yoloom
from yoloom import errors
from yoloom.errors import (
    LONGEST_MESSAGE,
    DownloadFailed,
    ImageDecodeError,
    InvalidImage,
    ModelNotFound,
    PartialFailure,
    SourceNotFound,
    YoloomError,
    shortened,
)

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, YoloomError)]
PLAIN = [cls for cls in CLASSES if cls is not PartialFailure]
DOCUMENT = Path(__file__).parent.parent / "docs" / "errors.md"


def sections() -> dict[str, str]:
    parts = re.split(r"^## (\w+)\n", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_there_are_errors() -> None:
    assert len(CLASSES) > 25
    assert yoloom.YoloomError is YoloomError


@pytest.mark.parametrize("cls", CLASSES)
def test_class_has_a_status_and_a_sentence(cls: type[YoloomError]) -> None:
    assert 400 <= cls.http_status < 600
    assert (cls.__doc__ or "").rstrip().endswith(".")


@pytest.mark.parametrize("cls", CLASSES)
def test_class_is_documented_with_its_status(cls: type[YoloomError]) -> None:
    assert sections()[cls.__name__].strip().startswith(f"Status {cls.http_status}. ")


def test_document_knows_no_other_classes_and_keeps_their_order() -> None:
    in_code = sorted(CLASSES, key=lambda cls: inspect.getsourcelines(cls)[1])
    assert list(sections()) == [cls.__name__ for cls in in_code]


def test_tree_in_the_docstring_is_whole() -> None:
    assert set(re.findall(r"\b[A-Z]\w+[a-z]\b", (errors.__doc__ or "").split("```")[1])) == {
        c.__name__ for c in CLASSES
    }


@pytest.mark.parametrize("cls", PLAIN)
def test_copies(cls: type[YoloomError]) -> None:
    error = cls("expected this, got that.")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is cls
        assert str(twin) == str(error) == "expected this, got that."
        assert twin.args == error.args
        assert twin.http_status == error.http_status


@pytest.mark.parametrize("cls", [SourceNotFound, ModelNotFound, DownloadFailed])
def test_errors_that_are_os_errors_still_say_their_message(cls: type[YoloomError]) -> None:
    assert isinstance(cls("words"), OSError)
    assert str(cls("words")) == "words"


def partial_failure(count: int = 2) -> PartialFailure:
    return PartialFailure(
        ["first", *[None] * count], {1 + i: ImageDecodeError(f"{i}.jpg is cut short") for i in range(count)}
    )


def test_partial_failure_tells_results_and_errors() -> None:
    failure = partial_failure()
    assert failure.results == ["first", None, None]
    assert list(failure.errors) == [1, 2]
    assert str(failure).splitlines() == [
        "2 of 3 images failed; the others are in .results:",
        "  [1] ImageDecodeError: 0.jpg is cut short",
        "  [2] ImageDecodeError: 1.jpg is cut short",
    ]


def test_partial_failure_shows_the_first_five() -> None:
    lines = str(partial_failure(9)).splitlines()
    assert len(lines) == 7
    assert lines[-1] == "  ..."


def test_partial_failure_copies() -> None:
    failure = partial_failure()
    for twin in (pickle.loads(pickle.dumps(failure)), copy.copy(failure), copy.deepcopy(failure)):
        assert type(twin) is PartialFailure
        assert twin.results == failure.results
        assert str(twin) == str(failure)
        assert type(twin.errors[1]) is ImageDecodeError


def test_partial_failure_does_not_share_what_it_was_given() -> None:
    results: list[str | None] = ["first", None]
    failure = PartialFailure(results, {1: ImageDecodeError("x")})
    results.clear()
    assert len(failure.results) == 2


@pytest.mark.parametrize(
    ("cls", "standard"),
    [
        ("SourceNotFound", FileNotFoundError), ("InvalidOption", ValueError), ("UnknownOption", TypeError),
        ("ModelNotFound", FileNotFoundError), ("DeadlineExceeded", TimeoutError), ("BackendUnavailable", ImportError),
        ("DownloadFailed", OSError),
    ],
)  # fmt: skip
def test_standard_classes_catch_them(cls: str, standard: type[Exception]) -> None:
    assert issubclass(getattr(errors, cls), standard)


# ---- Never longer than a screen

SCREEN = 80 * 24


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("length", [1_600, 5_000, 650_000])
def test_a_message_is_a_screen_at_most(cls: type[YoloomError], length: int) -> None:
    # A base64 text as a source was echoed as 650,000 characters. The end stays: it has the way out.
    words = "x" * length
    error = cls([], {0: InvalidImage(words)}) if cls is PartialFailure else cls(f"expected a. {words} Do b.")
    text = str(error)
    assert len(text) <= SCREEN
    if cls is not PartialFailure:
        assert text.startswith("expected a. xxx")
        assert text.endswith("xxx Do b.")
        assert f"{length + 18} characters" in text
        assert words in str(error.args[0])  # the whole text is there for those who want it
    assert str(pickle.loads(pickle.dumps(error))) == text


def test_many_long_failures_are_a_screen_together() -> None:
    failure = PartialFailure([None] * 1000, {index: InvalidImage(f"{index} {'x' * 9999} end") for index in range(1000)})
    assert len(str(failure)) <= SCREEN
    assert str(failure).count(" end\n") == 5


def test_a_message_that_fits_is_as_it_was() -> None:
    assert str(InvalidImage("x" * LONGEST_MESSAGE)) == "x" * LONGEST_MESSAGE
    assert shortened("abc", 3) == "abc"
    assert len(shortened("abc" * 99, 100)) == 100
