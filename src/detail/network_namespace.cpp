#include "network_namespace.hpp"

#include "unique_descriptor.hpp"

#include <cerrno>
#include <exception>
#include <thread>

#include <fcntl.h>
#include <sched.h>

namespace netring_asio::detail {

void run_in_network_namespace(std::string const& name_or_path, error_code& ec, std::function<void()> const& function) {
    ec = {};
    if (name_or_path.empty())
        return function();
    auto const path = name_or_path.find('/') == std::string::npos ? "/run/netns/" + name_or_path : name_or_path;
    unique_descriptor const descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!descriptor) {
        ec = error::no_such_namespace;
        return;
    }
    std::exception_ptr thrown;
    std::thread{[&] {
        if (::setns(descriptor.get(), CLONE_NEWNET) != 0) {
            ec = errno == EINVAL  ? error_code{error::no_such_namespace}
                 : errno == EPERM ? error_code{error::missing_privilege}
                                  : error_code{errno, boost::system::system_category()};
            return;
        }
        try {
            function();
        } catch (...) {
            thrown = std::current_exception();
        }
    }}.join();
    if (thrown)
        std::rethrow_exception(thrown);
}

} // namespace netring_asio::detail
