"""OpenTelemetry: a span for each request, with its stages, below the span of whoever asked."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from yoloom import YOLO
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import ResultFuture, predict_later, predict_nonblocking, predict_now
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.scheduling.request_terms import OnFull, RequestTerms
from yoloom.errors import DeadlineExceeded, EngineClosed, InvalidImage, QueueFull, RuntimeFailed
from yoloom.options import PredictOptions
from yoloom.telemetry import tracing
from yoloom.testing import FakeBackend, Gate, fake_model

IMAGE = np.zeros((48, 64, 3), np.uint8)
STAGES = ["yoloom.admit", "yoloom.prepare", "yoloom.wait", "yoloom.execute", "yoloom.postprocess"]

provider = TracerProvider(shutdown_on_exit=False)
program = provider.get_tracer("program")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """A provider for this test alone: the API takes one for the whole process, once."""
    exporter = InMemorySpanExporter()
    mine = TracerProvider(shutdown_on_exit=False)
    mine.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", lambda: (trace, mine.get_tracer("yoloom")))
    yield exporter
    mine.shutdown()


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(lanes=1)


@pytest.fixture
def engine(backend: FakeBackend) -> Iterator[Engine]:
    engine = thread_engine(fake_model(), backend, threads=1, capacity=2)
    engine.start()
    yield engine
    engine.close()


def prediction(engine: Engine) -> LocalImageJob:
    return LocalImageJob(engine.model, PredictOptions(), "image.jpg")


def now(engine: Engine, image: object = IMAGE, **terms: Any) -> None:
    predict_now(engine, prediction(engine), image, RequestTerms(**terms))


def later(engine: Engine, **terms: Any) -> ResultFuture:
    return predict_later(engine, prediction(engine), IMAGE, RequestTerms(**terms))


def requests(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == "yoloom.predict"]


def outcomes(spans: InMemorySpanExporter) -> list[Any]:
    return [span.attributes["yoloom.outcome"] for span in requests(spans)]


def test_a_request_is_a_span_with_its_stages(engine: Engine, spans: InMemorySpanExporter) -> None:
    now(engine)
    (span,) = requests(spans)
    children = [child for child in spans.get_finished_spans() if child is not span]
    assert [child.name for child in children] == STAGES
    assert {child.parent.span_id for child in children} == {span.context.span_id}
    moments = [span.start_time, *(at for child in children for at in (child.start_time, child.end_time))]
    assert moments == sorted(moments)
    assert children[-1].end_time <= span.end_time
    assert span.status.status_code is StatusCode.UNSET
    attributes = dict(span.attributes)
    assert attributes.pop("yoloom.wait_ms") >= 0 < attributes.pop("yoloom.execute_ms")
    assert attributes == {
        "yoloom.model": "fake.onnx",
        "yoloom.task": "detect",
        "yoloom.request": 0,
        "yoloom.outcome": "succeeded",
        "yoloom.batch_size": 1,
    }


def test_the_parent_is_the_span_of_whoever_asked(engine: Engine, spans: InMemorySpanExporter) -> None:
    with program.start_as_current_span("now") as first:
        now(engine)
    with program.start_as_current_span("later") as second:
        future = later(engine)
    future.result(30)
    found = {span.parent.span_id for span in requests(spans)}
    assert found == {first.get_span_context().span_id, second.get_span_context().span_id}


@pytest.mark.slow
def test_each_task_is_the_parent_of_its_own(demo_model: Path, spans: InMemorySpanExporter) -> None:
    async def ask(model: YOLO, name: str) -> int:
        with program.start_as_current_span(name) as span:
            await model.predict_async(IMAGE)
        return span.get_span_context().span_id

    async def both() -> list[int]:
        with YOLO(demo_model) as model:
            return await asyncio.gather(ask(model, "a"), ask(model, "b"))

    parents = asyncio.run(both())
    assert sorted(parents) == sorted(span.parent.span_id for span in requests(spans))


def test_a_failed_run_is_an_error_of_its_class(
    engine: Engine, backend: FakeBackend, spans: InMemorySpanExporter
) -> None:
    backend.script(RuntimeError("first"), RuntimeError("out of memory"))
    with pytest.raises(RuntimeFailed):
        now(engine)
    (span,) = requests(spans)
    assert span.status.status_code is StatusCode.ERROR
    assert "out of memory" in span.status.description
    assert (span.attributes["error.type"], span.attributes["yoloom.outcome"]) == ("RuntimeFailed", "failed")


def test_every_end_of_a_request_ends_its_span_once(
    engine: Engine, backend: FakeBackend, spans: InMemorySpanExporter
) -> None:
    with pytest.raises(InvalidImage):
        now(engine, image=7)
    with pytest.raises(DeadlineExceeded):
        now(engine, deadline=0.0)
    gate = Gate()
    backend.script(gate)
    running = later(engine)
    gate.wait_for()
    waiting = [later(engine) for _ in range(2)]
    for refused in (now, later):
        with pytest.raises(QueueFull):
            refused(engine, on_full=OnFull.REJECT)
    with pytest.raises(QueueFull):
        predict_nonblocking(engine, prediction(engine), IMAGE, RequestTerms(on_full=OnFull.REJECT))
    assert waiting[0].cancel()
    dropping = [later(engine, on_full=OnFull.DROP_OLDEST) for _ in range(2)]
    elsewhere = predict_nonblocking(engine, prediction(engine), IMAGE, RequestTerms())
    gate.open()
    wait([running, *waiting, *dropping, elsewhere])
    engine.close()
    with pytest.raises(EngineClosed):
        now(engine)
    assert sorted(outcomes(spans)) == sorted(
        ["failed", "expired", "refused", "refused", "refused", "cancelled", "dropped", "closed", *4 * ["succeeded"]]
    )
    assert len({span.context.span_id for span in requests(spans)}) == 12


def test_whoever_cancels_is_no_error(engine: Engine, backend: FakeBackend, spans: InMemorySpanExporter) -> None:
    gate = Gate()
    backend.script(gate)
    running = later(engine)
    gate.wait_for()
    assert running.cancel()
    assert not running.cancel() or outcomes(spans) == ["cancelled"]
    gate.open()
    (span,) = requests(spans)
    assert span.status.status_code is StatusCode.UNSET


def test_the_batch_is_told(engine: Engine, backend: FakeBackend, spans: InMemorySpanExporter) -> None:
    request = engine.new_request(RequestTerms(), lambda _: None)
    request.timeline.batch = 4
    request.trace.end()
    assert requests(spans)[0].attributes["yoloom.batch_size"] == 4


def test_without_a_provider_nothing_is_recorded(engine: Engine) -> None:
    assert "opentelemetry.trace" in sys.modules
    assert engine.new_request(RequestTerms(), lambda _: None).trace is None


def test_a_span_that_is_not_sampled_costs_nothing_more(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    silent = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    monkeypatch.setattr(tracing, "_tracer", lambda: (trace, silent.get_tracer("yoloom")))
    assert engine.new_request(RequestTerms(), lambda _: None).trace is None


PROGRAM = """
import json, sys
import numpy as np
from yoloom import YOLO
image = np.zeros((48, 64, 3), np.uint8)
with YOLO(sys.argv[1]) as model:
    model(image)
    imported = [name for name in sys.modules if name.startswith("opentelemetry")]
    from opentelemetry import trace
    model(image)
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    model(image)
spans = exporter.get_finished_spans()
found = [span for span in spans if span.name == "yoloom.predict"]
print(json.dumps([imported, len(found), found[0].attributes["yoloom.model"], found[0].instrumentation_scope.name]))
"""


@pytest.mark.slow
def test_a_program_may_begin_to_trace_while_a_model_is_open(demo_model: Path) -> None:
    """Until it does, nothing of OpenTelemetry is imported."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(demo_model)], capture_output=True, text=True, timeout=100, check=True
    )
    assert json.loads(run.stdout) == [[], 1, "demo.onnx", "yoloom"]
