"""The sections that a profile can name. A new section is one function and one line here.

What belongs here: names of sections. What does not: what a section says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from energy_assets.disclosures.document import Section
from energy_assets.disclosures.profile import EVIDENCE_SECTION
from energy_assets.disclosures.sections.checking import checking, figures_section
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.sections.energy import energy
from energy_assets.disclosures.sections.methodology import methodology
from energy_assets.disclosures.sections.opportunities import opportunities
from energy_assets.disclosures.sections.own import own
from energy_assets.disclosures.sections.progress import progress, targets
from energy_assets.disclosures.sections.quality import gaps, quality
from energy_assets.disclosures.sections.reconciliation import reconciliation
from energy_assets.disclosures.sections.restated import restated
from energy_assets.disclosures.sections.summary import summary

SECTIONS: dict[str, Callable[[Context], Section]] = {
    "summary": summary,
    "energy": energy,
    "methodology": methodology,
    "progress": progress,
    "own": own,
    "targets": targets,
    "opportunities": opportunities,
    "restatements": restated,
    "quality": quality,
    "gaps": gaps,
    "reconciliation": reconciliation,
    "checking": checking,
    EVIDENCE_SECTION: figures_section,
}

OPTIONAL: dict[str, Callable[[Context], bool]] = {"own": lambda context: bool(context.factory.inputs.kpis)}
"""Sections that are left out where they have nothing to say."""


def sections(context: Context, names: Sequence[str]) -> list[Section]:
    """The sections of those names, in that order.

    Args:
        context: What every section is given.
        names: From a profile. The section that lists every figure is made last, wherever it stands.

    Raises:
        ValueError: there is no section of one of the names.
    """
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise ValueError(
            f"the profile '{context.profile.name}' names the section '{unknown[0]}'; there are {', '.join(SECTIONS)}"
        )
    names = [name for name in names if name not in OPTIONAL or OPTIONAL[name](context)]
    made = {name: SECTIONS[name](context) for name in sorted(names, key=lambda name: name == EVIDENCE_SECTION)}
    return [made[name] for name in names]
