"""What a run found, as JSON and as Markdown."""

from __future__ import annotations

import json

from app.domain.rules import METRICS, format_value
from app.domain.specs import chain_spec
from app.domain.watch import Severity
from app.watch.messages import as_of_body, subject_body, timestamp_text
from app.watch.run import ChainLook, Finding, Outcome, Report
from app.watch.words import finding_words, shown, subject_words

_SAID = {
    Outcome.CALM: "calm",
    Outcome.FINDINGS: "findings",
    Outcome.CANNOT_KNOW: "cannot know",
}


def outcome_words(report: Report, fail_on: Severity) -> str:
    """The outcome in a word or two."""
    return _SAID[report.outcome(fail_on)]


def as_json(report: Report, fail_on: Severity) -> str:
    """Everything, for programs. Numbers are exact decimal strings."""
    body = {
        "at": timestamp_text(report.at),
        "outcome": outcome_words(report, fail_on).replace(" ", "_"),
        "exit_status": int(report.outcome(fail_on)),
        "watchlists": list(report.watchlists),
        "chains": [_chain_body(one) for one in report.chains],
        "findings": [_finding_body(one) for one in report.findings],
    }
    return json.dumps(body, indent=2, ensure_ascii=False)


def as_markdown(report: Report, fail_on: Severity) -> str:
    """For a page, an issue or a chat."""
    lines = [f"**{outcome_words(report, fail_on)}** at {timestamp_text(report.at)}: {', '.join(report.watchlists)}", ""]
    if report.findings:
        lines += ["| severity | watchlist | what | finding | since |", "|---|---|---|---|---|"]
        for one in report.findings:
            cells = (severity_words(one), one.watchlist, who(one), what(one), timestamp_text(one.episode.opened_at))
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        lines.append("")
    lines += [f"- {_cell(chain_words(one))}" for one in report.chains]
    return "\n".join(lines)


def severity_words(finding: Finding) -> str:
    """How bad, and whether somebody has seen it."""
    episode = finding.episode
    seen = f", seen by {episode.acknowledged_by}" if episode.acknowledged_by else ""
    return episode.severity.name.lower() + seen


def who(finding: Finding) -> str:
    """Which account or market."""
    return subject_words(finding.episode.subject, finding.episode.chain_id, finding.label, finding.place)


def what(finding: Finding) -> str:
    """What was found, and how it stands now where that differs."""
    metric, event, now = finding.episode.metric, finding.event, finding.value_now
    said = finding_words(metric, event)
    return said if now is None or now == event.value else f"{said}; now {shown(metric, now)}"


def chain_words(look: ChainLook) -> str:
    """How a chain could be looked at."""
    name = chain_spec(look.chain_id).name
    where = "no block" if look.block is None else f"block {look.block.ref.number:,}"
    said = f"{name}: {where}, {look.measured:,} measured"
    if look.unknown:
        said += f", {look.unknown:,} of them unknown"
    return said if look.trouble is None else f"{said}; stale: {look.trouble}"


def _chain_body(look: ChainLook) -> dict[str, object]:
    return {
        "chain_id": look.chain_id,
        "chain": chain_spec(look.chain_id).name,
        "as_of": as_of_body(None if look.block is None else look.block.ref),
        "measured": look.measured,
        "unknown": look.unknown,
        "stale_reason": look.trouble,
    }


def _finding_body(finding: Finding) -> dict[str, object]:
    episode, event = finding.episode, finding.event
    return {
        "episode": {
            "id": episode.id,
            "watchlist": finding.watchlist,
            "rule": episode.rule_name,
            "metric": episode.metric.value,
            "severity": episode.severity.name.lower(),
            "state": episode.state.value,
            "opened_at": episode.opened_at,
            "acknowledged_by": episode.acknowledged_by,
        },
        "subject": subject_body(episode.subject, episode.chain_id, finding.label),
        "value": format_value(episode.metric, event.value),
        "level": format_value(episode.metric, event.level),
        "value_now": format_value(episode.metric, finding.value_now),
        "unit": METRICS[episode.metric].unit.value,
        "as_of": as_of_body(event.block),
        "inputs": {name: one if one is None else str(one) for name, one in event.inputs.items()},
        "text": f"{who(finding)}: {what(finding)}",
    }


def _cell(text: str) -> str:
    """Text that stays in its cell."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
