"""Which tests look at which file, and how many changes of it are tried."""

from __future__ import annotations

from functools import cache
from pathlib import Path

HERE = Path(__file__).parents[2]


@cache
def place_of(module: str) -> Path:
    """Where a test module stands, whose name there is once, from the root of the repository."""
    (found,) = (HERE / "tests").rglob(f"{module}.py")
    return found.relative_to(HERE)


BOUNDS = (
    "test_pinned_bounds::test_bounds_are_those_of_the_table[bfloat16]",
    "test_pinned_bounds",
    "test_bounds::test_a_quantity_that_the_problem_does_not_have_is_refused",
    "test_bounds::test_an_unknown_contract_is_refused",
    "test_bounds::test_an_empty_batch_has_empty_bounds",
    "test_bounds::test_a_sum_that_overflows_before_the_division_has_no_bound",
    "test_bounds::test_a_weighted_term_that_overflows_has_no_bound",
    "test_bounds::test_a_denominator_that_cancels_leaves_no_bound",
    "test_bounds::test_a_row_whose_upstream_gradient_is_0_has_none_of_its_own",
    "test_bounds::test_a_mean_that_overflows_has_to_be_infinite_without_smoothing",
    "test_layer_bounds",
    "test_bound_corners",
)
"""`test_derived_bounds` has the cases of `test_pinned_bounds`, so that it notices no more."""

EXACT = (
    "test_pinned_bounds",
    "test_double_double",
    "test_oracle",
    "test_directions::test_oracle_is_certified",
    "test_pinned_bits",
)
LAWS = (
    "test_public_interface",
    "test_law_problems",
    "test_laws::test_nan_keeps_no_law",
    "test_laws::test_an_answer_of_another_shape_keeps_no_law",
    "test_law_tolerances",
    "test_laws_of_means",
    "test_laws::test_each_law_is_broken_by_a_fault_that_breaks_no_other",
    "test_ways_of_calls::test_a_value_that_needs_a_gradient_breaks_its_law",
    "test_laws::test_what_pytorch_refuses_is_refused_by_pytorch",
    "test_laws::test_a_wrong_second_order_breaks_its_law_and_no_other",
    "test_ways_of_calls::test_another_way_of_a_call_breaks_its_law_and_no_other",
    "test_ways_of_calls::test_a_call_of_a_fused_linear_loss_breaks_its_law_and_no_other",
    "test_isolation::test_only_its_own_memory_can_tell_whether_it_is_shared",
)
RUNS = (
    "test_public_interface",
    "test_api_promises",
    "test_api::test_bad_arguments_raise_typed_errors",
    "test_api::test_a_right_function_agrees",
    "test_api::test_what_is_not_declared_is_unsupported_and_not_agreement",
    "test_documented_behaviour",
)
DELTAS = (
    "test_power::test_wrong_answers_that_coincide_are_not_applicable",
    "test_power::test_power_does_not_depend_on_the_row_blocks",
    "test_power::test_deltas_are_wrong_minus_right",
)
ASKED = (
    "test_handed_on",
    "test_unusual",
    "test_promises",
    "test_documented_behaviour",
    "test_power",
    "test_power_of_quick",
)
ROOT = "src/xentcheck"

