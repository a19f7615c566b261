from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, get, rmdir
import os

required_conan_version = ">=2.4"


class NetringAsioConan(ConanFile):
    name = "netring_asio"
    description = "Linux packet I/O and flow analysis for Boost.Asio"
    license = "BSL-1.0"
    url = "https://github.com/conan-io/conan-center-index"
    topics = ("networking", "packet-capture", "af-packet", "asio", "flows")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {
        "shared": [True, False],
        "fPIC": [True, False],
        "with_session": [True, False],
        "with_subscription": [True, False],
    }
    default_options = {
        "shared": False,
        "fPIC": True,
        "with_session": True,
        "with_subscription": True,
    }
    implements = ["auto_shared_fpic"]

    def configure(self):
        if not self.options.with_session:
            self.options.rm_safe("with_subscription")

    def layout(self):
        cmake_layout(self, src_folder="src")

    def requirements(self):
        self.requires("boost/1.88.0", transitive_headers=True)
        self.requires("libpcap/1.10.6")
        if self.options.with_session:
            self.requires("openssl/[>=3 <4]")
        if self.options.get_safe("with_subscription"):
            self.requires("re2/20251105")

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration(f"{self.ref} is for Linux: it uses AF_PACKET sockets")
        check_min_cppstd(self, 20)

    def build_requirements(self):
        self.tool_requires("cmake/[>=3.25 <4]")

    def source(self):
        get(self, **self.conan_data["sources"][self.version], strip_root=True)

    def generate(self):
        tc = CMakeToolchain(self)
        tc.cache_variables["CMAKE_FIND_PACKAGE_PREFER_CONFIG"] = True
        tc.cache_variables["NETRING_ASIO_BUILD_TESTS"] = False
        tc.cache_variables["NETRING_ASIO_BUILD_EXAMPLES"] = False
        tc.cache_variables["NETRING_ASIO_WITH_SESSION"] = bool(self.options.with_session)
        tc.cache_variables["NETRING_ASIO_WITH_SUBSCRIPTION"] = bool(self.options.get_safe("with_subscription"))
        tc.cache_variables["NETRING_ASIO_WITH_XDP"] = False
        tc.generate()
        deps = CMakeDeps(self)
        deps.set_property("libpcap", "cmake_file_name", "Pcap")
        deps.set_property("libpcap", "cmake_target_name", "Pcap::pcap")
        deps.set_property("re2", "cmake_file_name", "Re2")
        deps.set_property("re2", "cmake_target_name", "Re2::re2")
        deps.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        cmake = CMake(self)
        cmake.install()
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "netring_asio")
        self._component("core", ["boost::headers", "libpcap::libpcap"])
        self.cpp_info.components["core"].system_libs = ["pthread"]
        self._component("flow", ["core"])
        self._component("export", ["flow"])
        if self.options.with_session:
            self._component("session", ["flow", "openssl::crypto"])
        if self.options.get_safe("with_subscription"):
            self._component("subscription", ["session", "re2::re2"])

    def _component(self, name, requires):
        component = self.cpp_info.components[name]
        component.set_property("cmake_target_name", f"netring_asio::{name}")
        component.set_property("pkg_config_name", f"netring_asio-{name}")
        component.libs = [f"netring_asio_{name}"]
        component.requires = requires
