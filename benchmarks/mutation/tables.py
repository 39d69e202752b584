"""Which tests look at which file, how many changes of it are tried, and changes by hand that no rule makes."""

from __future__ import annotations

BOUNDS = ("test_pinned_bounds", "test_layer_bounds", "test_bounds", "test_derived_bounds", "test_directions")
EXACT = ("test_pinned_bounds", "test_double_double", "test_oracle", "test_directions")

TESTS: dict[str, tuple[str, ...]] = {
    "reference/bounds.py": BOUNDS,
    "reference/row_bounds.py": BOUNDS,
    "reference/scaling.py": BOUNDS,
    "reference/row_errors.py": BOUNDS,
    "reference/row_base.py": BOUNDS,
    "reference/layer_bounds.py": BOUNDS,
    "reference/directions.py": BOUNDS,
    "reference/contracts.py": BOUNDS,
    "reference/formats.py": BOUNDS,
    "reference/oracle.py": EXACT,
    "reference/exact_rows.py": EXACT,
    "reference/exact_layers.py": EXACT,
    "reference/double_double.py": EXACT,
    "reference/elementary.py": EXACT,
    "reference/wide_range.py": EXACT,
    "reference/targets.py": (*EXACT, "test_reference_loss"),
    "reference/problem.py": ("test_reference_inputs", "test_reference_loss", "test_oracle", "test_cases"),
    "reference/inputs.py": ("test_reference_inputs", "test_reference_loss"),
    "reference/loss.py": ("test_reference_loss", "test_reference_inputs", "test_doctests"),
    "reference/activations.py": ("test_reference_activations", "test_doctests"),
    "reference/chain_rule.py": ("test_reference_chain_rule", "test_doctests"),
    "reference/costs.py": ("test_reference_costs", "test_doctests"),
    "reference/network.py": ("test_reference_network", "test_doctests"),
    "src/xentcheck/judge.py": ("test_judge",),
    "src/xentcheck/verdict.py": ("test_judge", "test_power"),
    "src/xentcheck/runner.py": ("test_public_interface", "test_judge", "test_cases"),
    "src/xentcheck/power.py": ("test_judge", "test_power"),
    "src/xentcheck/value_power.py": ("test_power",),
    "src/xentcheck/gradient_power.py": ("test_power",),
    "src/xentcheck/directional.py": ("test_power", "test_directions"),
    "src/xentcheck/requirements.py": ("test_public_interface", "test_power"),
    "src/xentcheck/conventions.py": ("test_conventions",),
    "src/xentcheck/deviations.py": ("test_deviations",),
    "src/xentcheck/laws.py": ("test_public_interface", "test_laws"),
    "src/xentcheck/asking.py": ("test_public_interface", "test_laws"),
    "src/xentcheck/api.py": (
        "test_public_interface",
        "test_api::test_bad_arguments_raise_typed_errors",
        "test_api::test_a_right_function_agrees",
        "test_api::test_what_is_not_declared_is_unsupported_and_not_agreement",
    ),
    "adapters/base.py": ("test_adapters_base", "test_adapters_numpy"),
    "adapters/numpy.py": ("test_adapters_numpy", "test_adapters_base"),
    "adapters/layout.py": ("test_adapters_base", "test_adapters_numpy"),
    "adapters/wrappers.py": ("test_adapters_base", "test_wrapping", "test_adapters_numpy"),
    "adapters/requests.py": ("test_adapters_base", "test_wrapping"),
    "adapters/wire.py": ("test_wire", "test_process"),
    "reports/baseline.py": ("test_baseline_file", "test_compare"),
    "reports/summary.py": ("test_reports_summary",),
    "reference/scattered.py": ("test_scattered", "test_pinned_bounds"),
    "reference/ranges.py": ("test_ranges", "test_oracle"),
    "reference/leaving.py": ("test_ranges", "test_doctests"),
    "reference/backends.py": EXACT,
    "reports/power.py": ("test_sizes", "test_reports_summary"),
    "reports/weaker.py": ("test_weaker",),
    "src/xentcheck/undecided.py": ("test_weaker", "test_handed"),
    "src/xentcheck/handed.py": ("test_handed",),
    "src/xentcheck/right_rows.py": ("test_unusual",),
    "adapters/promises.py": ("test_promises",),
    "reports/law.py": ("test_public_interface", "test_reports_summary"),
}
"""File -> the test modules that are run for a change of it, those that are likeliest to notice first."""

SHARE = {"reference/row_errors.py": 24, "reference/row_bounds.py": 24, "src/xentcheck/laws.py": 12}
"""How many changes by rule of a file are tried by default, other than `EACH`."""

EACH = 6

Hand = tuple[str, str, str, str]

