"""The contract of missing data and streams, checked on every kind of model and inference there is.

Claim: every pair that can meet keeps every clause that `avfkit.check_contract` checks, to rounding.
Run from the repository's root; it compiles for minutes:

    python benchmarks/contract.py

The pairs are those of the tests' registries, one for each class (and, of LDS, for a linear emission
and for a network), small and untrained, in double precision. Writes
`benchmarks/results/contract.json`, pair by pair, and goes on where it stopped if the versions are
the same: for each pair and clause whether it is kept (null: not claimed) and the largest deviation
found; for each pair that cannot meet, what the refusal says.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import jax
import jax.random as jr
from measure import RESULTS, provenance, write

import avfkit

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.helpers import FILTERS, INFERENCES, make  # noqa: E402

NAMES = {
    "lds": "LDS, linear emission",
    "lds-mlp": "LDS, network emission",
    "vrnn-gaussian": "VRNN",
    "srnn-bernoulli": "SRNN",
    "svg": "SVG",
}
METHODS = {
    "own": "DirectFilter",
    "own-recurrent": "RecurrentFilter",
    "avf": "IterativeFilter, LearnedUpdate",
    "vfem": "IterativeFilter, GradientUpdate",
    "kalman": "KalmanFilter",
    "structured": "StructuredFilter",
    "marginal-kalman": "MarginalFilter, KalmanFilter",
    "marginal-structured": "MarginalFilter, StructuredFilter",
    "marginal-avf": "MarginalFilter, IterativeFilter",
    "rematerialised": "Rematerialised, DirectFilter",
    "kalman-smoother": "KalmanSmoother",
    "svae": "StructuredSmoother",
    "rnn-mf": "AmortizedSmoother, FactorisedHead",
    "rnn-ar-l": "AmortizedSmoother, LinearHead",
    "rnn-ar-nl": "AmortizedSmoother, NonlinearHead",
    "svae-masked": "Masked, StructuredSmoother",
}


def row(model: str, inference: str) -> dict:
    """What one pair keeps, or why it is refused."""
    built, method = make(model, inference)
    print(model, inference, flush=True)
    try:
        contract = avfkit.check_contract(built, method, key=jr.key(0))
    except TypeError as refusal:
        return {"refused": str(refusal)}
    found = {
        name: {"holds": clause.holds, "worst": clause.worst if clause.worst >= 0.0 else None}
        for name, clause in contract.clauses.items()
    }
    return {"holds": contract.holds, "clauses": found}


def main(fresh: bool) -> None:
    """Check the pairs that are not in the file yet, and keep each at once."""
    path = RESULTS / "contract.json"
    facts = provenance()
    before = {} if fresh or not path.is_file() else json.loads(path.read_text())
    same = before.get("provenance", {}).get("versions") == facts["versions"]
    kept = before["pairs"] if same else {}
    INFERENCES["rematerialised"] = lambda m, key: avfkit.Rematerialised(FILTERS["own"](m, key))
    for (model, name), (inference, method) in itertools.product(NAMES.items(), METHODS.items()):
        if method in kept.setdefault(name, {}):
            continue
        kept[name][method] = row(model, inference)
        jax.clear_caches()  # or the process runs out of memory maps
        ordered = {n: {m: kept[n][m] for m in METHODS.values() if m in kept[n]} for n in kept}
        result = {"claim": "every claimed clause is kept", "pairs": ordered}
        write("contract", result | {"provenance": facts}, quiet=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget what has been checked before")
    jax.config.update("jax_enable_x64", True)
    main(parser.parse_args().fresh)
