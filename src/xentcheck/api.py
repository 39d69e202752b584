"""The Python interface: check an implementation, or assert that it agrees."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from xentcheck.adapters.promises import Given
from xentcheck.cases import Case
from xentcheck.cases.selection import law_dtypes, selected
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import Summary, summarize
from xentcheck.running.collect import collect
from xentcheck.running.deviations import Deviations, known_with
from xentcheck.running.environment import header_of
from xentcheck.running.executors.futures import Sent, execute_on, wrapped_as
from xentcheck.running.executors.local import execute
from xentcheck.running.subjects import narrowed_to, subjects_among
from xentcheck.running.tasks import Task, groups_of
from xentcheck.studies.law_study import LawStudy
from xentcheck.studies.probes import ProbeStudy

from .errors import AdapterError, Disagreement


@dataclass(frozen=True)
class Run:
    """The records of one execution and its verdict."""

    file: RunFile

    @property
    def records(self) -> Sequence[Record]:
        """One record per comparison."""
        return self.file.records

    @property
    def verdict(self) -> Summary:
        """What the records add up to: counts, worst shares, power groups, grades."""
        return summarize(self.file)

    @property
    def ok(self) -> bool:
        """Whether everything agreed, something was compared, and no group was blind."""
        return self.verdict.ok

    def summary(self) -> str:
        """The verdict in one sentence."""
        return self.verdict.verdict

    def save(self, path: str | Path) -> None:
        """Write the run to a file, which `load` and the commands `report` and `compare` read. Raises OutputError."""
        self.file.save(Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """The run of a file. Raises RunFileError."""
        return cls(RunFile.load(Path(path)))


def tasks_of(chosen: Sequence[Case], profile: str) -> list[Task]:
    """The tasks of a run: laws, probes, and the cases by signature. Raises ProfileError if there is no case."""
    return [LawStudy(law_dtypes(chosen, profile)), ProbeStudy(), *groups_of(chosen)]


def check(
    implementation: object,
    framework: str | None = None,
    *,
    options: Collection[str] | None = None,
    contract: Given = None,
    overwrites: Collection[str] = (),
    profile: str = "quick",
    dtypes: Sequence[str] | None = None,
    devices: Sequence[str] | None = None,
    seed: int = 0,
    deviations: str | Path | None = None,
    executor: Executor | None = None,
) -> Run:
    """Check one implementation against the exact values, on every case of a profile.

    implementation: a function with the signature of `torch.nn.functional.cross_entropy` or of optax's losses, a loss
    class or module; an adapter from `from_torch`, `from_jax` or `from_numpy`; or the name of a built-in one.
    framework: torch, jax or numpy; needed for a function unless exactly one of torch and jax is imported. options: what
    it supports; the rest is `unsupported`. By default that is what its signature has parameters for, and of what no
    parameter stands for, as probabilities or (C,) logits, what it does not refuse with an exception. contract: the
    arithmetic that it promises, by name, or as dtype -> name; it comes before what an adapter declares, and without
    either the default contract is the verdict. overwrites: `logits` if it says that it leaves something else in them.
    profile: `quick`, `full` or `deep`, which meet every two, three or four levels of options together. dtypes,
    devices: some of `vocabulary.DTYPES`, and of `cpu`, `cuda`, `gpu`; default all that there are. seed: a number from
    0; another one is another draw of every case, and the same one gives the same bits.
    deviations: a TOML file of known faults, besides the built-in one. executor: any of `concurrent.futures`, to whose
    processes the implementation is sent by pickle; by default all is done in this process. An exception of the
    implementation, `sys.exit()` included, is one `error`; a crash or `os._exit()` ends the process that it is in.
    Raises AdapterError, ProfileError, DtypeError, DeviationError or UnavailableError.

    >>> run = check("numpy", dtypes=["float32"])
    >>> run.ok
    True
    """
    dtypes, devices = narrowed_to(dtypes, devices)
    chosen = selected(profile, dtypes, seed)
    known = known_with(deviations)
    if executor is not None and not hasattr(executor, "submit"):
        raise AdapterError(f"executor is of type {type(executor).__name__}; allowed: one of `concurrent.futures`")
    wrapped = {"framework": framework, "options": options, "contract": contract, "overwrites": overwrites}
    adapter = wrapped_as(implementation, wrapped)
    subjects = subjects_among(adapter, devices)
    narrowed = {"dtypes": tuple(dtypes or ()), "devices": tuple(devices or ())}
    header = header_of(chosen, subjects, profile, seed, jobs=1, **narrowed)
    tasks = tasks_of(chosen, profile)
    if executor is None:
        return Run(collect(header, execute(tasks, subjects), Deviations(known)))
    finished = execute_on(executor, tasks, Sent.of(implementation, devices, **wrapped))
    return Run(collect(header, finished, Deviations(known)))


def assert_agrees(
    implementation: object,
    framework: str | None = None,
    *,
    options: Collection[str] | None = None,
    contract: Given = None,
    overwrites: Collection[str] = (),
    profile: str = "quick",
    dtypes: Sequence[str] | None = None,
    devices: Sequence[str] | None = None,
    seed: int = 0,
    deviations: str | Path | None = None,
    executor: Executor | None = None,
) -> None:
    """`check`, and raise Disagreement with the worst finding and its replay if the run is not ok.

    >>> assert_agrees("numpy", dtypes=["float64"])
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    run = check(
        implementation,
        framework,
        options=options,
        contract=contract,
        overwrites=overwrites,
        profile=profile,
        dtypes=dtypes,
        devices=devices,
        seed=seed,
        deviations=deviations,
        executor=executor,
    )
    if not run.ok:
        raise Disagreement(run.verdict.explanation())
