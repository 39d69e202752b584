"""The changes that no test can notice, and why."""

from __future__ import annotations

EQUIVALENT: dict[str, str] = {
    ("adapters/torch/adapter.py: torch.set_grad_enabled(asked): -> torch.set_grad_enabled(True):"): (
        "A value alone is asked for within `ways.without_a_gradient`, which says by itself whether there is a graph."
    ),
    (
        "src/xentcheck/running/comparison/run.py: alone = len(takers) == 1  # the call of another variant may write "
        "into what the one before has returned -> alone = len(takers) == 0  # the call of another variant may write "
        "into what the one before has returned"
    ): ("A copy has the numbers of what it is copied from."),
    (
        "adapters/numpy/adapter.py: rows = last.reshape(-1, last.shape[-1]) -> rows = last.reshape(-10, last.shape[-1])"
    ): ("NumPy takes any negative number for the axis that it works out."),
    ("reference/book/activations.py: found[large] = rest.sum(-1) -> found[large] = rest.sum(1)"): (
        "Rows that an index picks from a matrix are a matrix."
    ),
    (
        "reference/bounds/gradient.py: plain = plain and t.classes >= FEW and not (self.rows.errors.log_offset > "
        "1.0).any() -> plain = plain and t.classes >= FEW and not (self.rows.errors.log_offset >= 1.0).any()"
    ): ("Without a form the same bounds are made as arrays."),
    (
        "reference/numbers/wide_range.py: self.k: Exponents = np.asarray(np.where(special, 0, exponents), "
        "np.int64) -> self.k: Exponents = np.asarray(np.where(special, 1, exponents), np.int64)"
    ): ("Twice infinity is infinity, and nan is nan."),
    (
        "src/xentcheck/judging/right_rows.py: z = np.where(self.rows[:, None], to_rows(p.logits), "
        "p.logits.dtype.type(0)) -> z = np.where(self.rows[:, None], to_rows(p.logits), p.logits.dtype.type(1))"
    ): ("A row of equal logits is plain, whatever they are."),
    (
        "src/xentcheck/running/executors/futures.py: for task, future in zip(tasks, futures, strict=True): -> for "
        "task, future in zip(tasks, futures, strict=False):"
    ): ("There is a future for each task, as they are made of the tasks."),
    ("src/xentcheck/running/executors/local.py: for task in left[: jobs + QUEUED]: -> for task in left[: jobs]:"): (
        "A worker waits a moment longer for its next task, and finds the same."
    ),
    (
        "src/xentcheck/records/file/lines.py: @dataclass(frozen=True, kw_only=True) -> @dataclass(frozen=True, "
        "kw_only=False)"
    ): ("Whoever makes a header names its fields."),
    ("src/xentcheck/running/attempts.py: @dataclass(frozen=True) -> @dataclass(frozen=False)"): (
        "Nobody assigns to a field of an attempt, which mypy would see."
    ),
    ("reference/targets.py: kept = p.kept.reshape(-1) -> kept = p.kept.reshape(-2)"): (
        "NumPy takes any negative number for the axis that it works out."
    ),
    (
        "src/xentcheck/judging/comparisons.py: return not self.mismatch and self.tally.failing == 0 -> return not "
        "self.mismatch and self.tally.share <= 1.0"
    ): (
        "Where an element fails its share is raised above 1, and where error <= bound the rounded quotient is at "
        "most 1."
    ),
    (
        "reference/bounds/gradient.py: rest = np.where(total > 0, np.maximum(total - q.max(1, keepdims=True, "
        "initial=0.0), 0.0) / total, 0.0) -> rest = np.where(total > 0, np.maximum(total - q.max(1, keepdims=True, "
        "initial=0.0), 0.0) / total, 1.0)"
    ): ("Where all factors are 0 nothing is added, so that g, the other side of the minimum, is 0."),
    (
        "reference/bounds/rows.py: raw = self._unless_lost(raw, np.where(b.d > 0, b.log_total + b.d, 0.0)) -> raw "
        "= self._unless_lost(raw, np.where(b.d > 0, b.log_total + b.d, 1.0))"
    ): ("It is compared with the largest number of a format, from which 0 and 1 are alike far."),
    (
        "reference/numbers/loops/comparing.py: beyond = found if found > 1.0 else 1.0 + 2.0**-52 -> beyond = found "
        "if found > 1.0 else 1.0 + 2.0**-0"
    ): ("The quotient of a number and a smaller one is 1 + 2^-53 at least, and more, so that it never rounds to 1."),
    (
        "reference/numbers/loops/passes.py: if at_an_end or (j - start) * block >= exact: -> if at_an_end or (j + "
        "start) * block >= exact:"
    ): ("What is added up in shorter runs is added up exactly, too."),
    (
        "reference/bounds/rows.py: raw = self._unless_lost(raw, np.where(b.d > 0, b.log_total + b.d, 0.0)) -> raw = "
        "self._unless_lost(raw, np.where(b.d > 1, b.log_total + b.d, 0.0))"
    ): ("Where d is at most 1, log S + d is far below the largest number of any format."),
    (
        "reference/bounds/rows.py: bound += self._separate_products(q if (terms == q.shape[1]).all() else q * used, "
        "terms - 1) -> bound += self._separate_products(q if (terms == q.shape[1]).all() else q, terms - 1)"
    ): ("A factor at a masked class makes the loss infinite, which no bound changes."),
    (
        "reference/bounds/sums/exponentials.py: moved = np.expm1(np.minimum(np.where(active, base.zeta, 0.0), 700.0)) "
        "-> moved = np.expm1(np.minimum(np.where(active, base.zeta, 0.0), 1400.0))"
    ): ("Logits that are off by 700 leave no bound, as those that are off by 1400 do."),
    (
        "reference/bounds/base.py: return as_array((e > 0) | ((d > 0) & (d <= REACH))) -> return as_array((e > 0) | "
        "((d > 1) & (d <= REACH)))"
    ): ("Where d is at most 1, its exponential is not 0."),
    (
        "reference/bounds/base.py: active = np.where(small[:, 0], np.count_nonzero(e > fmt.smallest_subnormal / 16, "
        "axis=1), e.shape[1])[ -> active = np.where(small[:, 0], np.count_nonzero(e > fmt.smallest_subnormal / 32, "
        "axis=1), e.shape[1])["
    ): ("No exponential between these is computed as anything but 0."),
    ("reference/bounds/contracts.py: UNLIMITED = 2**31 -> UNLIMITED = 2**62"): ("No sum has so many terms."),
    (
        "reference/oracle/rows.py: lifted = backend.array(np.zeros(len(low))) + 0.0 -> lifted = "
        "backend.array(np.zeros(len(low))) - 0.0"
    ): ("Zeros stay zeros."),
    (
        "reference/oracle/rows.py: low = (backend.pair(others)[0] < 2.0**-LIFT) & backend.finite(t).any(1) -> low = "
        "(backend.pair(others)[0] <= 2.0**-LIFT) & backend.finite(t).any(1)"
    ): ("At 2^-LIFT itself both ways are exact enough."),
    ("reference/numbers/backends.py: steps = np.where(far, 0.0, steps) -> steps = np.where(far, 1.0, steps)"): (
        "Where exp is 0 its exponent counts for nothing."
    ),
    ("reference/numbers/backends.py: LOWEST = -128 -> LOWEST = -256"): (
        "No product of factors in float64 brings back what lies between e^-45000 and e^-90000."
    ),
    ("reference/numbers/arrays.py: LONG = 1024 -> LONG = 0"): ("Both ways count the same."),
    (
        "reference/loss.py: up = np.broadcast_to(self.p.upstream.reshape(-1).astype(self.type), self.kept.shape) "
        "-> up = np.broadcast_to(self.p.upstream.reshape(-10).astype(self.type), self.kept.shape)"
    ): ("NumPy takes any negative number for the axis that it works out."),
    (
        "src/xentcheck/judging/verdict.py: flat = [x.reshape(-1) for x in (got, *exact)] -> flat = [x.reshape(-10"
        ") for x in (got, *exact)]"
    ): ("NumPy takes any negative number for the axis that it works out."),
    (
        "src/xentcheck/judging/verdict.py: error = error_of(wide, hi, lo) if shared else None -> error = error_of"
        "(wide, hi, lo) if not (shared) else None"
    ): ("An error that is handed over is the one that is found anew."),
    ("src/xentcheck/judging/comparisons.py: @dataclass(frozen=True, eq=False) -> @dataclass(frozen=True, eq=True)"): (
        "Nobody compares submissions, or keeps them by their hash."
    ),
    ("src/xentcheck/studies/related.py: LARGE = (1030, 1003) -> LARGE = (1030, 10030)"): (
        "More classes are as good as enough of them."
    ),
    (
        "src/xentcheck/studies/projection/rows.py: return np.asarray(upstream * (bounds / (2.0 * step) + CURVATUR"
        "E * step**2 / 6.0) * (1.0 + 2.0**-50) + fixed) -> return np.asarray(upstream * (bounds / (2.0 * step) + "
        "CURVATURE * step**2 / 6.0) / (1.0 + 2.0**-50) + fixed)"
    ): ("The factor stands for the rounding of the bound itself, in float64: it is within 2^-49 of 1 either way."),
    (
        'src/xentcheck/cli/commands/grade.py: table = Table("implementation", "quantities", "judged by", "grade",'
        ' box=box.SIMPLE_HEAD, pad_edge=False) -> table = Table("implementation", "quantities", "judged by", "gra'
        'de", box=box.SIMPLE_HEAD, pad_edge=True)'
    ): ("How a table is set is no promise."),
    (
        'src/xentcheck/cli/commands/grade.py: console.print(Text(f"{place}: {grade.hint}", style="yellow"), soft_'
        'wrap=True) -> console.print(Text(f"{place}: {grade.hint}", style="yellow"), soft_wrap=False)'
    ): ("How a line is broken is no promise."),
    ("src/xentcheck/running/comparison/recorded.py: @dataclass(frozen=True) -> @dataclass(frozen=False)"): (
        "Nobody assigns to a field of it, which mypy would see."
    ),
    ("src/xentcheck/running/executors/local.py: QUEUED = 1 -> QUEUED = 0"): (
        "A worker waits a moment longer for its next task, and finds the same."
    ),
    (
        'src/xentcheck/cli/commands/grade.py: console.print(Text(f"{place}: {grade.proof}"), soft_wrap=True) -> c'
        'onsole.print(Text(f"{place}: {grade.proof}"), soft_wrap=False)'
    ): ("How a line is broken is no promise."),
    (
        "src/xentcheck/judging/right_rows.py: return p, np.where(rows, got, got.dtype.type(0)), np.where(rows, bo"
        "und, np.inf) -> return p, np.where(rows, got, got.dtype.type(1)), np.where(rows, bound, np.inf)"
    ): ("What stands in rows without a bound counts for nothing."),
    ("reference/oracle/block.py: classes = max(1, classes) -> classes = max(10, classes)"): (
        "How many rows are looked at together changes no result."
    ),
    ("reference/numbers/elementary.py: _NORMAL = -600.0 -> _NORMAL = -0.0"): (
        "The other path has the same bits, and takes longer."
    ),
    (
        "reference/numbers/wide_range.py: return hi, np.where(np.isfinite(hi), plain.lo - (hi - plain.hi), "
        "0.0) -> return hi, np.where(np.isfinite(hi), plain.lo - (hi - plain.hi), 1.0)"
    ): ("Whatever is added to infinity or nan leaves it what it is."),
    (
        "reference/numbers/wide_range.py: hi = plain.hi + plain.lo  # where lo is subnormal it was rounded by"
        " itself -> hi = plain.hi  # where lo is subnormal it was rounded by itself"
    ): ("The sum of the two parts is the same; they are only not the nearest ones where lo is half a last place."),
    (
        "src/xentcheck/judging/power/measure.py: if np.isfinite(bound.max(initial=0.0)) and "
        "np.isfinite(quotient.max(initial=0.0)): -> if np.isfinite(bound.max(initial=0.0)) and "
        "np.isfinite(quotient.min(initial=0.0)):"
    ): ("Infinity stays what it is, and nan is found by either."),
    (
        "src/xentcheck/judging/power/values.py: large = np.abs(delta) > NEGLIGIBLE * "
        "np.abs(np.where(np.isfinite(exact), exact, 0.0)) -> large = np.abs(delta) >= NEGLIGIBLE * "
        "np.abs(np.where(np.isfinite(exact), exact, 0.0))"
    ): ("A difference that is exactly 2^-40 of a value is none that is met; of 0 both are 0."),
}
"""Key of a change that no test can notice -> why."""
