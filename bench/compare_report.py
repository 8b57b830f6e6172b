"""What compare.py found, as text: the facts about the machine and the table, in Markdown."""
import datetime
import os
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
NO_GPU = (
    "No GPU has ever been measured: every figure here is of the processor named above. "
    "`bench/gpu.sh` is written and waits for a card."
)


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def cpu_name():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def compiler(build):
    cache = (build / "CMakeCache.txt").read_text()
    value = {line.split(":", 1)[0]: line.partition("=")[2] for line in cache.splitlines() if "=" in line}
    version = output_of(value["CMAKE_C_COMPILER"], "--version").partition("\n")[0]
    return f"{version}, {value['CMAKE_BUILD_TYPE']} ({value['CMAKE_C_FLAGS_RELEASE']})"


def commit():
    short = output_of("git", "rev-parse", "--short=12", "HEAD") or "unknown"
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no")
    return short + (" with uncommitted changes" if changed else "")


def facts_before(build):
    """Taken before the first measurement, so that the load is that of the others."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "machine": f"{cpu_name()}, {len(os.sched_getaffinity(0))} cores, {memory / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "compiler": compiler(build),
        "load average at the start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def range_of(values):
    if values["low"] == values["high"]:
        return number(values["median"])
    return f"{number(values['median'])} ({number(values['low'])}–{number(values['high'])})"


def peers_of(result):
    """Cells: the better peer, its figure, the other peer with its figure."""
    if "peers" not in result:
        return ["", "", ""]
    better = result["better_peer"]
    rest = [f"{name} {range_of(values)}" for name, values in result["peers"].items() if name != better]
    return [better, range_of(result["peers"][better]), ", ".join(rest)]


def counts_of(result):
    if "per_picture" not in result:
        return ""
    counts = result["per_picture"].values()
    return ", ".join("–" if n is None else f"{n / 1e6:,.3g} M" for n in counts) if any(counts) else "no counters here"


def table(results):
    head = ["what", "unit", "Pomona", "better peer", "its figure", "other peer", "ratio", "goal", "goal met"]
    head += ["instructions, cycles, cache misses a picture", "others' cores"]
    lines = [head, ["---"] * len(head)]
    for r in results:
        ratio = r.get("ratio")
        ratio = f"{ratio['median']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})" if ratio else ""
        met = {True: "yes", False: "**no**"}.get(r.get("met"), "not judged" if "goal" in r else "")
        loud = f"{r['others_cores']:.3f}{' **!**' if r['loud'] else ''}"
        ours = [r["what"], r["unit"], range_of(r["pomona"])]
        lines.append([*ours, *peers_of(r), ratio, r.get("goal", ""), met, counts_of(r), loud])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(facts, results):
    loud = sum(r["loud"] for r in results)
    verdict = "The machine was quiet for every figure that is a time."
    if loud:
        verdict = f"**Others were at work in {loud} of {len(results)} rows, marked !: these are not to be quoted.**"
    facts = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return (
        "# Results\n\nWritten by `bench/run.sh --results`; how to read it stands in README.md. "
        "Medians; in brackets the range of the rounds, which is the noise.\n\n"
        f"{facts}\n\n{NO_GPU}\n\n{verdict}\n\n{table(results)}\n"
    )
