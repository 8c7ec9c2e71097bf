# Sourced by the scripts beside it: installs what they need, and only that.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export CARGO_TERM_COLOR=never

say() { printf '\n== %s\n' "$*"; }
fail() {
    printf 'ERROR: %s\n' "$*" >&2
    exit 1
}

# need_packages PACKAGE...: installs the Debian packages that are missing.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    [ "$(id -u)" -eq 0 ] || fail "these Debian packages are missing: ${missing[*]}; install them as root"
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# need_command COMMAND PACKAGE: as above, where something else than the
# package may have brought the command.
need_command() {
    command -v "$1" >/dev/null || need_packages "$2"
}

# unpack_package PACKAGE: unpacks a Debian package, and those it needs that are
# missing here, where the tests find it. For services: installing one starts
# it, and removes another of its kind.
unpack_package() {
    local folder="${CARGO_TARGET_DIR:-target}/tmp/packages/$1" new file
    [ -d "$folder" ] && return
    say "unpacking $1"
    new=$(mktemp -d)
    mkdir -p "$new/archives/partial" "$new/root" "$(dirname "$folder")"
    apt-get update -q
    apt-get install -q -y --no-install-recommends --reinstall --download-only \
        -o APT::Sandbox::User=root -o Dir::Cache::archives="$new/archives" "$1"
    for file in "$new"/archives/*.deb; do
        dpkg-deb --extract "$file" "$new/root"
    done
    mv "$new/root" "$folder"
    rm -r "$new"
}

need_rust() {
    command -v cargo >/dev/null || fail "Rust is missing: install it with rustup (https://rustup.rs)"
    # The toolchain and its targets are named in rust-toolchain.toml.
    if command -v rustup >/dev/null; then
        rustup --quiet target add x86_64-unknown-linux-musl aarch64-unknown-linux-musl
    fi
}

# cargo_tool COMMAND CRATE: a cargo subcommand from crates.io.
cargo_tool() {
    cargo "$1" --version >/dev/null 2>&1 || cargo install --locked "$2"
}

# Folder of the release programs, for this machine.
release_folder() {
    printf '%s/%s-unknown-linux-musl/release' "${CARGO_TARGET_DIR:-target}" "$(uname -m)"
}
