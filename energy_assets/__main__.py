"""`python -m energy_assets`: the command line where its script is not at hand."""

from energy_assets.cli import main

main(prog_name="energy-assets")
