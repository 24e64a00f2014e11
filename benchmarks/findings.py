"""What `table.py` says of each script's results: the claim, and what was found.

One function for each script, of its name. It takes the script's files, whatever sizes, lengths and
competitors they have. A ratio is the median over turns, with its range.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

Row = tuple[str, str]  # what was claimed, and what was found
BREAK, UNMEASURED = "<br>", "**not measured yet**"
BASE = "svae-sequential"


def times(ratio: dict[str, float], unit: str = " x") -> str:
    """A median and its range."""
    return f"{ratio['median']:g}{unit} ({ratio['min']:g} to {ratio['max']:g})"


def milliseconds(summary: dict[str, float]) -> str:
    """The same of times."""
    low, high = summary["min_ms"], summary["max_ms"]
    return f"{summary['median_ms']:g} ms ({low:g} to {high:g})"


def over(values: Iterable[float], unit: str = " x") -> str:
    """The least and the most of several numbers, or the one number that they are."""
    low, high = min(found := list(values)), max(found)
    return f"{low:g}{unit}" if low == high else f"{low:g} to {high:g}{unit}"


def verdict(holds: bool) -> str:
    """Whether a claim holds."""
    return "**reached**" if holds else "**not reached**"


def numbers(key: str) -> list[int]:
    """Those in the name of a row, by which rows are sorted."""
    return [int(each) for each in re.findall(r"\d+", key)]


def iterations(result: dict[str, Any]) -> list[tuple[str, Any]]:
    """Rows of one number of iterations, as `K = 1`, and what was found."""
    return [(key.replace("=", " = "), result[key]) for key in result if key.startswith("K=")]


def size_of(result: dict[str, Any]) -> str:
    """The model of a step, and of how many sequences."""
    return f"{result['model']}, {result['batch']} sequences of {result['steps']} steps"


def step_floor(*results: dict[str, Any]) -> Row:
    """AVF's step over its own products."""
    found = [
        f"{size_of(result)}, {key}: {times(each['avf_over_floor'])}, "
        f"{verdict(each['avf_over_floor']['median'] <= result['claim']['step_over_floor'])}"
        for result in results
        for key, each in iterations(result)
    ]
    most = over((result["claim"]["step_over_floor"] for result in results), "")
    return f"a step of AVF costs at most {most} x its own products", BREAK.join(found)


def torch_step(*results: dict[str, Any]) -> Row:
    """PyTorch over avfkit, with one thread by processor time and with more by the clock."""
    words, found = {"cpu": "of processor time", "wall": "by the clock"}, []
    for result in results:
        threads, least = result["threads"], result["claim"].get("eager_over_avfkit")
        first, second = ("cpu", "wall") if threads == 1 else ("wall", "cpu")
        found.append(f"{size_of(result)}, {threads} thread{'s' * (threads > 1)}")
        for key, each in iterations(result):
            ratio = each[first]["eager_over_avfkit"]
            said = f"{key}: eager {times(ratio)} {words[first]}, {against(ratio, least)}; "
            said += f"{times(each[second]['eager_over_avfkit'])} {words[second]}"
            if ratio := each[first].get("torch.compile_over_avfkit"):
                said += f"; `torch.compile` {times(ratio)} {words[first]}, {against(ratio)}"
            found.append(said)
        if seconds := result.get("torch.compile_s"):
            found.append(f"`torch.compile` needs {seconds:g} s of the processor to compile")
    worst = max(each["difference"]["gradients"] for r in results for _, each in iterations(r))
    found.append(f"both sides agree to {worst:.1g} in every gradient")
    claims = [(r["model"], r["claim"]["eager_over_avfkit"]) for r in results if r["claim"]]
    claimed = " and ".join(sorted({f"of {model} is {least:g} x" for model, least in claims}))
    claim = f"a step {claimed} faster than eager PyTorch in the authors' order of work"
    return claim, BREAK.join(found)


def against(ratio: dict[str, float], least: float | None = None) -> str:
    """The verdict on a rival's time over avfkit's; who is faster, where nothing is claimed."""
    if least is not None:
        return verdict(ratio["median"] >= least)
    return "avfkit is faster" if ratio["median"] >= 1 else "**avfkit is slower**"


def products(result: dict[str, Any]) -> Row:
    """Rates of matrix products."""
    rates = [each["median"] for each in result["gigaflop_per_second"].values()]
    return "none: the rates behind the section below", over(rates, " GFLOP/s")


