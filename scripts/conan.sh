#!/usr/bin/env bash
# Makes the Conan package, static and shared, and builds and runs its consumer, from nothing and without a remote: Conan
# itself from PyPI, Boost and libpcap from the system.
source "$(dirname "$0")/common.sh"

install_packages "${BUILD_PACKAGES[@]}" "${CONAN_PACKAGES[@]}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check --retries 5 install 'conan==2.34.0'
PATH=$work/venv/bin:$PATH
export CONAN_HOME=$work/home

conan profile detect >/dev/null 2>&1
conan remote disable conancenter >/dev/null
conan export recipes/boost
create() {
    conan create . --no-remote --build=missing --profile:all=recipes/system_boost.profile \
        --conf="tools.cmake.cmake_layout:test_folder=$work/test" "$@"
}
create -o '&:shared=False' -o '&:with_session=False' # for who captures only
create -o '&:shared=True' -o '&:with_xdp=True'       # everything
