"""One picture of the latest results (matplotlib, extra `bench`)."""

from pathlib import Path
from typing import Any

from benchmarks import results

# The same work on others, 200 legs in rooms of four: CPU in us per leg and frame, median delay added in ms.
# Not measured by this run and perhaps not on this machine, so the picture says so; the middle of each range.
OTHERS_CPU = {"Asterisk 22.10 *": 76.5, "FreeSWITCH 1.11 *": 93.5}
OTHERS_DELAY = {"Asterisk 22.10 *": 21.5, "FreeSWITCH 1.11 *": 44.5}
FOOTNOTE = "* measured earlier on two shared 2.8 GHz cores, not in this run: the middle of the range seen"


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
    figure.text(0.01, 0.01, FOOTNOTE, fontsize=7, color="#555555")
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    file = results.DIRECTORY / "overview.png"
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
    return file
