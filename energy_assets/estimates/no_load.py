"""Energy at no load of the components that estimates name: what a machine draws while it does nothing.

What belongs here: from a component's name back to its constants. What does not: estimates themselves (`components`).
"""

from __future__ import annotations

from fractions import Fraction

from energy_assets.contracts.vocabulary import DeviceKind
from energy_assets.estimates.components import CPU_ALONE, without_memory
from energy_assets.estimates.constants import Constants
from energy_assets.estimates.watts import linear_kwh


def no_load_kwh(
    constants: Constants, provider: str, device_kind: str, device_id: str, device_model: str | None
) -> Fraction | None:
    """Energy per hour of one vCPU or accelerator at no load, in kWh; None where no table has its watts.

    Args:
        constants: The site's own, and ours.
        provider: aws, gcp, azure.
        device_kind: cpu or gpu.
        device_id: As the estimate names the component.
        device_model: Accelerator, or architecture of the processor.
    """
    if device_kind == DeviceKind.GPU.value:
        power = constants.accelerator_power(device_model) if device_model else None
    else:
        power = constants.vcpu_power(provider, device_model)
        power = without_memory(constants, power) if power and device_id == CPU_ALONE else power
    return None if power is None else linear_kwh(Fraction(1), power.idle_w, power.max_w, Fraction(0))
