#!/usr/bin/env bash
# scripts/conan.sh [center [ADDRESS]]
# Makes the Conan package, static and shared, and builds and runs its consumer, from nothing and without a remote: Conan
# itself from PyPI, Boost and other libraries from the system. With `center` it makes in build/conan-center the archive of
# a release out of the last commit, and the folder of the recipe for ConanCenter, and tries that; ADDRESS is where the
# archive will be found.
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
export_system() { conan export packaging/conan/system --name="$1" --version="$2"; }
export_system boost 1.81.0
create() {
    conan create "$1" --no-remote --build=missing --profile:all=packaging/conan/system.profile \
        --conf="tools.cmake.cmake_layout:test_folder=$work/test" "${@:2}"
}

# A folder with README.md's first program and a conanfile.txt, by way of presets.
plain() {
    local folder=$work/plain
    readme_program "$folder"
    printf '%s\n' '[requires]' 'netring_asio/[*]' '[generators]' CMakeDeps CMakeToolchain '[layout]' cmake_layout >"$folder/conanfile.txt"
    conan install "$folder" --no-remote --profile:all=packaging/conan/system.profile \
        --conf=tools.cmake.cmaketoolchain:user_presets=CMakeUserPresets.json "$@"
    (cd "$folder" && cmake --preset conan-release && cmake --build --preset conan-release)
    { "$folder/build/Release/watch" nobody 2>&1 || true; } | tee "$work/said"
    grep -q 'interface' "$work/said"
}

# center [ADDRESS]
center() {
    export_system libpcap 1.10.3
    export_system openssl 3.0.0
    export_system re2 20220601
    local version out=build/conan-center archive recipe
    version=$(sed -n 's/^project(netring_asio VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
    archive=$out/netring_asio-$version.tar.gz
    recipe=$out/recipes/netring_asio
    rm -rf "$out"
    mkdir -p "$recipe"
    cp -r packaging/conan-center/. "$recipe"
    git archive --prefix="netring_asio-$version/" -o "$archive" HEAD
    tell_source() {
        say sources: "  \"$version\":" "    url: \"$1\"" "    sha256: \"$(sha256sum "$archive" | cut -d' ' -f1)\"" >"$recipe/all/conandata.yml"
    }
    tell_source "file://$PWD/$archive"
    create "$recipe/all" --version="$version" --conf=tools.build:verbosity=quiet
    local package
    package=$(find "$CONAN_HOME/p/b" -maxdepth 2 -path '*/netri*/p' | head -n 1)
    # What ConanCenter asks of a package.
    [ -f "$package/licenses/LICENSE" ] || fail "the package has no licence"
    [ -z "$(find "$package" -name '*.cmake' -o -name '*.pc' -o -name '*.la')" ] || fail "the package has files that Conan makes"
    tell_source "${1-file://$PWD/$archive}"
    say "$archive" "$recipe"
}

if [ "${1-}" = center ]; then
    center "${@:2}"
else
    create . -o '&:shared=False' -o '&:with_session=False' # for who captures only
    create . -o '&:shared=True' -o '&:with_xdp=True'       # everything
    plain -o '*:shared=True' -o '*:with_xdp=True'
fi
