from conan import ConanFile
from conan.tools.system.package_manager import Apt


class SystemBoost(ConanFile):
    """The system's Boost headers under the name that recipes require; nothing is packaged.

    [platform_requires] would not do: components that require boost::headers do not find it there.
    """

    name = "boost"
    version = "1.81.0"
    user = "system"
    package_type = "shared-library"
    settings = "os", "arch"

    def package_id(self):
        self.info.clear()

    def system_requirements(self):
        Apt(self).check(["libboost1.81-dev"])

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "Boost")
        headers = self.cpp_info.components["headers"]
        headers.set_property("cmake_target_name", "Boost::headers")
        headers.includedirs = headers.libdirs = headers.bindirs = []
