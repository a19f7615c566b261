import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout


class Consumer(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = "CMakeDeps"

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires(self.tested_reference_str)

    @property
    def components(self):
        options = self.dependencies["netring_asio"].options
        optional = (name for name in ("session", "subscription", "xdp") if options.get_safe(f"with_{name}"))
        return ["core", "flow", "export", *optional]

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["COMPONENTS"] = ",".join(self.components)
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def test(self):
        if can_run(self):
            for component in self.components:
                self.run(os.path.join(self.cpp.build.bindir, f"consumer_{component}"), env="conanrun")
