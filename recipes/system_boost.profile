# For machines where Boost comes from the system and no remote is reached.
include(default)
[settings]
compiler.cppstd=20
[conf]
tools.system.package_manager:mode=check
tools.build:jobs=2
tools.cmake.cmaketoolchain:user_presets=
[replace_requires]
boost/*: boost/1.81.0@system
