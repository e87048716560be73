"""Each kind of source as a Dagster component, for projects that are built with `dg` instead of one site file.

What belongs here: one factory from a source's block of site.yaml to a component. What does not: what a source is (its
own folder). A component gives the raw asset of one source, its bytes in the landing zone and its rows in the lake, as
`build_defs` does; what is made of all sources together needs the site. A project holds the sources of one site.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, create_model

from energy_assets.operations.automation import with_automation
from energy_assets.operations.freshness import with_freshness
from energy_assets.operations.labels import with_labels
from energy_assets.raw.assets import raw_asset
from energy_assets.resources import site_resources
from energy_assets.site import Engine, Organisation, Site, StorageBlock
from energy_assets.sources.registry import KINDS, source_class

_SHARED: dict[tuple[str, str, str], dict[str, Any]] = {}


class SiteSettings(BaseModel):
    """What a source needs to know of the site it belongs to; the same keys as in site.yaml."""

    model_config = ConfigDict(extra="forbid")

    organisation: Organisation = Field(description="who reports: {name, currency, …}")
    start: date = Field(description="first day of the daily partitions")
    storage: StorageBlock = Field(default_factory=StorageBlock, description="where landing zone and lake are")
    engine: Engine = Field(default_factory=Engine, description="what computes")


class SourceScaffolder(dg.Scaffolder):
    """Writes a defs.yaml with every key that must be filled in, and what it means as its value."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Called by `dg scaffold defs`."""
        kind = next(kind for kind in KINDS if _name(kind) == request.type_name.rpartition(".")[2])
        required = {
            name: f"<{field.description or name}>"
            for name, field in source_class(kind).model_fields.items()
            if field.is_required() and name not in ("kind", "name")
        }
        site = {"organisation": {"name": "<who reports>"}, "start": "2024-01-01"}
        dg.scaffold_component(request, {"name": request.target_path.name, **required, "site": site})


@dg.scaffold_with(SourceScaffolder)
class SourceComponent(dg.Component):
    """Base of the components below: `kind` says which source it is, the attributes are its block of site.yaml."""

    def __init__(self, attributes: BaseModel) -> None:
        self.attributes = attributes

    @classmethod
    @abstractmethod
    def kind(cls) -> str:
        """The kind of source, as site.yaml names it."""

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes of defs.yaml: the source's own keys without `kind`, and `site`."""
        model = source_class(cls.kind())
        fields: dict[str, Any] = {
            name: (field.annotation, field) for name, field in model.model_fields.items() if name != "kind"
        }
        fields["site"] = (SiteSettings, Field(description="the site the source belongs to"))
        return create_model(f"{cls.__name__}Attributes", __config__=ConfigDict(extra="forbid"), **fields)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> SourceComponent:
        """Called by Dagster with the attributes of defs.yaml.

        Args:
            attributes: Keys of the source and `site`, validated; None where defs.yaml has none.
            context: Where the component lies; not asked.
        """
        if attributes is None:
            raise ValueError(f"{cls.__name__} needs attributes: the keys of a {cls.kind()} source, and `site`")
        return cls(attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The raw asset of the source, with the resources it works with."""
        site = self._site(context.project_root)
        (source,) = site.sources
        raw = with_automation(with_labels(with_freshness([raw_asset(source, site)], site), site), site)
        return dg.Definitions(assets=raw, resources=site_resources(site, _shared(site)))

    def _site(self, folder: Path) -> Site:
        given = self.attributes.model_dump(exclude_unset=True, exclude={"site"})
        settings = self.attributes.model_dump(exclude_unset=True)["site"]
        site = Site.model_validate({**settings, "sources": [source_class(self.kind())(kind=self.kind(), **given)]})
        return site.model_copy(update={"folder": folder})


def _shared(site: Site) -> dict[str, Any]:
    """The same resource objects for all sources of a project, without which Dagster refuses to merge them."""
    own = site_resources(site.model_copy(update={"sources": []}))
    return _SHARED.setdefault((str(site.folder), site.storage.model_dump_json(), site.engine.model_dump_json()), own)


def _name(kind: str) -> str:
    """`power_files` is PowerFilesComponent, after the class of its source."""
    return KINDS[kind].rpartition(":")[2] + "Component"


def _component(kind: str) -> type[SourceComponent]:
    """The component of one kind of source."""
    about = f"The raw asset of one `{kind}` source; its attributes are the source's keys in site.yaml."
    members = {"kind": classmethod(lambda cls: kind), "__doc__": about, "__module__": __name__}
    return type(_name(kind), (SourceComponent,), members)


COMPONENTS = {component.__name__: component for component in map(_component, KINDS)}
globals().update(COMPONENTS)  # `dg` finds components as names of this module
