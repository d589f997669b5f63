"""One picture of the latest results (matplotlib, extra `bench`)."""

from pathlib import Path
from typing import Any

from benchmarks import results

# The same work on others, measured side by side on two shared cores, 200 legs in rooms of four: CPU in us per
# leg and frame, and the median delay added in ms. See docs/design.md.
OTHERS_CPU = {"Asterisk ConfBridge": 76.5, "FreeSWITCH mod_conference": 93.5}
OTHERS_DELAY = {"Asterisk ConfBridge": 21.5, "FreeSWITCH mod_conference": 44.5}


def _name(figures: dict[str, Any]) -> str:
    return "MixMinus (void run)" if figures["void"] else "MixMinus"


def draw(figures: dict[str, dict[str, Any]]) -> Path | None:
    """benchmarks/results/overview.png from the results of load and latency, or None without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = []
    if "load" in figures:
        cpu = {_name(figures["load"]): figures["load"]["cpu_us_per_leg_frame"]["all"], **OTHERS_CPU}
        panels.append((cpu, f"CPU per leg and frame (us), {figures['load']['up']} legs"))
    if "latency" in figures and figures["latency"]["delay_ms_median"] is not None:
        delay = {_name(figures["latency"]): figures["latency"]["delay_ms_median"], **OTHERS_DELAY}
        panels.append((delay, "delay added, median (ms)"))
    if not panels:
        return None
    figure, axes = pyplot.subplots(len(panels), 1, figsize=(7, 1.9 * len(panels)), squeeze=False)
    for axis, (values, title) in zip(axes[:, 0], panels, strict=True):
        bars = axis.barh(list(values), list(values.values()), color=["#1f77b4", "#bbbbbb", "#bbbbbb"])
        axis.bar_label(bars, fmt="%.1f", padding=3)
        axis.set_title(title, fontsize=10, loc="left")
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.12)
    figure.tight_layout()
    file = results.DIRECTORY / "overview.png"
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
    return file
