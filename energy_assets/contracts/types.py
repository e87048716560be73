"""The column types of the lake: one name per physical meaning, exact decimals throughout.

Sums of decimals do not depend on their order, so two engines and two runs give the same digits. No column of
the lake is a double. Products keep their natural scale (the scales of their factors added), in 38 digits.
"""

from __future__ import annotations

import ibis

DAY = ibis.dtype("date")
HOUR = ibis.dtype("timestamp(6)")
TEXT = ibis.dtype("string")
FLAG = ibis.dtype("boolean")
COUNT = ibis.dtype("int64")
LABELS = ibis.dtype("map<string, string>")
TIER = ibis.dtype("int16")
MINUTES = ibis.dtype("int16")
MEASURED = ibis.dtype("decimal(18, 9)")
MONEY = ibis.dtype("decimal(38, 18)")
PUE = ibis.dtype("decimal(5, 3)")
FACTOR = ibis.dtype("decimal(9, 3)")
SHARE = ibis.dtype("decimal(9, 6)")
PERCENT = ibis.dtype("decimal(6, 3)")
FACILITY_KWH = ibis.dtype("decimal(38, 12)")
GRAMS = ibis.dtype("decimal(38, 15)")
LITRES = ibis.dtype("decimal(38, 15)")
FIGURE = ibis.dtype("decimal(38, 15)")
SERIAL = ibis.dtype("decimal(38, 0)")
