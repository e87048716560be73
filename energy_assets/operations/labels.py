"""Labels: synthetic data says so wherever Dagster shows it.

What belongs here: marks that concern every asset of a site. What does not: what an asset says of itself.
"""

from collections.abc import Sequence

import dagster as dg

from energy_assets.site import Site

SYNTHETIC = "synthetic"


def with_labels(assets: Sequence[dg.AssetsDefinition], site: Site) -> list[dg.AssetsDefinition]:
    """The assets, those of a synthetic organisation labelled in description and tags.

    Args:
        assets: Any assets of the site.
        site: Says whether its organisation is synthetic.
    """
    if not site.organisation.synthetic:
        return list(assets)

    def labelled(spec: dg.AssetSpec) -> dg.AssetSpec:
        warning = f"**Synthetic data of {site.organisation.name}: nothing in it is real.**"
        return spec.replace_attributes(
            description=f"{spec.description}\n\n{warning}", tags={**spec.tags, SYNTHETIC: ""}
        )

    return [asset.map_asset_specs(labelled) for asset in assets]
