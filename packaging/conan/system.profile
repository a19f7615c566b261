# For machines where libraries come from the system and no remote is reached.
include(default)
[settings]
compiler.cppstd=20
[conf]
tools.system.package_manager:mode=check
tools.build:jobs=2
tools.cmake.cmaketoolchain:generator=Ninja
tools.cmake.cmaketoolchain:user_presets=
[replace_requires]
boost/*: boost/1.81.0@system
libpcap/*: libpcap/1.10.3@system
openssl/*: openssl/3.0.0@system
re2/*: re2/20220601@system
[platform_tool_requires]
cmake/3.25.1