def memory(result: dict[str, Any]) -> Row:
    """How memory grows with and without rematerialisation."""
    plain, kept = result["plain"], result["rematerialised"]
    key = next(key for key in kept if key.startswith("exponent"))
    last = max(kept["temporary_mib"], key=int)
    most = result["claim"]["exponent_below"]
    found = (
        f"exponent {kept[key]:g} (plain {plain[key]:g}), {verdict(kept[key] < most)}; "
        f"{kept['temporary_mib'][last]:g} MiB in place of {plain['temporary_mib'][last]:g} "
        f"at T = {int(last):,}"
    )
    return f"memory up to T = {int(last):,} grows sublinearly with `Rematerialised`", found


def svae_iteration(*results: dict[str, Any]) -> Row:
    """Figure 3: what the rivals of the SVAE take, for each device that was measured."""
    there = {"CPU" if each["provenance"]["device"] == "cpu" else "GPU": each for each in results}
    found = [
        f"{name}, {figure_3(there[name], clock)}" if name in there else f"{name}: {UNMEASURED}"
        for name, clock in (("CPU", "cpu"), ("GPU", "wall"))
    ]
    claim = (
        "Figure 3 of Zhao and Linderman (2023): on a GPU an SVAE with a parallel scan is almost "
        "ten times as fast as the fastest RNN; wanted here are 10 x on a GPU, 2 x on a CPU"
    )
    return claim, BREAK.join(found)


def figure_3(result: dict[str, Any], clock: str) -> str:
    """What the others take over the SVAE walked one by one, and the claim at the last length."""
    lengths = sorted(result["lengths"], key=int)
    ratios = {
        length: {
            name: each[f"{clock}_over_{BASE}"]
            for name, each in result["lengths"][length].items()
            if f"{clock}_over_{BASE}" in each
        }
        for length in lengths
    }
    kind = "processor time" if clock == "cpu" else "by the clock"
    said = [f"{kind}, what others take over the SVAE walked one by one"]
    for length, found in ratios.items():
        words = ", ".join(f"{name} {times(each)}" for name, each in found.items() if name != BASE)
        said.append(f"T = {int(length):,}: {words}")
    last = {name: each["median"] for name, each in ratios[lengths[-1]].items()}
    svae, rnn = (min(v for k, v in last.items() if k.startswith(s)) for s in ("svae", "rnn"))
    least = result["claim"]["fastest_rnn_over_svae"]
    said.append(
        f"the fastest RNN over the SVAE at T = {int(lengths[-1]):,}: {rnn / svae:.3g} x, "
        f"wanted {least:g} x, {verdict(rnn >= least * svae)}"
    )
    return BREAK.join(said)


def compile_time(result: dict[str, Any]) -> Row:
    """The presets that compile fastest and slowest."""
    most, ways = result["claim"]["seconds"], ("avf", "own")
    rows = {name: each for name, each in result.items() if isinstance(each, dict) and "avf" in each}
    found = [
        f"{name}: {seconds(each['avf'])} with AVF, {seconds(each['own'])} with its own filter, "
        f"{verdict(max(each[way]['processor'] for way in ways) <= most)}"
        for name, each in rows.items()
    ]
    claim = f"the step of each preset compiles within {most:g} s on two cores"
    return claim, BREAK.join(["processor time", *found])


def seconds(found: dict[str, float]) -> str:
    """Processor seconds of a compilation, with the range where it was repeated."""
    low, high = found.get("processor_min"), found.get("processor_max")
    return f"{found['processor']:g} s" + (f" ({low:g} to {high:g})" if low is not None else "")


def message_passing(result: dict[str, Any]) -> Row:
    """Value and gradient against each rival at each size and length; forward only in a line."""
    bounds = result["claim"]["ratio"]
    said = ["processor time, what others take over avfkit, value and gradient"]
    forward: dict[str, list[float]] = {}
    for key in sorted(result["results"], key=numbers):
        for name, each in result["results"][key].get("smoother", {}).get("ratio", {}).items():
            forward.setdefault(name, []).append(each["median"])
        if found := result["results"][key].get("svae, value and gradient"):
            least = bounds.get(str(numbers(key)[0]))
            said.append(
                f"{key.replace('=', ' = ')}: {walk(found, least, result['claim']['compile_ratio'])}"
            )
    words = ", ".join(f"{name} {over(each)}" for name, each in forward.items())
    said.append(f"forward only, medians of all sizes: {words}")
    sizes = " and ".join(f"{least:g} x (D = {size})" for size, least in bounds.items())
    claim = (
        f"the Gaussian part of an SVAE step, value and gradient, is {sizes} faster than the faster "
        f"of dynamax's modes, and compiles in 1/{result['claim']['compile_ratio']:g} of its "
        "parallel mode's time"
    )
    return claim, BREAK.join(said)


