"""Which SoC for which product, how sure, and why: evidence -> estimates -> decision.

::

    results/evidence/   cited facts and figures          catalogue, figures, rules, claims
    results/runs        measured records          --->   evidence: what is known of a SoC, one Cell a question
    estimate            what a missing latency might be
    scenario            reports/scenarios/*.toml  --->   weigh: each SoC against each limit and criterion
    decision            ranking with probabilities       answer: the verdict in words, and what to measure next
"""
