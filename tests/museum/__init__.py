"""The museum: planted faults, each a small wrong implementation of the loss that some check must notice.

base: the right implementation and what a fault is; range, reduction, targets, backward, layout: faults by class;
fused, thresholds, dtypes, values, edges, calls: the implementation for those that show at one size, in one dtype, for
one value or after the first call only, and these; compositions: two at once; everywhere: those that can be planted in
every framework; numpy, torch, jax: the adapters of each, and faults of their own; heads: faults behind a last layer;
along: of second order and forward mode; outputs: one output wrong, one fault for each check; right, right_forms,
right_torch, right_jax: implementations of other arithmetic that nothing may catch; catalogue: all of them; tables:
the cases by which the gate judges them.
"""
