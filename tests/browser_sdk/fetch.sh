#!/usr/bin/env bash
# The official browser SDK, for the end-to-end test that runs it: one package without what it depends on, which its
# bundle for browsers does not need.
set -euo pipefail
cd "$(dirname "$0")"
version=6.40.0
[ -f "package/dist/clerk.browser.js" ] && grep -q "\"version\": \"$version\"" package/package.json && exit 0
rm -rf package
archive=$(npm pack --silent "@clerk/clerk-js@$version")
tar -xzf "$archive"
rm "$archive"
