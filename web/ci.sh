#!/usr/bin/env bash
# On Debian: Node and Chromium where they are missing, then the built page. For CI, before pytest.
set -euo pipefail
cd "$(dirname "$0")"
missing=()
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
command -v chromium >/dev/null || missing+=(chromium)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
node -e 'const [a, b] = process.versions.node.split(".").map(Number);
if (a < 20 || (a === 20 && b < 19)) { console.error(`node ${process.versions.node}: the build needs 20.19 or newer`); process.exit(1); }'
npm ci --no-audit --no-fund
npm run build