def walk(found: dict[str, Any], least: float | None, compile_ratio: float) -> str:
    """One size and length: every rival, and whether the faster of dynamax's modes is beaten."""
    ratios, compiled = found["ratio"], found["compile_s"]
    said = [f"{name} {times(each)}" for name, each in ratios.items()]
    modes = {name: each["median"] for name, each in ratios.items() if name.startswith("dynamax")}
    parallel = compiled.get("dynamax parallel", "not timed")
    memory = found.get("temporary_mib", {})
    if least is not None and modes:
        against = "" if "dynamax parallel" in modes else " against the sequential mode"
        said.append(f"{verdict(min(modes.values()) >= least)}{against}")
    if memory:
        said.append("MiB: " + ", ".join(f"{name} {mebi:g}" for name, mebi in memory.items()))
    if isinstance(parallel, str):
        return ", ".join([*said, f"dynamax parallel {parallel}"])
    holds = verdict(parallel >= compile_ratio * compiled["avfkit"])
    words = f"compiled in {compiled['avfkit']:g} s, dynamax parallel in {parallel:g} s, {holds}"
    return ", ".join([*said, words])


def grid(result: dict[str, Any]) -> Row:
    """Of each task, what others take over avfkit in all cells, and where they are faster."""
    least, cells = result["claim"]["others_over_avfkit"], result["results"]
    ratios: dict[str, dict[str, dict[str, float]]] = {}
    for key in sorted(cells, key=numbers):
        for task, each in cells[key].items():
            for name, ratio in each["ratio"].items():
                ratios.setdefault(task, {}).setdefault(name, {})[key] = ratio["median"]
    said, behind = ["processor time, what others take over avfkit step by step, medians"], []
    for task, rivals in ratios.items():
        words = ", ".join(f"{name} {over(each.values())}" for name, each in rivals.items())
        said.append(f"{task}: {words}")
        behind += [
            f"{task} at {key.replace('=', ' = ')} ({name} {ratio:g} x)"
            for name, each in rivals.items()
            for key, ratio in each.items()
            if ratio < least
        ]
    count = sum(len(each) for rivals in ratios.values() for each in rivals.values())
    lost = f"; somebody is faster in {', '.join(behind)}" if behind else ""
    said.append(f"{count - len(behind)} of {count}, {verdict(not behind)}{lost}")
    claim = "whatever the task, the size, the length and the batch, nobody is faster than avfkit"
    return claim, BREAK.join(said)


def choices(result: dict[str, Any]) -> Row:
    """How far each choice is from the best, and what chunks and blocks would gain."""
    most, said = result["claim"]["other_over_chosen"], []
    for part in [p for p in ("products", "factors", "solutions", "layouts") if p in result]:
        costs = {key: each["chosen_over_best"]["median"] for key, each in result[part].items()}
        worst = max(costs, key=lambda key: costs[key])
        where = worst.replace("=", " = ")
        said.append(
            f"{part}: the way taken needs {over(costs.values())} the time of the best (most at "
            f"{where}), {verdict(costs[worst] <= most)}"
        )
    for key, each in result.get("lanes", {}).items():
        gains = each["gain_of_chunks_at_most"]
        words = ", ".join(f"of {count}: {gain:g} x" for count, gain in gains.items())
        judged = key.startswith("value") and f", {verdict(max(gains.values()) <= most)}"
        said.append(
            f"chunks gain at most, {key.replace('=', ' = ')}, a batch {words}{judged or ''}"
        )
    for key, each in result.get("blocks", {}).items():
        said.append(
            f"a {key.replace('=', ' of ')} at once takes {times(each['at_once_over_in_blocks'])} "
            "as long as in blocks of 32"
        )
    claim = (
        "no other way of products, factors, solutions and layouts of small matrices, nor a walk in "
        f"chunks with a gradient, would be {most:.3g} x as fast"
    )
    return claim, BREAK.join(said)


