#!/usr/bin/env bash
# VCPKG_ROOT=TREE scripts/vcpkg.sh
# Installs the overlay port with vcpkg, static and shared, whole and with no features, and builds and runs consumers of
# it. Boost and the other libraries are the system's: empty ports stand in for them, and nothing is downloaded.
source "$(dirname "$0")/common.sh"
: "${VCPKG_ROOT?"set it to a tree of vcpkg in which the tool was built"}"
install_packages "${BUILD_PACKAGES[@]}" zip unzip tar curl patchelf
export VCPKG_FORCE_SYSTEM_BINARIES=1 VCPKG_DISABLE_METRICS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The ports that the port depends on, without those that only help to build it.
python3 - "$work/system" packaging/vcpkg/netring-asio/vcpkg.json <<'END'
import json, os, sys
folder, port = sys.argv[1], json.load(open(sys.argv[2]))
listed = port['dependencies'] + [d for feature in port['features'].values() for d in feature['dependencies']]
for name in {d if isinstance(d, str) else d['name'] for d in listed} - {'netring-asio', 'vcpkg-cmake', 'vcpkg-cmake-config'}:
    os.makedirs(os.path.join(folder, name))
    with open(os.path.join(folder, name, 'vcpkg.json'), 'w') as file:
        json.dump({'name': name, 'version': '1.81.0'}, file)
    with open(os.path.join(folder, name, 'portfile.cmake'), 'w') as file:
        file.write('set(VCPKG_POLICY_EMPTY_PACKAGE enabled)\n')
END

# consumer TRIPLET FEATURES COMPONENTS
consumer() {
    local to=$work/$1-${2//,/-} # a linker takes a path with commas for several options
    "$VCPKG_ROOT/vcpkg" install "netring-asio[$2]" --triplet "$1" --overlay-ports=packaging/vcpkg \
        --overlay-ports="$work/system" --overlay-triplets="$work/triplets" --x-install-root="$to/installed" --x-buildtrees-root="$to/trees" \
        --x-packages-root="$to/packages" --binarysource=clear
    cmake -S test_package -B "$to/consumer" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$VCPKG_ROOT/scripts/buildsystems/vcpkg.cmake" \
        -DVCPKG_MANIFEST_MODE=OFF -DVCPKG_INSTALLED_DIR="$to/installed" -DVCPKG_TARGET_TRIPLET="$1" -DCOMPONENTS="$3"
    cmake --build "$to/consumer"
    local name
    for name in ${3//,/ }; do "$to/consumer/consumer_$name"; done
    say "vcpkg: $1, features $2: $3 found, built and run"
}
mkdir "$work/triplets"
{ cat "$VCPKG_ROOT/triplets/community/x64-linux-dynamic.cmake" && say 'set(VCPKG_BUILD_TYPE release)'; } >"$work/triplets/x64-linux-shared.cmake"
consumer x64-linux core core,flow,export # for debugging and optimised, as vcpkg does
consumer x64-linux-shared core,session,subscription core,flow,export,session,subscription