TESTS: dict[str, tuple[str, ...]] = {
    "reference/bounds/whole.py": BOUNDS,
    "reference/bounds/rows.py": BOUNDS,
    "reference/bounds/gradient.py": ("test_gradient_bounds", *BOUNDS, "test_compiled"),
    "reference/bounds/arithmetic.py": BOUNDS,
    "reference/bounds/directions.py": BOUNDS,
    "reference/bounds/softmax_errors.py": BOUNDS,
    "reference/bounds/sums/exponentials.py": BOUNDS,
    "reference/bounds/base.py": ("test_bounds::test_a_softmax_below_the_normal_range_may_lose_its_last_bit", *BOUNDS),
    "reference/bounds/layers.py": BOUNDS,
    "reference/bounds/contracts.py": BOUNDS,
    "reference/formats.py": ("test_judge", "test_compiled", *BOUNDS),
    "reference/bounds/sums/addends.py": ("test_pinned_bounds", "test_scattered", "test_long_sums"),
    "reference/bounds/sums/scattered.py": (
        "test_pinned_bounds",
        "test_scattered",
        "test_long_sums",
        "test_bound_corners",
    ),
    "reference/oracle/quantities.py": (*EXACT, "test_judge"),
    "reference/oracle/block.py": (*EXACT, *BOUNDS),
    "reference/oracle/exact.py": (*EXACT, "test_on_device", "test_ranges"),
    "reference/oracle/functions.py": EXACT,
    "reference/oracle/rows.py": EXACT,
    "reference/oracle/layers.py": EXACT,
    "reference/numbers/double_double.py": (*EXACT, "test_compiled"),
    "reference/numbers/elementary.py": (*EXACT, "test_compiled"),
    "reference/numbers/tables.py": EXACT,
    "reference/numbers/loops/compiled.py": ("test_compiled",),
    "reference/numbers/loops/passes.py": ("test_compiled",),
    "reference/numbers/loops/comparing.py": ("test_compiled",),
    "reference/numbers/wide_range.py": ("test_ranges", *EXACT),
    "reference/numbers/backends.py": ("test_ranges", *EXACT),
    "reference/numbers/arrays.py": ("test_on_device", "test_doctests"),
    "adapters/torch/device_arrays.py": ("test_on_device",),
    "adapters/torch/functions.py": ("test_on_device",),
    "reference/oracle/ranges.py": ("test_ranges", "test_oracle"),
    "reference/oracle/leaving.py": ("test_ranges", "test_doctests"),
    "reference/targets.py": (*EXACT, "test_reference_loss"),
    "reference/problem.py": ("test_reference_inputs", "test_reference_loss", "test_oracle", "test_cases"),
    "reference/inputs.py": ("test_reference_inputs", "test_reference_costs", "test_reference_loss"),
    "reference/loss.py": ("test_reference_loss", "test_reference_inputs", "test_doctests"),
    "reference/directions.py": ("test_reference_loss", "test_doctests"),
    "reference/book/activations.py": ("test_reference_activations", "test_doctests"),
    "reference/book/chain_rule.py": ("test_reference_chain_rule", "test_doctests"),
    "reference/book/costs.py": ("test_reference_costs", "test_doctests"),
    "reference/book/network.py": ("test_reference_network", "test_doctests"),
    f"{ROOT}/judging/metric.py": ("test_judge", "test_compiled"),
    f"{ROOT}/judging/verdict.py": (
        "test_judge",
        "test_wider_results::test_what_declares_no_rounding_between_kernels_is_not_rounded_at_the_end",
        "test_weaker::test_a_record_names_the_contracts_that_allow_it",
        "test_power",
        "test_power_of_quick",
    ),
    f"{ROOT}/judging/comparisons.py": (
        "test_judge",
        "test_wider_results::test_what_declares_no_rounding_between_kernels_is_not_rounded_at_the_end",
        "test_weaker::test_a_record_names_the_contracts_that_allow_it",
        "test_power",
        "test_power_of_quick",
    ),
    f"{ROOT}/running/comparison/run.py": (
        "test_public_interface",
        "test_conventions",
        "test_trying::test_labels_that_a_function_refuses_are_given_as_rows",
        "test_executors",
    ),
    f"{ROOT}/running/comparison/recorded.py": (
        "test_facts::test_a_record_keeps_few_margins",
        "test_executors::test_a_worker_that_dies_is_replaced",
        "test_public_interface::test_groups_of_power_keep_apart_what_one_comparison_does_not_prove_for_another",
        "test_power::test_zero_is_vacuous_where_wrong_and_trivial_where_right",
        "test_conventions::test_a_convention_excuses_values_only",
        "test_documented_behaviour",
        "test_public_interface",
        "test_weaker::test_a_record_names_the_contracts_that_allow_it",
        "test_weaker::test_what_exceeds_a_contract_by_half_is_not_within_it",
        "test_cases::test_a_digest_sees_values_options_and_nothing_of_the_layout",
    ),
    f"{ROOT}/judging/power/measure.py": (
        "test_power::test_rejected_means_beyond_twice_the_bound",
        "test_power::test_ratios_of_no_elements_are_0",
        "test_power::test_the_blind_fraction_runs_over_elements_that_are_not_0",
        *DELTAS,
    ),
    f"{ROOT}/judging/power/values.py": DELTAS,
    f"{ROOT}/judging/power/gradients.py": DELTAS,
    f"{ROOT}/judging/power/table.py": DELTAS,
    f"{ROOT}/judging/power/directions.py": (
        "test_power::test_wrong_derivatives_are_multiples_of_the_right_one",
        "test_power::test_the_rank_one_term_of_a_hessian_product_has_the_rows_mass",
        *DELTAS,
    ),
    f"{ROOT}/judging/power/required.py": (
        "test_public_interface::test_cases_without_options_must_reject_the_standard_wrong_answers",
        "test_power::test_the_table_of_requirements",
        "test_power::test_nothing_else_is_excused_by_its_contract_or_size",
    ),
    f"{ROOT}/judging/conventions.py": ("test_conventions",),
    f"{ROOT}/running/deviations.py": ("test_deviations",),
    f"{ROOT}/studies/law_study.py": LAWS,
    f"{ROOT}/studies/laws.py": LAWS,
    f"{ROOT}/studies/related.py": LAWS,
    f"{ROOT}/studies/ways/calls.py": LAWS,
    f"{ROOT}/studies/ways/options.py": LAWS,
    f"{ROOT}/studies/ways/gradients.py": LAWS,
    f"{ROOT}/studies/asker.py": LAWS,
    f"{ROOT}/api.py": RUNS,
    f"{ROOT}/running/journal.py": ("test_journal", *RUNS),
    f"{ROOT}/running/collect.py": ("test_deviations", "test_journal", *RUNS),
    f"{ROOT}/running/executors/futures.py": ("test_executors", *RUNS),
    f"{ROOT}/running/executors/local.py": ("test_executors",),
    f"{ROOT}/records/file/lines.py": ("test_reports_runfile", "test_facts", "test_handed_on", "test_journal"),
    f"{ROOT}/studies/projection/check.py": ("test_projection",),
    f"{ROOT}/studies/projection/rows.py": ("test_projection", "test_doctests"),
    f"{ROOT}/cli/commands/grade.py": ("test_shown", "test_exit_codes", "test_handed_on"),
    f"{ROOT}/reproduce/replay.py": ("test_exit_codes", "test_shrink", "test_bad_arguments", "test_commands"),
    f"{ROOT}/cases/targets.py": ("test_families", "test_cases", "test_given_tensors"),
    f"{ROOT}/cases/selection.py": ("test_bad_words::test_laws_of_quick_are_asked_in_float32_where_it_is_chosen", *RUNS),
    f"{ROOT}/testing/given.py": ("test_handed",),
    f"{ROOT}/judging/undecided.py": ("test_weaker", "test_handed"),
    f"{ROOT}/judging/right_rows.py": ("test_right_rows", "test_conventions"),
    f"{ROOT}/vocabulary.py": (
        "test_shown",
        "test_reports_summary",
        "test_public_interface",
        "test_exit_codes",
        "test_documented_behaviour",
    ),
    f"{ROOT}/running/comparison/zeros.py": ("test_weaker", "test_handed", "test_doctests"),
    f"{ROOT}/cli/commands/run.py": ("test_handed_on", "test_exit_codes", "test_promises"),
    f"{ROOT}/cli/request.py": ("test_shown", "test_handed_on", "test_exit_codes", "test_promises"),
    f"{ROOT}/cli/asked.py": ("test_handed_on", "test_promises"),
    f"{ROOT}/cli/options.py": ("test_shown", "test_handed_on", "test_promises"),
    f"{ROOT}/running/subjects.py": (
        "test_subjects",
        "test_public_interface::test_an_adapter_is_judged_by_the_accuracy_that_it_declares",
        *ASKED,
    ),
    f"{ROOT}/running/attempts.py": ASKED,
    "adapters/spec.py": ASKED,
    f"{ROOT}/cli/early_exit.py": ("test_commands::test_a_loss_that_takes_the_process_or_its_output_is_no_green_run",),
    "reference/labels.py": (
        "test_sizes::test_rows_in_place_of_labels_are_decided_at_every_size",
        "test_laws",
        "test_ways_of_calls",
        "test_trying",
        "test_doctests",
    ),
    "adapters/needs.py": ("test_needs", "test_adapters_base", "test_promises", "test_adapters_numpy"),
    "adapters/base.py": ("test_adapters_base", "test_promises", "test_adapters_numpy"),
    "adapters/numpy/adapter.py": ("test_adapters_numpy", "test_adapters_base"),
    "adapters/torch/tensors.py": ("test_adapters_torch", "test_documented_behaviour"),
    "adapters/torch/adapter.py": (
        "test_subjects",
        "test_adapters_torch",
        "test_documented_behaviour",
        "test_ways_of_calls::test_a_value_that_needs_a_gradient_breaks_its_law",
        "test_ways_of_calls::test_a_state_of_pytorch_breaks_its_law_and_no_other",
    ),
    "adapters/layout.py": ("test_adapters_base", "test_adapters_numpy"),
    "adapters/wrap/handed.py": ("test_handed",),
    "adapters/wrap/refusals.py": ("test_wrapping", "test_trying"),
    "adapters/wrap/implementation.py": ("test_wrapping", "test_called_by_place", "test_never_set"),
    "adapters/wrap/functions.py": (
        "test_adapters_base",
        "test_documented_behaviour",
        "test_wrapping",
        "test_adapters_numpy",
    ),
    "adapters/process/requests.py": ("test_adapters_base", "test_wrapping", "test_wire"),
    "adapters/process/wire.py": ("test_wire",),
    "adapters/promises.py": ("test_promises",),
    "reports/baselines/baseline.py": (
        "test_public_interface",
        "test_baseline_file",
        "test_compare",
        "test_compared_runs",
    ),
    "reports/baselines/compare.py": ("test_compare", "test_compared_texts", "test_gate"),
    f"{ROOT}/cli/commands/gate.py": ("test_gate_request", "test_gate_command", "test_handed_on"),
    "adapters/wrap/signatures.py": ("test_never_set", "test_wrapping"),
    "reports/analysis/summary.py": ("test_reports_summary", "test_sizes"),
    f"{ROOT}/records/findings.py": (
        "test_facts::test_a_law_is_kept_only_within_its_bounds",
        "test_reports_summary",
        "test_sizes",
    ),
    f"{ROOT}/records/sizes.py": ("test_reports_summary", "test_sizes"),
    "reports/analysis/grades.py": ("test_reports_summary",),
    "reports/analysis/power.py": ("test_reports_summary", "test_sizes"),
    "reports/analysis/weaker.py": ("test_weaker",),
    "reports/sections/laws.py": ("test_law_section", "test_public_interface", "test_reports_summary"),
}
"""File -> the test modules that are run for a change of it, those that are likeliest to notice first."""

SHARE = {
    "reference/bounds/softmax_errors.py": 12,
    "reference/bounds/sums/exponentials.py": 12,
    "reference/bounds/rows.py": 12,
    "reference/bounds/gradient.py": 12,
    f"{ROOT}/studies/laws.py": 12,
    f"{ROOT}/cli/commands/gate.py": 0,
    f"{ROOT}/cases/targets.py": 0,
    "adapters/wrap/implementation.py": 0,
    "adapters/wrap/refusals.py": 0,
}
"""How many changes by rule of a file are tried by default, other than `EACH`; 0: those by hand alone."""

EACH = 6