def accuracy(result: dict[str, Any]) -> Row:
    """The largest error of each side."""
    most, found = result["claim"]["over_dynamax"], []
    for key, each in result["errors"].items():
        worst = {name: max(errors.values()) for name, errors in each.items()}
        words = ", ".join(f"{name} {error:.1e}" for name, error in worst.items())
        holds = worst["avfkit"] <= most * worst["dynamax sequential"]
        found.append(f"{key.replace('=', ' = ')}: {words}, {verdict(holds)}")
    claim = (
        f"in float32 the largest relative error of avfkit is at most {most:g} x that of dynamax: "
        "log-normaliser, moments and the gradient of both"
    )
    return claim, BREAK.join(found)


def growth(result: dict[str, Any]) -> Row:
    """Slopes of time and memory against the length."""
    most, over_one = result["claim"]["slope_at_most"], result["parallel_over_sequential"]
    found = []
    for key, each in result.items():
        if key.startswith("batch="):
            slope, lengths = each["slope"], numbers(" ".join(each["cpu"]))
            found.append(
                f"batch of {numbers(key)[0]}, T = {min(lengths):,} to {max(lengths):,}: "
                f"{slope['time']:g} (time), {slope['memory']:g} (memory), "
                f"{verdict(max(slope.values()) <= most)}"
            )
    found.append(
        f"the parallel walk over the sequential one, T = {over_one['length']}: "
        f"{times(over_one['cpu'])} of processor time, {times(over_one['wall'])} by the clock"
    )
    claim = f"time and memory of the sequential walk grow as T to the power of {most:g} at most"
    return claim, BREAK.join(found)


def span(*results: dict[str, Any]) -> Row:
    """How the two walks grow with the length, by the clock, on each device."""
    found = []
    for result in results:
        where = "CPU" if result["provenance"]["device"] == "cpu" else "GPU"
        for key, each in result["batches"].items():
            ratios, walls = each["sequential_over_parallel"], each["wall"]
            words = ", ".join(f"{int(n):,}: {times(one)}" for n, one in ratios.items())
            ends = ", ".join(
                f"{name} T^{power:g} (T = {min(map(int, walls[name])):,} to "
                f"{max(map(int, walls[name])):,})"
                for name, power in each["slope"].items()
            )
            found.append(f"{where}, {key.replace('=', ' of ')}: {ends}")
            found.append(f"one by one over parallel, T = {words}")
    if not any("GPU" in line for line in found):
        found.append(f"GPU: {UNMEASURED}")
    claim = "none: how long the parallel walk of a chain takes, against its length"
    return claim, BREAK.join(found)


def explorer_latency(result: dict[str, Any]) -> Row:
    """The filter explorer on a page and in JupyterLab."""
    bounds = {place: result["claim"][f"{place}_median_ms"] for place in ("page", "lab")}
    found = [
        f"{place}: median {result[place]['median_ms']:g} ms, 95th percentile "
        f"{result[place]['p95_ms']:g} ms, {verdict(result[place]['median_ms'] <= most)}"
        for place, most in bounds.items()
    ]
    claim = "the filter explorer answers within {page} ms (page), {lab} ms (JupyterLab)"
    return claim.format(**bounds), BREAK.join(found)


def streaming_latency(result: dict[str, Any]) -> Row:
    """A step of each filter."""
    found = [
        f"{name}: {each['wall']['p50_ms']:g} and {each['wall']['p99_ms']:g} ms"
        for name, each in result["filters"].items()
    ]
    claim = "with the models of the book a step of `OnlineFilter` takes a few milliseconds"
    return claim, BREAK.join(["by the clock, median and 99th percentile", *found])


def convolutions(result: dict[str, Any]) -> Row:
    """The layers of each model together, and each of them."""
    bounds, found = result["claim"], []
    for name, each in result.items():
        if isinstance(each, dict) and "layers" in each:
            least = bounds[name.split("-")[0]]
            layers = over(layer["ratio"]["median"] for layer in each["layers"])
            found.append(
                f"{name}: Equinox's take {times(each['ratio'])} (single layers {layers}), "
                f"{verdict(each['ratio']['median'] >= least)}"
            )
    claim = (
        "the layers of the pendulum's networks, value and gradients, take less than "
        f"1/{bounds['pendulum']:g} of the processor time of Equinox's, those of SVG in a loop over "
        f"time less than 1/{bounds['svg']:g}"
    )
    return claim, BREAK.join(found)


