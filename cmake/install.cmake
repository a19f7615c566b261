# One export set, and one pair of packaging components (NAME, NAME-dev), a library component.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/netring_asio)

foreach(name IN LISTS netring_asio_components)
  install(TARGETS netring_asio_${name} EXPORT netring_asio-${name}
    RUNTIME COMPONENT ${name}
    LIBRARY COMPONENT ${name} NAMELINK_COMPONENT ${name}-dev
    ARCHIVE COMPONENT ${name}-dev
    FILE_SET HEADERS COMPONENT ${name}-dev
    FILE_SET bridges COMPONENT ${name}-dev)
  install(EXPORT netring_asio-${name} NAMESPACE netring_asio:: DESTINATION ${package_dir} COMPONENT ${name}-dev)
endforeach()

# Who links the static libraries also links what they use; the shared ones bring it themselves.
get_target_property(type netring_asio_core TYPE)
if(type STREQUAL "STATIC_LIBRARY")
  set(netring_asio_static ON)
  set(core_libraries "-lpcap -pthread")
  set(session_libraries "-lcrypto")
  set(subscription_requires ", re2")
  set(xdp_libraries "-lxdp -lbpf")
else()
  set(netring_asio_static OFF)
  set(core_libraries "")
  set(session_libraries "")
  set(subscription_requires "")
  set(xdp_libraries "")
endif()

configure_package_config_file(cmake/netring_asioConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/netring_asioConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/netring_asioConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/netring_asioConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/netring_asioConfigVersion.cmake cmake/FindPcap.cmake cmake/FindRe2.cmake cmake/FindXdp.cmake
  DESTINATION ${package_dir} COMPONENT core-dev)

string(REGEX REPLACE "[^/]+" ".." pkgconfig_to_prefix ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
foreach(name IN LISTS netring_asio_components)
  configure_file(cmake/netring_asio-${name}.pc.in netring_asio-${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/netring_asio-${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT ${name}-dev)
endforeach()
