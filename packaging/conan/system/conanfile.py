from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.system.package_manager import Apt


class System(ConanFile):
    """A library of the system under the name that recipes require; nothing is packaged:

        conan export packaging/conan/system --name=boost --version=1.81.0

    [platform_requires] would not do: components that require boost::headers do not find it there.
    """

    user = "system"
    package_type = "shared-library"
    settings = "os", "arch"

    # Of each: Debian's package, the package and the target in CMake, the component if it has any, the library if any.
    known = {
        "boost": ("libboost1.81-dev", "Boost", "Boost::headers", "headers", None),
        "libpcap": ("libpcap-dev", "libpcap", "libpcap::libpcap", None, "pcap"),
        "openssl": ("libssl-dev", "OpenSSL", "OpenSSL::Crypto", "crypto", "crypto"),
        "re2": ("libre2-dev", "re2", "re2::re2", None, "re2"),
    }

    def validate(self):
        if self.name not in self.known:
            raise ConanInvalidConfiguration(f"{self.name} is not one of {', '.join(self.known)}")

    def package_id(self):
        self.info.clear()

    def system_requirements(self):
        Apt(self).check([self.known[self.name][0]])

    def package_info(self):
        _, file, target, component, library = self.known[self.name]
        self.cpp_info.set_property("cmake_file_name", file)
        info = self.cpp_info.components[component] if component else self.cpp_info
        info.set_property("cmake_target_name", target)
        info.includedirs = info.libdirs = info.bindirs = []
        info.system_libs = [library] if library else []