BY_HAND: tuple[Hand, ...] = (
    (
        "reference/bounds.py",
        'return None if p.head == "logits" else layer_bounds.logit_errors(p, self.arithmetic)',
        'return None if p.head == "logits" else layer_bounds.logit_errors(p, self.arithmetic) + np.inf',
        "the uncertainty of computed logits is infinite",
    ),
    (
        "reference/bounds.py",
        'return None if p.head == "logits" else layer_bounds.logit_errors(p, self.arithmetic)',
        "return None",
        "computed logits are taken to be exact",
    ),
    (
        "reference/contracts.py",
        "return self.storage.unit_roundoff if self.narrow else 0.0",
        "return 2.0 * self.storage.unit_roundoff if self.narrow else 0.0",
        "the rounding of narrow outputs is doubled",
    ),
    (
        "reference/contracts.py",
        "exp_ulps: float = 2.0",
        "exp_ulps: float = 4.0",
        "the accuracy of exp is doubled",
    ),
    (
        "reference/contracts.py",
        "log_ulps: float = 2.0",
        "log_ulps: float = 4.0",
        "the accuracy of log is doubled",
    ),
    (
        "reference/row_errors.py",
        "self.exp_error = 2.0 * contract.exp_ulps",
        "self.exp_error = 4.0 * contract.exp_ulps",
        "an ULP of exp is 4u",
    ),
    (
        "reference/row_errors.py",
        "rounding = 2.0 * self.arithmetic.contract.log_ulps * u",
        "rounding = 4.0 * self.arithmetic.contract.log_ulps * u",
        "an ULP of log is 4u",
    ),
    (
        "reference/layer_bounds.py",
        "return {q: finished(bound, arithmetic) for q, bound in bounds.items()}",
        "return {q: finished(10.0 * bound, arithmetic) for q, bound in bounds.items()}",
        "every bound of a gradient behind a layer is 10 times as large",
    ),
    (
        "reference/layer_bounds.py",
        "return np.asarray(error + arithmetic.output * stores * (np.abs(a.value @ w.T + finite) + error))",
        "return np.asarray(10.0 * error)",
        "errors of computed logits are 10 times as large",
    ),
    (
        "reference/contracts.py",
        "a = np.maximum(additions, 0)",
        "a = 2 * np.maximum(additions, 0)",
        "sums are twice as high",
    ),
    ("reference/scaling.py", "SLACK = 1.0 + 1e-6", "SLACK = 1.0 + 1e-2", "the slack of all bounds is a hundredth"),
    (
        "src/xentcheck/runner.py",
        "place = (adapter.name, subject.variant, subject.device, problem.dtype)",
        'place = (adapter.name, subject.variant, subject.device, "any")',
        "a group's name without its dtype: the power in float32 excuses bfloat16",
    ),
    (
        "src/xentcheck/requirements.py",
        "names = [COARSE.get(name, name) if dtype in NARROW else name for name in ALWAYS[quantity]]",
        "names = [COARSE.get(name, name) if dtype in NARROW else name for name in ALWAYS[quantity] if options]",
        "nothing is required of cases without options",
    ),
    (
        "src/xentcheck/laws.py",
        "np.abs(found) / limit)",
        "np.abs(found) / (10.0 * limit))",
        "the tolerances of laws are 10 times as large",
    ),
    (
        "src/xentcheck/api.py",
        "        contract=contract,\n        overwrites=overwrites,\n        profile",
        "        overwrites=overwrites,\n        profile",
        "assert_agrees drops contract=",
    ),
    ("src/xentcheck/api.py", "        deviations=deviations,\n    )", "    )", "assert_agrees drops deviations="),
    (
        "src/xentcheck/api.py",
        "        seed=seed,\n        deviations",
        "        deviations",
        "assert_agrees drops seed=",
    ),
    (
        "src/xentcheck/api.py",
        "    if not run.ok:\n        raise Disagreement",
        "    if any(r.outcome in FAILING for r in run.records):\n        raise Disagreement",
        "assert_agrees forgives broken laws and blind groups",
    ),
    (
        "src/xentcheck/api.py",
        "known = load() + (load(Path(deviations)) if deviations else [])",
        "known = load()",
        "check ignores deviations=",
    ),
    (
        "src/xentcheck/api.py",
        "chosen = selected(profile, dtypes, seed)",
        "chosen = selected(profile, dtypes, 0)",
        "check ignores seed=",
    ),
    (
        "src/xentcheck/api.py",
        "failures += [str(law) for law in laws if not law.kept]",
        "pass",
        "broken laws are no failure of a run",
    ),
    (
        "src/xentcheck/runner.py",
        "if conv is not None and not verdict.mismatch and not _harmed(a.result):",
        "if conv is not None and not verdict.mismatch:",
        "inputs may be overwritten where a convention applies",
    ),
    (
        "reports/baseline.py",
        "        if r.outcome in FAILING:\n            yield",
        '        if r.outcome == "disagree":\n            yield',
        "failures other than disagree are left out of a baseline",
    ),
    (
        "src/xentcheck/judge.py",
        "self.failing += x.size - int(np.count_nonzero(good))",
        "self.failing += int(np.count_nonzero(error > bound))",
        "nan passes",
    ),
    ("src/xentcheck/power.py", "THRESHOLD = 2.0", "THRESHOLD = 1.0", "a wrong answer at the bound counts as rejected"),
    ("src/xentcheck/power.py", "NO_BOUND = 2.0**-1000", "NO_BOUND = 2.0**10", "an infinite bound rejects everything"),
)
"""(file, text, other text, what it means): changes of meaning, in one place each."""

EQUIVALENT: dict[str, str] = {}
"""Key of a change that no test can notice -> why."""
