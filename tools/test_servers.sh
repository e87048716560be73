#!/usr/bin/env bash
# Installs what the real-server and browser tests talk to, and the clock that tests set back, where that is allowed;
# otherwise says what is left out.
set -euo pipefail
cd "$(dirname "$0")/.."

# Azurite, the Azure Blob server, comes from npm. Where there is no npm its tests say so and are left out.
if ! command -v azurite-blob >/dev/null && [ ! -e .venv/azurite/node_modules/.bin/azurite-blob ] && command -v npm >/dev/null; then
  echo "Installing for the tests: azurite"
  npm install --silent --no-audit --no-fund --prefix .venv/azurite azurite@3.35.0 >/dev/null 2>&1 ||
    echo "Left out: the tests that need azurite, which npm could not install."
fi

missing=()
command -v prometheus >/dev/null && command -v promtool >/dev/null || missing+=(prometheus)
command -v chromium >/dev/null || missing+=(chromium)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
command -v pdftoppm >/dev/null || missing+=(poppler-utils)
compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime)
[ ${#missing[@]} -eq 0 ] && exit 0

if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
  echo "Installing for the tests: ${missing[*]}"
  # A server that the package manager starts would hold the ports; the tests start their own.
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d.energy-assets
  had_policy=0; [ -e /usr/sbin/policy-rc.d ] && had_policy=1
  [ $had_policy -eq 1 ] || { mv /usr/sbin/policy-rc.d.energy-assets /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; }
  trap '[ $had_policy -eq 1 ] || rm -f /usr/sbin/policy-rc.d; rm -f /usr/sbin/policy-rc.d.energy-assets' EXIT
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null && exit 0
fi
echo "Left out: the tests that need ${missing[*]}. To run them too: sudo apt-get install ${missing[*]}"
