#pragma once

#include "support.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

/// Packets of a ping that were answered.
inline int answered(lab::side const& from, std::vector<std::string> const& more) {
    std::vector<std::string> command{"sh", "-c", "ping -q -c 20 -i 0.02 -W 1 \"$@\" 10.77.0.2 || true", "ping"};
    command.insert(command.end(), more.begin(), more.end());
    auto const output = from.run(command);
    std::istringstream found{output.substr(output.find("transmitted, ") + 13)};
    int count = -1;
    found >> count;
    return count;
}

/// Sends so many bytes by iperf3 and returns the megabits a second that arrived.
inline double transfer(between const& hosts, std::string const& bytes, std::vector<std::string> const& more = {}) {
    auto server = hosts.there().start({"iperf3", "-s", "-1", "--forceflush"});
    if (!server.wait_for_output("Server listening", 10s))
        throw std::runtime_error{server.output()};
    std::vector<std::string> command{"timeout", "60", "iperf3", "-c", "10.77.0.2", "-n", bytes, "-f", "m"};
    command.insert(command.end(), more.begin(), more.end());
    auto const output = hosts.here().run(command);
    server.wait();
    auto const end = output.rfind(" Mbits/sec");
    return std::stod(output.substr(output.rfind(' ', end - 1), end));
}

/// Downloads a file of random bytes over HTTP, and tells whether it came as it was.
inline bool download_is_equal(between const& hosts, std::size_t megabytes) {
    auto const directory = "/tmp/netring_bridge_" + std::to_string(::getpid());
    std::filesystem::create_directory(directory);
    auto const remove = std::shared_ptr<void>{nullptr, [&](void*) { std::filesystem::remove_all(directory); }};
    hosts.there().run(
        {"sh", "-c", "head -c " + std::to_string(megabytes << 20) + " /dev/urandom > " + directory + "/file"});
    auto server = hosts.there().start({"python3", "-u", "-m", "http.server", "-d", directory, "8000"});
    if (!server.wait_for_output("Serving HTTP", 10s))
        throw std::runtime_error{server.output()};
    hosts.here().run({"curl", "-sS", "-m", "60", "-o", directory + "/copy", "http://10.77.0.2:8000/file"});
    auto const sums = hosts.here().run({"sha256sum", directory + "/file", directory + "/copy"});
    return sums.substr(0, 64) == sums.substr(sums.find('\n') + 1, 64);
}