def precision(*results: dict[str, Any]) -> Row:
    """Nats that are lost with fewer digits, and time that is won where there is a GPU."""
    found = []
    for result in results:
        emulated = result["provenance"]["device"] == "cpu"
        found.append("CPU, emulated, nats only" if emulated else "GPU")
        for pair, each in result["pairs"].items():
            words = ", ".join(
                f"{name} {times(one['more_than_float32'], '')}"
                for name, one in each.items()
                if name not in ("seeds", "float32")
            )
            name, inference, steps = pair.split("/")
            nats = each["float32"]["nats_per_step"]
            found.append(
                f"{name}, {inference}, {steps} steps, {each['seeds']} seeds: float32 "
                f"{times(nats, '')} nats per step, more with {words}"
            )
        for name, one in result.get("float32_over", {}).items():
            found.append(f"a gradient of VRNN-TIMIT in float32 over one in {name}: {times(one)}")
    if all(result["provenance"]["device"] == "cpu" for result in results):
        found.append(f"GPU: {UNMEASURED}")
    claim = "none: nats per step that a model loses by training with products of fewer digits"
    return claim, BREAK.join(found)


def start_up(result: dict[str, Any]) -> Row:
    """The import."""
    most, key = result["claim"]["avfkit_over_jax_equinox"], "avfkit_over_jax_equinox"
    cpu, wall = result["cpu"][key], result["wall"][key]
    claim = f"`import avfkit` takes less than {most:g} x as long as `import jax, equinox`"
    found = f"{times(cpu)} of processor time, {verdict(cpu['median'] < most)}"
    return claim, f"{found}; {times(wall)} by the clock"


def book_build(result: dict[str, Any]) -> Row:
    """The first build, and one of the same."""
    bounds, cold, again = result["claim"], result["cold"], result["unchanged"]["wall_s"]
    most, least = bounds["cold_minutes"], bounds["unchanged_seconds"]
    found = [
        f"cold, {cold['executed']} chapters executed: {cold['wall_s'] / 60:.1f} minutes by the "
        f"clock, {cold['processor_s'] / 60:.1f} of the processor, "
        f"{verdict(cold['wall_s'] <= 60 * most)}",
        f"unchanged: {times(again, ' s')} by the clock, {verdict(again['median'] < least)}",
    ]
    claim = f"the book builds in at most {most} minutes on two cores, unchanged in {least} s"
    return claim, BREAK.join(found)


def scale_out(*results: dict[str, Any]) -> Row:
    """Throughput of each number of devices over that of the fewest."""
    found = [
        f"{kind} scaling, {count} devices ({result['a_device_is']}): {times(each['over_fewest'])}"
        for result in results
        for kind in ("weak", "strong")
        for count, each in list(result[kind].items())[1:]
    ]
    if not any(result["provenance"]["device"] != "cpu" for result in results):
        found.append(f"GPUs: {UNMEASURED}")
    return "none: sequences per second against the number of devices", BREAK.join(found)


def certificate(result: dict[str, Any]) -> Row:
    """The largest divergence of the methods that are exact."""
    most, exact = result["claim"]["exact_methods_within_nats_per_step"], {}
    for name, each in result["methods"].items():
        if re.search(r"Kalman|exact potentials|full covariance", name):
            exact[name] = max(abs(kl) for kl in each["kl"])
    worst = max(exact, key=lambda name: exact[name])
    claim = (
        "Kalman, VF-EM with a full covariance and structured methods with exact potentials are "
        f"within {most:g} nats per step of the exact posterior"
    )
    found = f"at most {exact[worst]:.2g} nats ({worst}), {verdict(exact[worst] <= most)}"
    return claim, f"{found}; the table of the chapter *Where the nats go*, with AVF and its rivals"


def contract(result: dict[str, Any]) -> Row:
    """How many pairs keep every clause."""
    pairs = [each for row in result["pairs"].values() for each in row.values()]
    able = [each["holds"] for each in pairs if "refused" not in each]
    found = (
        f"{sum(able)} of {len(able)} pairs, {verdict(all(able))}; {len(pairs) - len(able)} cannot "
        "meet; the table of the chapter *Streaming, missing data and trust*"
    )
    return "every pair that can meet keeps every clause of `avfkit.check_contract`", found


ROWS: tuple[Callable[..., Row], ...] = (
    *(step_floor, torch_step, products, memory, svae_iteration, compile_time, message_passing),
    *(grid, choices, accuracy, growth, span, explorer_latency, streaming_latency, convolutions),
    *(precision, start_up, book_build, scale_out, certificate, contract),
)
