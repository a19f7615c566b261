import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir
from conan.tools.system.package_manager import Apt, Dnf

required_conan_version = ">=2.4"


class NetringAsioConan(ConanFile):
    name = "netring_asio"
    description = "Linux packet I/O and flow analysis for Boost.Asio"
    license = "BSL-1.0"
    topics = "networking", "packet-capture", "af-packet", "asio", "flows"
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {
        "shared": [True, False],
        "fPIC": [True, False],
        "with_session": [True, False],
        "with_subscription": [True, False],
        "with_xdp": [True, False],
    }
    default_options = {
        "shared": False,
        "fPIC": True,
        "with_session": True,
        "with_subscription": True,
        "with_xdp": False,
    }
    implements = ["auto_shared_fpic"]
    exports_sources = "CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "src/*"

    def set_version(self):
        project = load(self, os.path.join(self.recipe_folder, "CMakeLists.txt"))
        self.version = re.search(r"project\(netring_asio VERSION ([0-9.]+)", project).group(1)

    def configure(self):
        if not self.options.with_session:
            self.options.rm_safe("with_subscription")

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("boost/[>=1.81 <2]", transitive_headers=True)

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("netring_asio reads packets through Linux's packet sockets")
        check_min_cppstd(self, 20)

    def system_requirements(self):
        # The system's libpcap: the one that tcpdump uses there, with the same link types and expressions. And its
        # OpenSSL, as that gets its security updates.
        apt, dnf = ["libpcap-dev"], ["libpcap-devel"]
        if self.options.with_session:
            apt, dnf = apt + ["libssl-dev"], dnf + ["openssl-devel"]
        if self.options.get_safe("with_subscription"):
            apt, dnf = apt + ["libre2-dev"], dnf + ["re2-devel"]
        if self.options.with_xdp:
            apt, dnf = apt + ["libxdp-dev", "libbpf-dev"], dnf + ["libxdp-devel", "libbpf-devel"]
        Apt(self).check(apt)
        Dnf(self).check(dnf)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["NETRING_ASIO_BUILD_TESTS"] = False
        toolchain.cache_variables["NETRING_ASIO_BUILD_EXAMPLES"] = False
        for component in "session", "subscription", "xdp":
            wanted = bool(self.options.get_safe(f"with_{component}"))
            toolchain.cache_variables[f"NETRING_ASIO_WITH_{component.upper()}"] = wanted
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()
        # Conan's generators describe the package instead.
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "netring_asio")
        self.component("core", ["boost::headers"], ["pcap", "pthread"])
        self.component("flow", ["core"])
        self.component("export", ["flow"])
        if self.options.with_session:
            self.component("session", ["flow"], ["crypto"])
        if self.options.get_safe("with_subscription"):
            self.component("subscription", ["session"], ["re2"])
        if self.options.with_xdp:
            self.component("xdp", ["core"], ["xdp", "bpf"])

    def component(self, name, requires, system_libs=()):
        component = self.cpp_info.components[name]
        component.libs = [f"netring_asio_{name}"]
        component.requires = requires
        component.system_libs = list(system_libs)
        component.set_property("cmake_target_name", f"netring_asio::{name}")
        component.set_property("pkg_config_name", f"netring_asio-{name}")
